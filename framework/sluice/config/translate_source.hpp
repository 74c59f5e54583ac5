// Reads the configuration of other pools as people have it: JSON, YAML, .env and .properties files, a url with parameters, and
// the literals of Python, JavaScript, PHP, Go and Java programs. Tolerant in what it reads; what it cannot evaluate is handed on
// as such, with its line. Pure: no file is opened, no variable is looked up.
#pragma once

#include <sluice/config/document.hpp>
#include <sluice/config/problems.hpp>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::config {

// One setting, as it was written.
struct Setting {
  std::string path;              // dotted, "connections.pgsql.pool_max"; "#0", "#1" … are positional arguments
  Raw::Form form = Raw::Form::null;  // words: could not be evaluated
  std::string text;              // ${NAME} and ${NAME:-fallback} stand for variables of the environment
  int line = 0;
};

struct Source {
  std::vector<Setting> settings;
  bool variables = false;  // a .env or .properties file: its names carry prefixes (DB_POOL_MAX)
};

// `openers`: the names of calls and assignments that hold the configuration in a program ("create_engine"); where none of them
// occurs, every pair of the file counts. Malformed files are added to `problems` with line and remedy; then nothing is returned.
Source read_source(const std::string& content, const std::string& file, std::span<const std::string_view> openers, Problems& problems);

// "host=a password='b c'", as libpq takes it.
std::vector<Setting> read_keywords(std::string_view words, int line);

// The literals of a program as a tree; expressions that cannot be evaluated have the form `words`. Members of the openers only,
// if one occurs.
std::optional<Node> parse_literals(const std::string& content, const std::string& file, std::span<const std::string_view> openers, Problems& problems);

}  // namespace sluice::config
