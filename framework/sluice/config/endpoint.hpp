// Which server a pool's url leads to: pools with equal endpoints share one budget.
#pragma once

#include <optional>
#include <string>

namespace sluice::config {

struct Endpoint {
  std::string scheme;  // one name for all that a family is called: postgres for postgresql
  std::string host;    // in lower case; the path of a Unix socket (PostgreSQL: of its directory); for SQLite the file. Percent-decoded
  std::string port;    // the family's usual one if the url has none

  bool is_sqlite() const { return scheme == "sqlite"; }
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

// Nothing if the url does not begin with "scheme:".
std::optional<Endpoint> endpoint_of(const std::string& url);

}  // namespace sluice::config
