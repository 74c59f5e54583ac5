#include "performance.hpp"

#include "mock_connector.hpp"

#include <sluice/core/text.hpp>

#include <sys/wait.h>
#include <unistd.h>
#include <functional>
#include <memory>
#include <set>

namespace sluice::conformance {
namespace {

constexpr Duration longest_scenario = 60s;
constexpr Duration longest_wait = 10s;
constexpr std::uint32_t most_permits = 1000;  // far more than any scenario opens: its own maximum is to be what limits it

std::uint32_t count_of(const Json& options, const char* name, std::uint32_t otherwise) {
  return options.contains(name) ? options[name].get<std::uint32_t>() : otherwise;
}

Duration millis_of(const Json& options, const char* name) { return std::chrono::milliseconds(options.value(name, std::int64_t{0})); }

// What the specification does not know: scenarios of our own say it under "sluice".
void add_own(config::Pool& options, const Json& own) {
  for (const auto& [name, value] : own.items()) {
    if (name == "maxLifetimeMS")
      options.max_lifetime = std::chrono::milliseconds(value.get<std::int64_t>());
    else if (name == "maxUses")
      options.max_uses = value.get<std::uint64_t>();
    else if (name == "queueLimit")
      options.queue_limit = value.get<std::uint32_t>();
    else if (name != "hooks" && name != "requestsPerConnection")
      throw Error(text("poolOptions: sluice: '", name, "' is not known"));
  }
  options.lifetime_jitter = 0;
}

// What the specification does not know is switched off, so that only what it asks for can happen.
config::Pool options_of(const Json& given) {
  static const std::set<std::string> known = {
      "maxPoolSize", "minPoolSize", "maxIdleTimeMS", "maxConnecting", "waitQueueTimeoutMS", "backgroundThreadIntervalMS", "appName", "sluice"};
  for (const auto& [name, value] : given.items()) {
    if (!known.contains(name)) throw Error(text("poolOptions: '", name, "' is not known"));
  }
  if (given.value("backgroundThreadIntervalMS", 1) == 0) throw Error("poolOptions: backgroundThreadIntervalMS cannot be 0");
  config::Pool options;
  options.name = "conformance";
  const std::uint32_t max = count_of(given, "maxPoolSize", 100);
  if (max > 0) options.max = max;
  options.min_idle = count_of(given, "minPoolSize", 0);
  options.idle_timeout = millis_of(given, "maxIdleTimeMS");
  options.acquire_timeout = millis_of(given, "waitQueueTimeoutMS");
  options.connect_timeout = longest_scenario;
  options.connect_backoff_min = options.connect_backoff_max = 1ms;
  options.soft_idle_timeout = options.max_lifetime = options.keepalive = 0s;
  options.validate_after = Duration::max();
  options.leak_after = 0s;
  add_own(options, given.value("sluice", Json::object()));
  return options;
}

// `times` times.
std::function<void()> fails(int times) {
  return [left = std::make_shared<int>(times)] {
    if ((*left)-- > 0) throw Error("the hook was told to fail");
  };
}

awaitable<void> nothing() { co_return; }

// How often each of them fails: {"beforeLease": 1, …}. A hook that is not named is not set.
pool::Hooks hooks_of(const Json& own) {
  const Json given = own.value("hooks", Json::object());
  pool::Hooks hooks;
  for (const auto& [name, times] : given.items()) {
    const auto fail = fails(times.get<int>());
    if (name == "beforeConnect") {
      hooks.before_connect = fail;
    } else if (name == "afterConnect") {
      hooks.after_connect = [fail](pool::Connection&, Deadline) {
        fail();
        return nothing();
      };
    } else if (name == "beforeLease") {
      hooks.before_lease = [fail](pool::Connection&) { fail(); };
    } else if (name == "afterReturn") {
      hooks.after_return = [fail](pool::Connection&) { fail(); };
    } else if (name == "beforeClose") {
      hooks.before_close = [fail](pool::Connection&) { fail(); };
    } else {
      throw Error(text("poolOptions: hook '", name, "' is not known"));
    }
  }
  return hooks;
}

Json told_options(const Json& given) {
  const config::Pool options = options_of(given);
  Json told = Json::object();
  if (given.contains("maxPoolSize")) told["maxPoolSize"] = options.max.value_or(0);
  if (options.min_idle > 0) told["minPoolSize"] = options.min_idle;
  if (options.idle_timeout > Duration::zero()) told["maxIdleTimeMS"] = to_millis(options.idle_timeout);
  if (options.acquire_timeout > Duration::zero()) told["waitQueueTimeoutMS"] = to_millis(options.acquire_timeout);
  if (given.contains("maxConnecting")) told["maxConnecting"] = given["maxConnecting"];
  return told;
}

Json pool_options(const Json& scenario) { return scenario.value("poolOptions", Json::object()); }

const char* type_of(pool::Phase phase) {
  switch (phase) {
    case pool::Phase::closed: return "PoolClosedError";
    case pool::Phase::wait_timeout: return "WaitQueueTimeoutError";
    case pool::Phase::paused:
    case pool::Phase::connect: return "PoolClearedError";
    case pool::Phase::queue_full: return "QueueFullError";
    case pool::Phase::hook: return "HookError";
    default: return to_text(phase);
  }
}

// In the format's words where it has some, as for the types; else the pool's own text.
std::string message_of(const pool::PoolError& error) {
  switch (error.phase()) {
    case pool::Phase::closed: return "Attempted to check out a connection from closed connection pool";
    case pool::Phase::wait_timeout: return "Timed out while checking out a connection from connection pool";
    default: return error.what();
  }
}

}  // namespace

Performance::Performance(const Json& scenario)
    : scenario_(scenario), rows_(most_permits, most_permits), recorder_(loop_, told_options(pool_options(scenario))), pool_(make_pool(scenario)) {
  pool_->on_event([this](const pool::Event& event) { recorder_.record(event); });
}

// Leases end before their pool, and both before the loop.
Performance::~Performance() {
  labelled_.clear();
  held_.clear();
  pool_->on_event(nullptr);
  pool_.reset();
}

pool::Pool Performance::make_pool(const Json& scenario) {
  const Json given = pool_options(scenario);
  pool::PoolResources resources;
  resources.share = rows_.share;
  resources.share->set_max_connecting(count_of(given, "maxConnecting", 2));
  resources.seed = 1;
  resources.fail_fast = true;
  const auto interval = given.value("backgroundThreadIntervalMS", std::int64_t{1});
  resources.background = interval > 0;
  if (given.contains("backgroundThreadIntervalMS") && interval > 0) resources.ageing_every = std::chrono::milliseconds(interval);
  const Json own = given.value("sluice", Json::object());
  resources.hooks = hooks_of(own);
  FailPoint fail_point;
  if (scenario.contains("failPoint")) fail_point = FailPoint(scenario["failPoint"], given.value("appName", std::string()));
  auto connector = std::make_unique<MockConnector>(loop_, fail_point, [this] { server_fails(); });
  connector->requests_per_connection = count_of(own, "requestsPerConnection", 1);
  connector->resetting = [this](std::uint64_t session) { recorder_.note({{"type", "ConnectionReset"}, {"address", address}, {"connectionId", session}}); };
  return pool::Pool(loop_, options_of(given), std::move(connector), std::move(resources));
}

// What a driver's monitor does when a connect fails for which nobody waits. Where somebody does, the error is theirs.
void Performance::server_fails() {
  if (pool_->numbers().waiting > 0) return;
  recorder_.clearing(false);
  pool_->clear();
}

void Performance::run() {
  asio::co_spawn(loop_, run_main(), [this](const std::exception_ptr& error) { main_ended(error); });
  const TimePoint end = Clock::now() + longest_scenario;
  while (!done_ && Clock::now() < end) loop_.run_one_until(end);
  if (!done_) failure_ = "the scenario does not end";
  // What follows from the last operation without any time passing belongs to it.
  while (loop_.poll() > 0) {
  }
}

void Performance::main_ended(const std::exception_ptr& error) {
  done_ = true;
  if (!error) return;
  try {
    std::rethrow_exception(error);
  } catch (const pool::PoolError& e) {
    error_ = {{"type", type_of(e.phase())}, {"message", message_of(e)}, {"address", address}};
  } catch (const std::exception& e) {
    failure_ = e.what();
  }
}

// ---- threads

Performance::Thread& Performance::thread(const Json& name) {
  const auto found = threads_.find(name.get<std::string>());
  if (found == threads_.end()) throw Error(text("thread ", name.dump(), " was not started"));
  return found->second;
}

awaitable<void> Performance::run_main() {
  for (const Json& operation : scenario_.at("operations")) {
    if (operation.contains("thread")) {
      Thread& target = thread(operation["thread"]);
      target.work.push_back(&operation);
      target.news.cancel();
      co_await let_others_run();
    } else {
      co_await perform(operation);
    }
  }
}

awaitable<void> Performance::run_thread(Thread& thread) {
  for (;;) {
    while (thread.work.empty() && !thread.joined) {
      error_code woken;
      co_await thread.news.async_wait(asio::redirect_error(use_awaitable, woken));
    }
    if (thread.work.empty()) break;
    const Json& operation = *thread.work.front();
    thread.work.pop_front();
    co_await perform(operation);
  }
}

awaitable<void> Performance::join(Thread& thread) {
  thread.joined = true;
  thread.news.cancel();
  while (!thread.ended) {
    error_code woken;
    co_await thread.news.async_wait(asio::redirect_error(use_awaitable, woken));
  }
  if (thread.error) std::rethrow_exception(thread.error);
}

// A real thread would have begun by now.
awaitable<void> Performance::let_others_run() {
  for (int turn = 0; turn < 3; ++turn) co_await asio::post(loop_, use_awaitable);
}

// ---- operations

awaitable<void> Performance::perform(const Json& operation) {
  const std::string name = operation.at("name").get<std::string>();
  if (name == "ready") {
    pool_->ready();
  } else if (name == "clear") {
    const bool interrupt = operation.value("interruptInUseConnections", false);
    recorder_.clearing(interrupt);
    pool_->clear(interrupt ? pool::Pending::interrupt : pool::Pending::finish);
  } else if (name == "close") {
    const Deadline at_once{Clock::now()};
    co_await pool_->close(at_once);
  } else if (name == "checkOut") {
    co_await check_out(operation);
  } else if (name == "checkIn") {
    check_in(operation);
  } else if (name == "markDirty") {
    labelled(operation)->second->dirty = true;
  } else if (name == "useInFork") {
    use_in_fork();
  } else if (name == "start") {
    Thread& target = threads_.try_emplace(operation.at("target").get<std::string>(), loop_).first->second;
    asio::co_spawn(loop_, run_thread(target), [&target](const std::exception_ptr& error) {
      target.error = error;
      target.ended = true;
      target.news.cancel();
    });
    co_await let_others_run();
  } else if (name == "waitForThread") {
    co_await join(thread(operation.at("target")));
  } else if (name == "waitForEvent") {
    co_await wait_for_event(operation);
  } else if (name == "wait") {
    asio::steady_timer pause(loop_, std::chrono::milliseconds(operation.at("ms").get<std::int64_t>()));
    co_await pause.async_wait(use_awaitable);
  } else {
    throw Error(text("operation '", name, "' is not known"));
  }
}

awaitable<void> Performance::check_out(const Json& operation) {
  static const std::map<std::string, pool::Priority> classes = {
      {"high", pool::Priority::high}, {"normal", pool::Priority::normal}, {"low", pool::Priority::low}};
  const pool::Wish wish(classes.at(operation.value("priority", "normal")));
  const bool shared = operation.value("shared", false);
  auto checkout = shared ? pool_->acquire_shared(wish) : pool_->acquire(wish);
  pool::Lease lease = co_await std::move(checkout);
  if (operation.contains("label"))
    labelled_[operation["label"].get<std::string>()] = std::move(lease);
  else
    held_.push_back(std::move(lease));
}

void Performance::check_in(const Json& operation) {
  const auto found = labelled(operation);
  found->second.release();
  labelled_.erase(found);
}

std::map<std::string, pool::Lease>::iterator Performance::labelled(const Json& operation) {
  const std::string label = operation.at("connection").get<std::string>();
  const auto found = labelled_.find(label);
  if (found == labelled_.end()) throw Error(text("no connection is labelled '", label, "'"));
  return found;
}

// The pool must refuse every use in a child, and the child's leases must not give anything back.
void Performance::use_in_fork() {
  const pid_t child = ::fork();
  if (child < 0) throw Error("fork failed");
  if (child == 0) {
    int accepted = 0;
    try {
      static_cast<void>(pool_->try_acquire());
      accepted = 1;
    } catch (const Error&) {
    }
    const std::size_t before = recorder_.events().size();
    labelled_.clear();
    held_.clear();
    ::_exit(accepted + (recorder_.events().size() == before ? 0 : 2));
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) throw Error("the pool was used in a forked child");
}

awaitable<void> Performance::wait_for_event(const Json& operation) {
  const std::string event = operation.at("event").get<std::string>();
  const auto times = operation.at("count").get<std::size_t>();
  Duration limit = longest_wait;
  if (operation.contains("timeout")) limit = millis_of(operation, "timeout");
  const bool seen = co_await recorder_.seen(event, times, Deadline::after(limit));
  if (!seen) throw Error(text("waitForEvent: ", event, " was seen ", recorder_.count(event), " times instead of ", times));
}

}  // namespace sluice::conformance
