#include "recorder.hpp"

#include <algorithm>

namespace sluice::conformance {
namespace {

std::int64_t millis(Duration d) { return std::chrono::duration_cast<std::chrono::milliseconds>(d).count(); }

const char* reason_of(pool::CloseReason reason) {
  switch (reason) {
    case pool::CloseReason::stale: return "stale";
    case pool::CloseReason::lifetime: return "lifetime";
    case pool::CloseReason::uses: return "uses";
    case pool::CloseReason::pool_closed: return "poolClosed";
    case pool::CloseReason::error:
    case pool::CloseReason::discarded: return "error";
    default: return "idle";
  }
}

const char* reason_of(pool::Phase phase) {
  switch (phase) {
    case pool::Phase::closed: return "poolClosed";
    case pool::Phase::queue_full: return "queueFull";
    case pool::Phase::cancelled:
    case pool::Phase::wait_timeout: return "timeout";
    default: return "connectionError";
  }
}

}  // namespace

std::int64_t Recorder::since_checkout() {
  if (checkouts_.empty()) return 0;
  const TimePoint start = checkouts_.front();
  checkouts_.pop_front();
  return millis(Clock::now() - start);
}

void Recorder::record(const pool::Event& event) {
  using pool::EventType;
  Json told = {{"type", ""}, {"address", address}};
  if (event.connection) told["connectionId"] = event.connection;
  const auto named = [&told](const char* type) { told["type"] = type; };
  switch (event.type) {
    case EventType::pool_created:
      named("ConnectionPoolCreated");
      told["options"] = options_;
      break;
    case EventType::pool_ready: named("ConnectionPoolReady"); break;
    case EventType::pool_cleared:
      named("ConnectionPoolCleared");
      told["interruptInUseConnections"] = interrupting_;
      break;
    case EventType::pool_closed: named("ConnectionPoolClosed"); break;
    case EventType::created:
      named("ConnectionCreated");
      created_[event.connection] = Clock::now();
      break;
    case EventType::connected:
      named("ConnectionReady");
      told["duration"] = millis(Clock::now() - created_[event.connection]);
      break;
    case EventType::closed:
      named("ConnectionClosed");
      told["reason"] = reason_of(event.reason);
      break;
    case EventType::checkout_started:
      named("ConnectionCheckOutStarted");
      checkouts_.push_back(Clock::now());
      break;
    case EventType::checkout_failed:
      named("ConnectionCheckOutFailed");
      told["reason"] = reason_of(event.phase);
      told["duration"] = since_checkout();
      break;
    case EventType::leased:
      named("ConnectionCheckedOut");
      told["duration"] = since_checkout();
      break;
    case EventType::returned: named("ConnectionCheckedIn"); break;
    case EventType::hook_failed:
      named("HookFailed");
      told["detail"] = std::string(event.detail);
      break;
    default: return;  // of Sluice's own
  }
  note(std::move(told));
}

void Recorder::note(Json told) {
  events_.push_back(std::move(told));
  for (asio::steady_timer* watcher : watchers_) watcher->cancel();
}

std::size_t Recorder::count(const std::string& type) const {
  return static_cast<std::size_t>(std::count_if(events_.begin(), events_.end(), [&](const Json& e) { return e["type"] == type; }));
}

awaitable<bool> Recorder::seen(std::string type, std::size_t times, Deadline deadline) {
  while (count(type) < times) {
    if (deadline.passed(Clock::now())) co_return false;
    asio::steady_timer watcher(loop_, deadline.at);
    watchers_.insert(&watcher);
    error_code woken;
    co_await watcher.async_wait(asio::redirect_error(use_awaitable, woken));
    watchers_.erase(&watcher);
  }
  co_return true;
}

}  // namespace sluice::conformance
