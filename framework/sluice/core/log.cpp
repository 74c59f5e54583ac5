#include <sluice/core/log.hpp>

#include <sluice/core/error.hpp>
#include <sluice/core/text.hpp>

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <memory>
#include <nlohmann/json.hpp>

namespace sluice::log {
namespace {

struct State {
  Settings settings;
  std::shared_ptr<spdlog::logger> logger;
};
State& state() {
  static State* s = new State;  // never destroyed: threads may log while the process ends
  return *s;
}
thread_local std::string thread_name;  // NOLINT

spdlog::level::level_enum level_of(Level level) {
  switch (level) {
    case Level::debug: return spdlog::level::debug;
    case Level::info: return spdlog::level::info;
    case Level::warning: return spdlog::level::warn;
    case Level::error: return spdlog::level::err;
    case Level::off: return spdlog::level::off;
  }
  return spdlog::level::info;
}

const char* name_of(Level level) {
  switch (level) {
    case Level::debug: return "debug";
    case Level::info: return "info";
    case Level::warning: return "warning";
    case Level::error: return "error";
    case Level::off: return "off";
  }
  return "info";
}

}  // namespace

void configure(const Settings& settings) {
  try {
    spdlog::sink_ptr sink;
    if (settings.file.empty())
      sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    else
      sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(settings.file, false);
    auto logger = std::make_shared<spdlog::logger>("sluice", sink);
    logger->set_level(level_of(settings.level));
    logger->set_pattern(settings.json ? "%v" : "%Y-%m-%d %H:%M:%S.%e %l %v");
    logger->flush_on(spdlog::level::debug);
    state() = State{settings, std::move(logger)};
  } catch (const spdlog::spdlog_ex& e) {
    throw Error(text("log.file: cannot open '", settings.file, "' for appending: ", e.what(), "; choose a writable path"));
  }
}

void set_name(std::string_view name) { thread_name = name; }

void reopen() {
  if (!state().settings.file.empty()) configure(state().settings);
}

bool enabled(Level level) noexcept { return level >= state().settings.level; }

void write(Level level, std::string_view message) {
  if (!enabled(level)) return;
  if (!state().logger) configure(state().settings);
  std::string line;
  if (state().settings.json) {
    nlohmann::json j = {{"time", std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count()},
                        {"level", name_of(level)}, {"name", thread_name}, {"pid", static_cast<long>(::getpid())}, {"message", message}};
    line = j.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  } else {
    line = thread_name.empty() ? std::string(message) : text("[", thread_name, "] ", message);
  }
  state().logger->log(level_of(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace sluice::log
