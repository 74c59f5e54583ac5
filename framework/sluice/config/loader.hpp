// From flags, environment and file to a Config. Flags win over environment over file over preset over defaults.
//
// Every option is described once, in the table (config/table.hpp): name, type, unit, default, limits, doc, secrecy; the
// flag parser, --help, the JSON Schema, the reference page, validation and "did you mean" come from it.
// Errors: ConfigError, whose text names the option, where the value came from (flag, variable, file:line), the value
// (redacted if secret) and the remedy; several problems are reported together, one a line.
#pragma once

#include <sluice/config/config.hpp>
#include <sluice/core/error.hpp>

#include <iosfwd>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::config {

class ConfigError : public Error {
 public:
  using Error::Error;
};

// The command line is wrong in itself (unknown flag, missing value): exit code 64.
class UsageError : public ConfigError {
 public:
  using ConfigError::ConfigError;
};

// What the application is, for defaults and --help.
struct Application {
  std::string executable;   // argv[0]
  std::string description;  // one line, may be empty
  std::string environment_prefix = "APP_";
  std::vector<std::string> kinds;  // worker kinds, first is the default one
  // Defaults of the application itself, below files and above the framework's: dotted name → value as in a flag.
  std::map<std::string, std::string> defaults;
};

// What the user asked for besides running.
enum class Action { run, help, version, check_config, print_config, print_schema, print_reference };

struct Loaded {
  Config config;
  Action action = Action::run;
  std::map<std::string, std::string>
      origin;  // dotted name → "flag --http.listen", "environment APP_HTTP__LISTEN", "file orders.json:12", "preset test", "default"
  std::vector<std::string> warnings;  // known anti-patterns; one sentence each
};

using Environment = std::map<std::string, std::string>;
Environment process_environment();

// `arguments` without argv[0]. `--config FILE` (JSON with comments or YAML, by extension .json/.jsonc/.yaml/.yml) may come once.
Loaded load(const Application& application, const std::vector<std::string>& arguments, const Environment& environment);

void print_help(std::ostream& out, const Application& application);
void print_config(std::ostream& out, const Loaded& loaded);  // every value with its origin, secrets redacted
void print_schema(std::ostream& out);                        // JSON Schema 2020-12
void print_reference(std::ostream& out);                     // Markdown page docs/reference.md

}  // namespace sluice::config
