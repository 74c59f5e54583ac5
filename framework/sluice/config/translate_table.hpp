// What options of other pools are called here: one row for each. `ctl config translate` reads it, and docs/guides/coming-from.md is
// printed from it. A constant table; safe from any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::config {

enum class Conversion {
  same,      // number, word or truth as it is
  duration,  // in the row's unit
  sum,       // rows of one option are added up
  url,       // a url or DSN; its parameters are options again
  scheme,    // of the url, from a driver's name
  host,
  port,
  user,
  password,
  database,
  parameter,  // of the url; `ours` is its name
  code,       // no configuration here: `ours` says what is called instead
  builtin,    // nothing to set: it is always so
  none        // no equal; the remark says why
};

struct ForeignOption {
  std::string_view name;  // "pool_size", "pooling.heartBeatInterval", "coreConnectionsPerHost.*"; compared without case, _ and -
  std::string_view unit;  // of durations: "ms", "s", "min"; "go": written with its unit, "1h30m"
  std::string_view ours;  // "pools.<name>.max"; of code and builtin what is used instead
  Conversion conversion = Conversion::same;
  // Values that mean something else: "0=unbounded -1=0s false=". Left theirs, right ours; nothing right: the option is left out.
  std::string_view special{};
  std::string_view remark{};
};

struct Ecosystem {
  std::string_view name;     // as after --from
  std::string_view aliases;  // further names, separated by spaces
  std::string_view title;    // "SQLAlchemy (Python)"
  std::string_view scheme;   // of urls made from parts
  std::string_view openers;  // calls and assignments that hold the configuration, separated by spaces
  std::string_view pools;    // the object whose members are pools of their own: Laravel's connections
  std::string_view positional;  // names of positional arguments
  std::string_view missing;  // url where the file names no server
  std::span<const ForeignOption> options;
};

std::span<const Ecosystem> ecosystems();
// Null if there is none of that name or alias.
const Ecosystem* find_ecosystem(std::string_view name);
// "did you mean" for a name that is none; "" if nothing is near.
std::string ecosystem_suggestion(std::string_view name);

// In lower case, without _ and -.
std::string plain_name(std::string_view name);

// "max" of "pools.<name>.max": how an option is called in its pool's object.
std::string_view short_name(std::string_view ours);

// The words of a list that is separated by spaces.
std::vector<std::string_view> words_of(std::string_view list);

// The rows, by language; each is among ecosystems().
std::span<const Ecosystem> node_ecosystems();
std::span<const Ecosystem> python_ecosystems();
std::span<const Ecosystem> other_ecosystems();

}  // namespace sluice::config
