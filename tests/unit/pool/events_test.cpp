// What a pool's observer is told where nothing else would show it.
#include <support/pool_loop.hpp>

#include <sluice/core/task.hpp>

#include <doctest/doctest.h>
#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

using namespace sluice;
using namespace sluice::pool;
using namespace sluice::test;

namespace {

config::Pool sized(std::uint32_t max) {
  config::Pool o;
  o.max = max;
  return o;
}

// The events of a pool from now on, with whatever they carry.
class Observed {
 public:
  explicit Observed(Pool& pool) : pool_(pool) {
    pool_.on_event([this](const Event& event) { all_.push_back(event); });
  }
  Observed(const Observed&) = delete;
  Observed& operator=(const Observed&) = delete;
  ~Observed() { pool_.on_event(nullptr); }
  std::vector<Event> of(EventType type) const {
    std::vector<Event> chosen;
    std::copy_if(all_.begin(), all_.end(), std::back_inserter(chosen), [type](const Event& e) { return e.type == type; });
    return chosen;
  }
  std::vector<EventType> last(std::size_t n) const {
    std::vector<EventType> types;
    for (std::size_t i = all_.size() - std::min(n, all_.size()); i < all_.size(); ++i) types.push_back(all_[i].type);
    return types;
  }

 private:
  Pool& pool_;
  std::vector<Event> all_;
};

awaitable<void> nest(Pool* pool) {
  const Lease outer = co_await pool->acquire();
  try {
    const Lease inner = co_await pool->acquire(within(20ms));
  } catch (const PoolError&) {
  }
}

}  // namespace

TEST_CASE("event timed_out: a caller's limit has passed, and the failed checkout follows with its phase") {
  PoolLoop t(sized(1));
  Observed events(t.pool());
  t.pool().ready();
  Caller& holder = t.leased();
  CHECK(events.of(EventType::timed_out).empty());
  Caller& late = t.acquire(20ms);
  REQUIRE(t.run_until([&] { return late.done; }));
  CHECK(events.last(2) == std::vector<EventType>{EventType::timed_out, EventType::checkout_failed});
  CHECK(events.of(EventType::checkout_failed).at(0).phase == Phase::wait_timeout);
  Caller& cancelled = t.acquire();
  t.settle();
  cancelled.cancel.emit(asio::cancellation_type::terminal);
  REQUIRE(t.run_until([&] { return cancelled.done; }));
  CHECK(events.of(EventType::timed_out).size() == 1);
  CHECK(events.of(EventType::checkout_failed).at(1).phase == Phase::cancelled);
  holder.lease.reset();
}

TEST_CASE("event detached: a connection has left the pool, and it is closed as detached") {
  PoolLoop t(sized(1));
  Observed events(t.pool());
  t.pool().ready();
  Caller& caller = t.leased();
  const std::uint64_t id = caller.lease->id();
  Detached mine = std::move(*caller.lease).detach();
  REQUIRE(events.of(EventType::detached).size() == 1);
  CHECK(events.of(EventType::detached)[0].connection == id);
  CHECK(events.of(EventType::returned).empty());
  mine.close();
  REQUIRE(t.run_until([&] { return !events.of(EventType::closed).empty(); }));
  CHECK(events.of(EventType::closed)[0].connection == id);
  CHECK(events.of(EventType::closed)[0].reason == CloseReason::detached);
}

TEST_CASE("event deadlock_suspected: the observer learns where the task waits and where it took what it holds") {
  PoolLoop t(sized(1));
  Observed events(t.pool());
  t.pool().ready();
  bool done = false;
  asio::co_spawn(task_executor(t.loop.get_executor()), nest(&t.pool()), [&](std::exception_ptr) { done = true; });
  REQUIRE(t.run_until([&] { return done; }));
  const auto suspected = events.of(EventType::deadlock_suspected);
  REQUIRE(suspected.size() == 1);
  CHECK(suspected[0].connection == 1);
  const std::string waits = t.pool().call_site(suspected[0].call_site), holds = t.pool().call_site(suspected[0].held_call_site);
  CHECK(waits.find("events_test.cpp:") != std::string::npos);
  CHECK(holds.find("events_test.cpp:") != std::string::npos);
  CHECK(waits != holds);
}

TEST_CASE("close reason discarded: what its holder discards, unless it is broken: then it is an error") {
  PoolLoop t(sized(1));
  Observed events(t.pool());
  t.pool().ready();
  t.leased().lease->discard();
  REQUIRE(events.of(EventType::closed).size() == 1);
  CHECK(events.of(EventType::closed)[0].connection == 1);
  CHECK(events.of(EventType::closed)[0].reason == CloseReason::discarded);
  Caller& second = t.leased();
  second.lease->connection().broken = true;
  second.lease->discard();
  REQUIRE(events.of(EventType::closed).size() == 2);
  CHECK(events.of(EventType::closed)[1].reason == CloseReason::error);
}
