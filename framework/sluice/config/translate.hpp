// Turns the configuration of another pool into ours: JSON with comments, a remark at everything that has no equal. Pure and
// deterministic; needs no running instance and looks up no variable (they stay ${NAME}).
#pragma once

#include <sluice/config/translate_table.hpp>

#include <iosfwd>
#include <string>
#include <vector>

namespace sluice::config {

// One option of ours and where it came from.
struct Translated {
  std::string name;   // "pools.main.max"
  std::string value;  // as a flag would take it, or with ${NAME}
  std::string theirs;  // "pool_size + max_overflow"
  std::string remark;
};

// What was read and is no option here: `said` is what to do instead or why there is no equal.
struct Remark {
  std::string theirs;
  int line = 0;
  std::string said;
};

struct Translation {
  std::string from;   // "SQLAlchemy (Python)"
  std::string file;
  std::vector<Translated> options;   // in the order of the option table
  std::vector<Remark> remarks;
  std::vector<std::string> problems;  // what was not understood or cannot be: file, line, field, value (never a secret), remedy
};

// Throws ConfigError if the file is malformed or holds nothing. `file` is for messages, and its name may tell the language.
Translation translate(const Ecosystem& from, const std::string& content, const std::string& file);

// A configuration file: what `--config` takes, whatever the problems are.
std::string to_text(const Translation& translation);

// docs/guides/coming-from.md.
void print_coming_from(std::ostream& out);

}  // namespace sluice::config
