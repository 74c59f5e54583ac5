#include <sluice/core/log.hpp>

#include <sluice/core/error.hpp>
#include <sluice/core/text.hpp>

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>

namespace sluice::log {
namespace {

struct State {
  Settings settings;
  std::shared_ptr<spdlog::logger> logger;
};
// Replaced as a whole, so that threads may log while it is reopened. Never destroyed: they may log while the process ends.
class Current {
 public:
  std::shared_ptr<const State> load() {
    std::lock_guard lock(mutex_);
    return state_;
  }
  void store(State state) {
    level_.store(state.settings.level, std::memory_order_relaxed);
    auto fresh = std::make_shared<const State>(std::move(state));
    std::lock_guard lock(mutex_);
    state_.swap(fresh);
  }
  Level level() const noexcept { return level_.load(std::memory_order_relaxed); }

 private:
  std::mutex mutex_;
  std::shared_ptr<const State> state_ = std::make_shared<const State>();
  std::atomic<Level> level_{Settings().level};
};
Current& current() {
  static auto* c = new Current;
  return *c;
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
    current().store(State{settings, std::move(logger)});
  } catch (const spdlog::spdlog_ex& e) {
    throw Error(text("log.file: cannot open '", settings.file, "' for appending: ", e.what(), "; choose a writable path"));
  }
}

void set_name(std::string_view name) { thread_name = name; }

void reopen() {
  const Settings settings = current().load()->settings;
  if (settings.file.empty()) return;
  try {
    configure(settings);
  } catch (const Error& e) {
    error(text("the log file stays open as it was: ", e.what()));
  }
}

bool enabled(Level level) noexcept { return level >= current().level(); }

void write(Level level, std::string_view message) {
  if (!enabled(level)) return;
  std::shared_ptr<const State> state = current().load();
  if (!state->logger) {
    configure(state->settings);
    state = current().load();
  }
  std::string line;
  if (state->settings.json) {
    nlohmann::json j = {{"time", std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count()},
                        {"level", name_of(level)}, {"name", thread_name}, {"pid", static_cast<long>(::getpid())}, {"message", message}};
    line = j.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  } else {
    line = thread_name.empty() ? std::string(message) : text("[", thread_name, "] ", message);
  }
  state->logger->log(level_of(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace sluice::log
