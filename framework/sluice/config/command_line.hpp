// The command line of an application: options by their dotted names, their short forms, and what to do besides running.
#pragma once

#include <sluice/config/assignment.hpp>
#include <sluice/config/loader.hpp>
#include <sluice/config/problems.hpp>

#include <span>

namespace sluice::config {

// Flags that are no options of the configuration.
struct Command {
  std::string_view flag;
  char short_flag;
  std::string_view argument;  // its name in --help; empty: none
  std::string_view doc;
  Action action;
};
std::span<const Command> commands();

// Help, version and the like: nothing else of the command line or of any file is looked at.
bool is_informational(Action action) noexcept;

struct CommandLine {
  Action action = Action::run;
  std::string config_file;  // of --config; empty: none
  std::vector<Assignment> assignments;
  std::vector<std::string> warnings;
};

// `--a.b value`, `--a.b=value`, `-w 4`, `-w4`; a boolean needs no value. Of a repeated option the last one counts.
CommandLine parse_command_line(const std::vector<std::string>& arguments, Problems& problems);

}  // namespace sluice::config
