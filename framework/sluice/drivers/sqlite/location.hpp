// Where a database is, from a pool's url:
//
//   sqlite:orders.db   sqlite:/var/lib/orders.db   sqlite:///var/lib/orders.db   sqlite::memory:
//   ?mode=ro|rw|rwc          read only; must exist; made if missing (default)
//   ?synchronous=normal|full normal (default): a power cut may lose the last commits, never the database; full: each commit is on disk
//
// A relative path is meant from the directory in which the process runs. %xx is decoded. An in-memory database belongs to one
// connection and ends with it.
#pragma once

#include <string>

namespace sluice::sqlite {

enum class OpenMode { read_only, existing, create };

struct Location {
  std::string path;
  bool memory = false;
  OpenMode mode = OpenMode::create;
  bool full_sync = false;
};

// Throws sluice::Error saying what is wrong with the url.
Location parse_location(const std::string& url);

}  // namespace sluice::sqlite
