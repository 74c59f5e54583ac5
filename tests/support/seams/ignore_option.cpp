// Linked into tests: SLUICE_IGNORE_OPTION=pools.<name>.max_uses puts that option back to its default wherever it is taken, so that the
// test of the option must fail. tests/lint/option_matrix.py runs each one so.
#include <sluice/config/in_force.hpp>
#include <sluice/config/table.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace sluice::config {
namespace {

// The option to ignore, if it belongs to `section`. A name that is none is a mistake of the caller, who would take the green for red.
const Option* ignored(std::string_view section) {
  static const Option* const option = []() -> const Option* {
    const char* name = std::getenv("SLUICE_IGNORE_OPTION");
    if (!name || !*name) return nullptr;
    for (const Option& candidate : options()) {
      if (candidate.name == name) return &candidate;
    }
    std::fprintf(stderr, "SLUICE_IGNORE_OPTION=%s: there is no such option\n", name);
    std::abort();
  }();
  return option && option->name.starts_with(section) ? option : nullptr;
}

}  // namespace

Pool in_force(Pool options) {
  if (const Option* option = ignored("pools.<name>.")) {
    Config config;
    config.pools["it"] = std::move(options);
    option->access.set(config, "it", default_of(*option));
    return std::move(config.pools["it"]);
  }
  return options;
}

Server in_force(Server options) {
  if (const Option* option = ignored("servers.<name>.")) {
    Config config;
    config.servers["it"] = std::move(options);
    option->access.set(config, "it", default_of(*option));
    return std::move(config.servers["it"]);
  }
  return options;
}

}  // namespace sluice::config
