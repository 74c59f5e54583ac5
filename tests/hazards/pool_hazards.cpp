// Whatever the driver does and whenever callers give up: no permit, no waiter and no connection is lost, in bounded time.
#include "behaviour.hpp"

#include <support/pool_loop.hpp>

#include <doctest/doctest.h>
#include <algorithm>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <vector>

using namespace sluice;
using namespace sluice::pool;
using namespace sluice::test;
using budget::RowState;

namespace {

// Two connections, every reuse pinged, every return reset: all four operations happen.
config::Pool busy_options(Duration acquire_timeout = 60ms) {
  config::Pool o;
  o.name = "hazard";
  o.max = 2;
  o.acquire_timeout = acquire_timeout;
  o.connect_timeout = 8ms;
  o.close_timeout = 8ms;
  o.connect_backoff_min = 1ms;
  o.connect_backoff_max = 4ms;
  o.validate_after = 0s;
  o.reset_on_return = config::ResetOnReturn::always;
  return o;
}

// The memory that a pool writes to outlives the loop.
struct Ground {
  PermitRows table{32};
  shm::PoolStats stats{};
};

// One pool with callers that take and give; many scenarios share one loop, so that their waiting times overlap.
class Scenario {
 public:
  Scenario(Ground& ground, asio::io_context& loop, Behaviour b, std::uint32_t seed, config::Pool options = busy_options())
      : behaviour(b), table(ground.table), stats(ground.stats), random_(seed), loop_(loop), cancel_timer_(loop) {
    behaviour.rule(*server);
    server->slow_time = 1ms;
    PoolResources resources;
    resources.share = table.share;
    resources.stats = &stats;
    resources.seed = seed + 1;
    pool = std::make_unique<Pool>(loop, std::move(options), std::make_unique<StubConnector>(loop, server), resources);
    pool->ready();
  }

  void start(bool with_cancellation) {
    for (int i = 0; i < callers; ++i) {
      auto finished = [this](const std::exception_ptr& error) {
        unexpected += error != nullptr;
        if (++done == callers) shut();
      };
      asio::co_spawn(loop_, use(this), asio::bind_cancellation_slot(cancel[i].slot(), finished));
    }
    if (with_cancellation) cancel_soon(0);
  }

  void check(std::uint32_t rows) {
    CAPTURE(behaviour.text());
    CHECK(done == callers);
    CHECK(unexpected == 0);
    CHECK(closed == true);
    CHECK(pool->numbers().waiting == 0);
    CHECK(table.share->held() == 0);
    CHECK(server->sessions.empty());
    CHECK(server->most_sessions <= 2);
    CHECK(table.free() + table.in(RowState::quarantined) == rows);
    const bool proven = behaviour.close == Does::ok && behaviour.connect != Does::never && behaviour.connect != Does::stuck;
    if (proven) CHECK(table.free() == rows);
    CHECK(stats.waiting.get() == 0);
    CHECK(stats.leased.get() == 0);
    CHECK(stats.idle.get() == 0);
    CHECK(stats.connecting.get() == 0);
  }

  static constexpr int callers = 4, rounds = 3;
  Behaviour behaviour;
  PermitRows& table;
  shm::PoolStats& stats;
  std::shared_ptr<StubServer> server = std::make_shared<StubServer>();
  std::unique_ptr<Pool> pool;
  asio::cancellation_signal cancel[callers];
  int done = 0, unexpected = 0, leases = 0;
  std::optional<bool> closed;

 private:
  static awaitable<void> use(Scenario* s) {
    for (int round = 0; round < rounds; ++round) {
      try {
        Lease lease = co_await s->pool->acquire();
        ++s->leases;
        co_await asio::post(s->loop_, use_awaitable);
        if (s->random_() % 8 == 0) lease.discard();
      } catch (const PoolError& e) {
        if (e.phase() == Phase::cancelled) co_return;
      } catch (const boost::system::system_error&) {
        co_return;  // cancelled outside acquire()
      }
    }
  }
  void cancel_soon(int which) {
    if (which == callers) return;
    cancel_timer_.expires_after(std::chrono::microseconds(random_() % 4000));
    cancel_timer_.async_wait([this, which](error_code failed) {
      if (failed) return;
      cancel[which].emit(asio::cancellation_type::terminal);
      cancel_soon(which + 1);
    });
  }
  void shut() {
    auto finished = [this](const std::exception_ptr& error, bool empty) { closed = !error && empty; };
    asio::co_spawn(loop_, pool->close(Deadline::after(5s)), finished);
  }

  std::minstd_rand random_;
  asio::io_context& loop_;
  asio::steady_timer cancel_timer_;
};

using Scenarios = std::vector<std::unique_ptr<Scenario>>;
using Grounds = std::deque<Ground>;

void run_until_closed(asio::io_context& loop, const Scenarios& scenarios) {
  const TimePoint end = Clock::now() + 60s;
  auto open = [](const auto& s) { return !s->closed; };
  while (std::any_of(scenarios.begin(), scenarios.end(), open) && Clock::now() < end) loop.run_for(5ms);
}

void run_all(const std::vector<Behaviour>& behaviours, bool with_cancellation, std::uint32_t seed) {
  Grounds grounds;
  asio::io_context loop(1);
  Scenarios scenarios;
  for (const Behaviour& b : behaviours) scenarios.push_back(std::make_unique<Scenario>(grounds.emplace_back(), loop, b, ++seed));
  for (auto& s : scenarios) s->start(with_cancellation);
  run_until_closed(loop, scenarios);
  for (auto& s : scenarios) s->check(32);
}

}  // namespace

TEST_CASE("all combinations of ok, error, slow and never lose nothing") { run_all(Behaviour::all(false), false, 100); }

TEST_CASE("all combinations with callers cancelled at any time lose nothing") {
  for (std::uint32_t seed : {1000u, 2000u, 3000u}) run_all(Behaviour::all(false), true, seed);
}

TEST_CASE("a patient caller is served whatever fails or dawdles now and then") {
  Grounds grounds;
  asio::io_context loop(1);
  Scenarios scenarios;
  for (const Behaviour& b : Behaviour::all(false)) {
    if (b.connect == Does::ok || b.connect == Does::slow) scenarios.push_back(std::make_unique<Scenario>(grounds.emplace_back(), loop, b, 50, busy_options(20s)));
  }
  for (auto& s : scenarios) s->start(false);
  run_until_closed(loop, scenarios);
  for (auto& s : scenarios) {
    CAPTURE(s->behaviour.text());
    CHECK(s->leases == Scenario::callers * Scenario::rounds);
    CHECK(s->stats.timeouts.get() == 0);
    s->check(32);
  }
}

TEST_CASE("operations that ignore their deadline, or even their cancellation, are given up") {
  std::vector<Behaviour> all;
  for (Does d : {Does::stuck, Does::deaf}) {
    all.push_back({.connect = d});
    all.push_back({.ping = d});
    all.push_back({.reset = d});
    all.push_back({.close = d});
  }
  Grounds grounds;
  asio::io_context loop(1);
  Scenarios scenarios;
  for (const Behaviour& b : all) scenarios.push_back(std::make_unique<Scenario>(grounds.emplace_back(), loop, b, 7));
  for (auto& s : scenarios) s->start(false);
  run_until_closed(loop, scenarios);
  for (auto& s : scenarios) {
    CAPTURE(s->behaviour.text());
    CHECK(s->closed == true);
    CHECK(s->unexpected == 0);
    CHECK(s->table.share->held() == 0);
    CHECK(s->table.free() + s->table.in(RowState::quarantined) == 32);
  }
}

TEST_CASE("a cancellation at any step of the loop loses nothing, and the others keep their order") {
  for (Does connect : {Does::ok, Does::error}) {
    for (int step = 0; step < 80; ++step) {
      CAPTURE(step);
      config::Pool o = busy_options();
      o.max = 1;
      o.acquire_timeout = 10s;
      PoolLoop t(o);
      t.server->connect.next = {connect};
      t.pool().ready();
      std::vector<Caller*> all;
      for (int i = 0; i < 4; ++i) all.push_back(&t.acquire());
      Caller& cancelled = *all[1];
      for (int i = 0; i < step; ++i) {
        t.loop.restart();
        t.loop.poll_one();
        for (Caller* c : all) {
          if (c != &cancelled) c->lease.reset();
        }
      }
      cancelled.cancel.emit(asio::cancellation_type::terminal);
      std::vector<Caller*> expected;
      for (Caller* c : all) {
        REQUIRE(t.run_until([&] { return c->done; }));
        if (c->lease || c != &cancelled) expected.push_back(c);
        c->lease.reset();
      }
      t.order.remove(&cancelled);
      std::erase(expected, &cancelled);
      CHECK(std::vector<Caller*>(t.order.begin(), t.order.end()) == expected);
      CHECK(t.close());
      CHECK(t.table->free() == 16);
      CHECK(t.server->sessions.empty());
    }
  }
}

namespace {

awaitable<void> take_and_give(Pool* pool, asio::io_context* loop, int rounds, int* served, int* running) {
  for (int i = 0; i < rounds; ++i) {
    Lease lease = co_await pool->acquire();
    co_await asio::post(*loop, use_awaitable);
    ++*served;
  }
  --*running;
}

}  // namespace

TEST_CASE("a limit that changes all the time starves nobody and loses nothing") {
  PermitRows table(16, 4);
  asio::io_context loop(1);
  auto server = std::make_shared<StubServer>();
  server->connect.does = server->close.does = Does::slow;
  server->slow_time = 1ms;
  config::Pool o = busy_options();
  o.max.reset();
  o.acquire_timeout = 20s;
  o.close_timeout = o.connect_timeout = 5s;
  PoolResources resources;
  resources.share = table.share;
  Pool pool(loop, o, std::make_unique<StubConnector>(loop, server), resources);
  pool.ready();
  int served = 0, running = 12, failed = 0;
  for (int i = 0; i < 12; ++i) {
    auto finished = [&failed](const std::exception_ptr& error) { failed += error != nullptr; };
    asio::co_spawn(loop, take_and_give(&pool, &loop, 100, &served, &running), finished);
  }
  std::minstd_rand random(5);
  const TimePoint end = Clock::now() + 30s;
  while (running > 0 && failed == 0 && Clock::now() < end) {
    loop.run_one_for(1ms);
    if (random() % 50 == 0) table.set_limit(static_cast<std::uint32_t>(random() % 4));
  }
  CHECK(failed == 0);
  CHECK(served == 1200);
  CHECK(server->most_sessions <= 4);
  std::optional<bool> empty;
  auto finished = [&empty](const std::exception_ptr&, bool result) { empty = result; };
  asio::co_spawn(loop, pool.close(Deadline::after(5s)), finished);
  while (!empty) loop.run_one();
  CHECK(*empty);
  CHECK(table.free() == 16);
}
