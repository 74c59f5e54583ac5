// One call turns worker classes into an application: flags, master, workers, admin process, `ctl`.
//
//   int main(int argc, char** argv) { return sluice::launch<Web, Jobs>(argc, argv); }
//
// Each class names its kind (`static constexpr std::string_view kind`); the first is the one that a plain --workers N sets.
// Returns the exit code; call it once, before any thread exists.
#pragma once

#include <sluice/runtime/worker.hpp>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

namespace launching {
struct Kind {
  std::string_view name;
  int default_workers;
  bool needs_http_listener;
  std::unique_ptr<Worker> (*make)();
};
}  // namespace launching

struct LaunchOptions {
  std::string name;         // default: the executable's file name
  std::string description;  // for --help
  std::string environment_prefix = "APP_";
  std::map<std::string, std::string> defaults;  // dotted option → value as in a flag
};

int launch(int argc, char** argv, const std::vector<launching::Kind>& kinds, const LaunchOptions& options);

template <class First, class... Others>
int launch(int argc, char** argv, const LaunchOptions& options = {}) {
  return launch(argc, argv,
                {launching::Kind{First::kind, First::default_workers, First::needs_http_listener, [] { return std::unique_ptr<Worker>(std::make_unique<First>()); }},
                 launching::Kind{Others::kind, Others::default_workers == config::WorkerCounts::automatic ? 1 : Others::default_workers, Others::needs_http_listener,
                                 [] { return std::unique_ptr<Worker>(std::make_unique<Others>()); }}...},
                options);
}

}  // namespace sluice
