// One case for each option whose effect no other case pins down: set to something else than its default, it must be seen to act.
// tests/options.txt names for every option the case that turns red when it is ignored.
#include "core_fixture.hpp"

#include <support/pool_loop.hpp>

using namespace sluice;
using namespace sluice::pool;
using namespace sluice::test;

namespace {

template <class Set>
config::Pool with(Set set) {
  config::Pool options;
  set(options);
  return options;
}

}  // namespace

TEST_CASE("option max: no connection beyond it, however many wait") {
  CoreTest t(with([](config::Pool& o) { o.max = 2; }));
  t.core->ready(t.now);
  for (int i = 0; i < 5; ++i) t.acquire();
  CHECK(t.effects.connects.size() == 2);
}

TEST_CASE("option warm_up: without it a worker's readiness opens nothing") {
  PoolLoop t(with([](config::Pool& o) { o.warm_up = false; }));
  t.pool().ready();
  std::optional<bool> warm;
  asio::co_spawn(t.loop, t.pool().warm_up(Deadline::after(5s)), [&](std::exception_ptr, bool result) { warm = result; });
  REQUIRE(t.run_until([&] { return warm.has_value(); }));
  CHECK(*warm);
  CHECK(t.server->connect.calls == 0);
}

TEST_CASE("option warm_up: with it a worker's readiness opens the first connection, also where min_idle is 0") {
  PoolLoop t(with([](config::Pool& o) {
    o.warm_up = true;
    o.min_idle = 0;
  }));
  t.pool().ready();
  CHECK(t.run(t.pool().warm_up(Deadline::after(5s))));
  CHECK(t.server->connect.calls == 1);
  CHECK(t.pool().numbers().idle == 1);
}

TEST_CASE("option acquire_timeout: so long waits a caller that brings no limit of its own") {
  PoolLoop t(with([](config::Pool& o) { o.acquire_timeout = 20ms; }));
  t.pool().ready();
  t.server->connect.does = Does::never;
  const TimePoint start = Clock::now();
  Caller& caller = t.acquire();
  REQUIRE(t.run_until([&] { return caller.done; }));
  REQUIRE(caller.error);
  CHECK(caller.error->phase() == Phase::wait_timeout);
  CHECK(Clock::now() - start < config::Pool{}.acquire_timeout);
}

TEST_CASE("option connect_timeout: the deadline of one attempt") {
  CoreTest t(with([](config::Pool& o) { o.connect_timeout = 700ms; }));
  t.core->ready(t.now);
  t.acquire();
  REQUIRE(t.effects.connects.size() == 1);
  CHECK(t.effects.connects.front().deadline.at == t.now + 700ms);
}

TEST_CASE("option connect_backoff_min: no attempt is made again after more than that, at first") {
  CoreTest t(with([](config::Pool& o) { o.connect_backoff_min = 1ms; }));
  t.core->ready(t.now);
  t.acquire(1h);
  t.fail_connect();
  t.pass(3ms);
  CHECK(t.effects.connects.size() == 1);
}

TEST_CASE("option connect_backoff_max: after many failures the pauses are no longer than that") {
  CoreTest t(with([](config::Pool& o) { o.connect_backoff_max = 200ms; }));
  t.core->ready(t.now);
  t.acquire(1h);
  for (int i = 0; i < 30; ++i) {
    REQUIRE_FALSE(t.effects.connects.empty());
    t.fail_connect();
    t.pass(201ms);
  }
  CHECK(t.effects.connects.size() == 1);
}

TEST_CASE("option lifetime_jitter: none, and every life is as long as it is allowed to be") {
  CoreTest t(with([](config::Pool& o) {
    o.lifetime_jitter = 0;
    o.max_lifetime = 1h;
  }));
  t.core->ready(t.now);
  for (int i = 0; i < 5; ++i) CHECK(t.leased().expires_at == t.now + 1h);
}

TEST_CASE("option validate_after: a connection that was idle for less is leased without a look") {
  CoreTest t(with([](config::Pool& o) { o.validate_after = 20s; }));
  t.core->ready(t.now);
  t.with_idle(1);
  t.now += 19s;
  PoolEntry* entry = t.core->try_lease(t.now, 1);
  REQUIRE(entry);
  t.give_back(*entry);
  t.now += 20s;
  CHECK_FALSE(t.core->try_lease(t.now, 1));
}

TEST_CASE("option keepalive: idle connections are checked that often") {
  CoreTest t(with([](config::Pool& o) { o.keepalive = 10s; }));
  t.core->ready(t.now);
  t.with_idle(1);
  t.pass(11s);
  CHECK(t.effects.pings.size() == 1);
}

TEST_CASE("option close_timeout: the deadline of the proof") {
  CoreTest t(with([](config::Pool& o) { o.close_timeout = 900ms; }));
  t.core->ready(t.now);
  PoolEntry& entry = t.leased();
  t.core->discard(entry, t.now);
  REQUIRE(t.effects.closes.size() == 1);
  CHECK(t.effects.closes.front().deadline.at == t.now + 900ms);
}

// ---- zero, where it means something of its own

TEST_CASE("acquire_timeout 0: a caller waits without end") {
  PoolLoop t(with([](config::Pool& o) {
    o.acquire_timeout = 0s;
    o.max = 1;
  }));
  t.pool().ready();
  Caller& holder = t.leased();
  Caller& patient = t.acquire();
  Caller& hasty = t.acquire(20ms);
  REQUIRE(t.run_until([&] { return hasty.done; }));
  t.settle();
  CHECK_FALSE(patient.done);
  holder.lease.reset();
  REQUIRE(t.run_until([&] { return patient.done; }));
  CHECK(patient.lease);
}

TEST_CASE("validate_after 0: every connection is checked before it is leased") {
  CoreTest t(with([](config::Pool& o) { o.validate_after = 0s; }));
  t.core->ready(t.now);
  t.with_idle(1);
  for (int i = 0; i < 3; ++i) {
    CHECK_FALSE(t.core->try_lease(t.now, 1));
    TestWaiter& w = t.acquire();
    t.finish_ping();
    REQUIRE(w.entry);
    t.give_back(*w.entry);
  }
}

TEST_CASE("keepalive 0: an idle connection is never checked by itself") {
  CoreTest t(with([](config::Pool& o) {
    o.keepalive = 0s;
    o.idle_timeout = o.max_lifetime = 0s;
  }));
  t.core->ready(t.now);
  t.with_idle(1);
  t.pass(1h);
  CHECK(t.effects.pings.empty());
  CHECK(t.core->numbers().idle == 1);
}
