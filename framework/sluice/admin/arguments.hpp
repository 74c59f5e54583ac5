// The command line of `ctl`: one table describes every command; parser, help and "did you mean" come from it. Pure.
#pragma once

#include <sluice/core/clock.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::admin {

struct Invocation {
  std::string command;              // empty: only with `help`
  std::vector<std::string> values;  // what follows the command and is no option; "-2" is a value
  std::string control;              // empty: look for the instance
  Duration timeout = 5s;            // for one answer
  bool json = false;
  bool fast = false;
  bool no_wait = false;
  bool what_if = false;
  bool table = false;  // of `config translate`
  std::string from;    // of `config translate`
  bool help = false;
};

// Throws ExitError(usage) with what is wrong and what to write instead.
Invocation parse_arguments(const std::vector<std::string>& arguments);

// "?workers=8&instances=3" for `budget --what-if`, "" for `budget`. Throws ExitError(usage).
std::string what_if_query(const Invocation& asked);

// `budget set main=30`, `budget set main=auto`. Nothing: not that command. Throws ExitError(usage).
struct BudgetTarget {
  std::string server;
  std::optional<std::int64_t> total;  // absent: auto, as configured
};
std::optional<BudgetTarget> parse_budget_set(const Invocation& asked);

// "8", "+2", "-2", "web=8", "web=+2". Throws ExitError(usage).
struct ScaleTarget {
  std::string kind;  // empty: the first kind
  std::int64_t value = 0;
  bool relative = false;
};
ScaleTarget parse_scale(std::string_view text);

// `restart`, `restart web`, `restart 3`. Throws ExitError(usage).
struct RestartTarget {
  std::string kind;  // empty: see slot; neither: every worker
  std::optional<std::uint32_t> slot;
};
RestartTarget parse_restart(const Invocation& asked);

// `program`: "orders ctl" or "sluicectl". An empty command: all of them.
std::string help_text(const std::string& program, const std::string& command);

}  // namespace sluice::admin
