#include <sluice/launch.hpp>

#include <sluice/admin/client.hpp>
#include <sluice/config/loader.hpp>
#include <sluice/core/child.hpp>
#include <sluice/core/error.hpp>
#include <sluice/core/log.hpp>
#include <sluice/core/text.hpp>
#include <sluice/core/version.hpp>
#include <sluice/launch/instance.hpp>
#include <sluice/launch/janitor_process.hpp>
#include <sluice/launch/log_settings.hpp>

#include <unistd.h>

#include <iostream>

namespace sluice {
namespace {

int run(const std::vector<launching::Kind>& kinds, const config::Application& application, const std::vector<std::string>& arguments) {
  const config::Loaded loaded = config::load(application, arguments, config::process_environment());
  using config::Action;
  switch (loaded.action) {
    case Action::help: config::print_help(std::cout, application); return 0;
    case Action::version: std::cout << loaded.config.name << ", built with Sluice " << version << '\n'; return 0;
    case Action::print_schema: config::print_schema(std::cout); return 0;
    case Action::print_reference: config::print_reference(std::cout); return 0;
    case Action::print_config: config::print_config(std::cout, loaded); return 0;
    case Action::check_config:
    case Action::run: break;
  }
  for (const std::string& warning : loaded.warnings) log::warning(warning);
  if (loaded.action == Action::check_config) {
    std::uint32_t workers = 0;
    for (const auto& count : launching::count_workers(loaded.config, kinds)) workers += count.workers;
    launching::Instance instance(loaded.config, kinds);
    const std::string refusal = instance.make_keeper(false).refusal(workers);
    if (!refusal.empty()) throw ExitError(ExitCode::config, refusal);
    std::cout << "the configuration is valid\n";
    return 0;
  }
  log::configure(launching::log_settings(loaded.config.log));
  return loaded.config.foreground ? launching::run_foreground(loaded.config, kinds) : launching::run_cluster(loaded.config, kinds);
}

}  // namespace

int launch(int argc, char** argv, const std::vector<launching::Kind>& kinds, const LaunchOptions& options) {
  const std::string executable = argc > 0 ? argv[0] : "sluice";
  const std::string file_name = executable.substr(executable.find_last_of('/') + 1);
  const std::string name = options.name.empty() ? file_name : options.name;
  std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  child::remember_arguments(argc, argv);

  config::Application application;
  application.executable = name;
  application.description = options.description;
  application.environment_prefix = options.environment_prefix;
  application.defaults = options.defaults;
  for (const auto& kind : kinds) application.kinds.emplace_back(kind.name);
  try {
    // As every child of a master ends: a thread of its own may still be asking a name server.
    if (const auto code = launching::run_executed_janitor(arguments)) ::_exit(*code);
    if (!arguments.empty() && arguments.front() == "ctl") return admin::ctl(name, {arguments.begin() + 1, arguments.end()});
    return run(kinds, application, arguments);
  } catch (const config::UsageError& e) {
    std::cerr << name << ": " << e.what() << '\n';
    return to_int(ExitCode::usage);
  } catch (const config::ConfigError& e) {
    std::cerr << name << ": " << e.what() << '\n';
    return to_int(ExitCode::config);
  } catch (const ExitError& e) {
    std::cerr << name << ": " << e.what() << '\n';
    return to_int(e.code());
  } catch (const Error& e) {
    std::cerr << name << ": " << e.what() << '\n';
    return to_int(ExitCode::config);
  } catch (const std::exception& e) {
    std::cerr << name << ": unexpected error: " << e.what() << '\n';
    return to_int(ExitCode::software);
  }
}

}  // namespace sluice
