// The other ways to hold a connection: shared, several at once, pinned, detached; and what a pool shows of itself.
#include <support/pool_loop.hpp>

#include <sluice/core/task.hpp>

#include <doctest/doctest.h>
#include <set>

using namespace sluice;
using namespace sluice::pool;
using namespace sluice::test;
using budget::RowState;

namespace {

config::Pool sized(std::uint32_t max) {
  config::Pool o;
  o.max = max;
  return o;
}

}  // namespace

TEST_CASE("shared leases travel on one connection, and end one by one") {
  PoolLoop t(sized(2));
  t.pools.clear();
  t.server->max_requests = 3;
  config::Pool o = sized(2);
  o.name = "many";
  Pool& pool = t.add_pool(o);
  pool.ready();
  std::vector<Lease> leases;
  for (int i = 0; i < 4; ++i) leases.push_back(t.run(pool.acquire_shared()));
  CHECK(leases[0].shared());
  CHECK(leases[0].id() == leases[1].id());
  CHECK(leases[0].id() == leases[2].id());
  CHECK(leases[0].id() != leases[3].id());
  CHECK(pool.numbers().leased == 2);
  CHECK(pool.numbers().in_flight == 4);
  CHECK(t.server->connect.calls == 2);
  Lease more = pool.try_acquire_shared();
  CHECK(more.id() == leases[3].id());
  CHECK_THROWS_AS(static_cast<void>(std::move(more).detach()), Error);
  more.release();
  leases[1].discard();
  leases[0].release();
  CHECK(leases[2]->session == 1);
  leases.clear();
  REQUIRE(t.run_until([&] { return t.server->sessions.size() == 1; }));
  CHECK(pool.numbers().idle == 1);
  CHECK(pool.numbers().in_flight == 0);
}

TEST_CASE("option max_requests_per_connection: no more than that, whatever the driver can do") {
  auto table = std::make_shared<PermitRows>(16);
  auto server = std::make_shared<StubServer>();
  server->max_requests = 8;
  asio::io_context loop(1);
  config::Pool o = sized(4);
  o.max_requests_per_connection = 2;
  PoolResources resources;
  resources.share = table->share;
  Pool pool(loop, o, std::make_unique<StubConnector>(loop, server), std::move(resources));
  pool.ready();
  std::vector<Lease> leases;
  for (int i = 0; i < 3; ++i) {
    bool done = false;
    asio::co_spawn(loop, pool.acquire_shared(), [&](std::exception_ptr error, Lease lease) {
      done = true;
      if (!error) leases.push_back(std::move(lease));
    });
    while (!done) loop.run_one();
  }
  REQUIRE(leases.size() == 3);
  CHECK(leases[0].id() == leases[1].id());
  CHECK(leases[2].id() != leases[0].id());
}

TEST_CASE("several connections at once: all, when there are enough, or an error") {
  PoolLoop t(sized(3));
  t.pool().ready();
  Caller& holder = t.leased();
  bool done = false;
  std::vector<Lease> all;
  asio::co_spawn(t.loop, t.pool().acquire_many(3), [&](std::exception_ptr error, std::vector<Lease> leases) {
    done = !error;
    all = std::move(leases);
  });
  REQUIRE(t.run_until([&] { return t.server->sessions.size() == 3; }));
  t.settle();
  CHECK_FALSE(done);
  holder.lease.reset();
  REQUIRE(t.run_until([&] { return done; }));
  REQUIRE(all.size() == 3);
  CHECK(std::set<std::uint64_t>{all[0].id(), all[1].id(), all[2].id()}.size() == 3);
  CHECK_THROWS_AS(t.run(t.pool().acquire_many(4)), PoolError);
  CHECK_THROWS_AS(t.run(t.pool().acquire_many(2, within(20ms))), PoolError);
  all.clear();
  CHECK(t.pool().numbers().idle == 3);
  CHECK(t.run(t.pool().acquire_many(1)).size() == 1);
}

TEST_CASE("a caller's class and limit are the call's own") {
  PoolLoop t(sized(1));
  t.pool().ready();
  Caller& holder = t.leased();
  std::vector<int> order;
  int ended = 0;
  std::vector<Lease> kept;
  const auto arrived = [&](int who) {
    return [&, who](std::exception_ptr error, Lease lease) {
      ++ended;
      if (!error) order.push_back(who);
      lease.release();
    };
  };
  asio::co_spawn(t.loop, t.pool().acquire(Priority::low), arrived(3));
  asio::co_spawn(t.loop, t.pool().acquire(), arrived(2));
  asio::co_spawn(t.loop, t.pool().acquire(within(5s) | Priority::high), arrived(1));
  asio::co_spawn(t.loop, t.pool().acquire(within(1ms) | Priority::high), arrived(0));
  REQUIRE(t.run_until([&] { return ended == 1; }));
  CHECK(order.empty());
  holder.lease.reset();
  REQUIRE(t.run_until([&] { return ended == 4; }));
  CHECK(order == std::vector<int>{1, 2, 3});
}

TEST_CASE("a pinned connection is a pointer, is no leak, and says when it is no longer usable") {
  config::Pool o = sized(1);
  o.leak_after = 20ms;
  PoolLoop t(o);
  t.pool().ready();
  Pinned pinned = t.run(t.pool().pin());
  REQUIRE(pinned.connection());
  CHECK(pinned->session == 1);
  CHECK(pinned.usable());
  const TimePoint end = Clock::now() + 300ms;
  t.run_until([&] { return Clock::now() > end; });
  CHECK(t.pool().numbers().suspected_leaks == 0);
  t.pool().refresh();
  CHECK_FALSE(pinned.usable());
  CHECK(pinned.connection());
  pinned.release();
  CHECK_FALSE(pinned.connection());
  pinned = t.run(t.pool().pin());
  CHECK(pinned->session == 2);
}

TEST_CASE("a detached connection belongs to its holder, and its permit too") {
  PoolLoop t(sized(1));
  t.pool().ready();
  Caller& caller = t.leased();
  Detached mine = std::move(*caller.lease).detach();
  CHECK_FALSE(*caller.lease);
  CHECK_THROWS_AS(static_cast<void>(std::move(*caller.lease).detach()), Error);
  CHECK(mine->session == 1);
  CHECK(t.table->in(RowState::leased) == 1);
  Caller& next = t.leased();
  CHECK((*next.lease)->session == 2);
  next.lease.reset();
  CHECK_FALSE(t.close(20ms));
  Detached moved = std::move(mine);
  CHECK_THROWS_AS(static_cast<void>(mine.connection()), Error);
  moved.close();
  CHECK(t.close());
  CHECK(t.table->free() == 16);
}

TEST_CASE("preallocate opens so many connections, and says how many there are") {
  PoolLoop t(sized(4));
  t.pool().ready();
  CHECK(t.run(t.pool().preallocate(3, Deadline::after(5s))) == 3);
  CHECK(t.pool().numbers().idle == 3);
  CHECK(t.run(t.pool().preallocate(9, Deadline::after(5s))) == 4);
  t.server->connect.does = Does::error;
  t.pool().refresh();
  CHECK(t.run(t.pool().preallocate(2, Deadline::after(20ms))) <= 4);
}

TEST_CASE("a preallocation that is cancelled, or given up with its caller, leaves no minimum behind") {
  PoolLoop t(sized(4));
  t.server->connect.does = Does::stuck;
  t.pool().ready();
  asio::cancellation_signal cancel;
  bool ended = false;
  auto finished = [&](std::exception_ptr, std::uint32_t) { ended = true; };
  asio::co_spawn(t.loop, t.pool().preallocate(3, Deadline::after(1h)), asio::bind_cancellation_slot(cancel.slot(), finished));
  REQUIRE(t.run_until([&] { return t.server->connect.calls == 3; }));
  cancel.emit(asio::cancellation_type::terminal);
  REQUIRE(t.run_until([&] { return ended; }));
  t.pool().clear(Pending::interrupt);
  REQUIRE(t.run_until([&] { return t.pool().numbers().held == 0; }));
  t.server->connect.does = Does::ok;
  t.pool().ready();
  t.settle();
  CHECK(t.server->connect.calls == 3);
}

TEST_CASE("a refresh replaces every connection, and nobody fails") {
  PoolLoop t(sized(2));
  t.pool().ready();
  Caller& holder = t.leased();
  t.leased().lease.reset();
  t.pool().refresh();
  CHECK((*holder.lease)->session == 1);
  Caller& next = t.leased();
  CHECK((*next.lease)->session == 3);
  holder.lease.reset();
  next.lease.reset();
  REQUIRE(t.run_until([&] { return t.server->sessions == std::set<std::uint64_t>{3}; }));
}

TEST_CASE("an interrupting clear interrupts what holders run, and their connections go at their return") {
  PoolLoop t(sized(2));
  t.pool().ready();
  Caller& holder = t.leased();
  t.pool().clear(Pending::interrupt);
  CHECK(t.server->interrupts == 1);
  CHECK((*holder.lease)->broken);
  holder.lease.reset();
  CHECK(t.run_until([&] { return t.server->sessions.empty(); }));
  CHECK(t.stats.front().lost.get() == 0);
}

namespace {

awaitable<void> nest(Pool* pool, std::string* failure) {
  Lease outer = co_await pool->acquire();
  try {
    Lease inner = co_await pool->acquire(within(20ms));
  } catch (const PoolError& e) {
    *failure = e.what();
  }
}

awaitable<void> note_task(Pool* pool, std::uint32_t* task) {
  const Lease lease = co_await pool->acquire();
  *task = current_task();
}

awaitable<void> take_all(Pool* pool) {
  const std::vector<Lease> first = co_await pool->acquire_many(2);
}

awaitable<void> hold(Pool* pool, asio::steady_timer* until) {
  Lease lease = co_await pool->acquire();
  error_code woken;
  co_await until->async_wait(asio::redirect_error(use_awaitable, woken));
}

}  // namespace

TEST_CASE("a task that waits for what it holds learns both places, through every suspension") {
  PoolLoop t(sized(1));
  t.pool().ready();
  std::string failure;
  bool done = false;
  asio::co_spawn(task_executor(t.loop.get_executor()), nest(&t.pool(), &failure), [&](std::exception_ptr) { done = true; });
  REQUIRE(t.run_until([&] { return done; }));
  CHECK(t.pool().numbers().suspected_deadlocks == 1);
  CHECK(failure.find("holds a connection of this pool itself, taken at") != std::string::npos);
  CHECK(failure.find("pool_kinds_test.cpp:") != failure.rfind("pool_kinds_test.cpp:"));
  CHECK(failure.find("nest") != std::string::npos);
  CHECK(current_task() == 0);
}

TEST_CASE("who is served goes on in its own task, and who has none in none") {
  PoolLoop t(sized(1));
  t.pool().ready();
  Caller& holder = t.leased();
  const auto executor = task_executor(t.loop.get_executor());
  std::uint32_t with_task = 0, without = 99;
  int done = 0;
  asio::co_spawn(executor, note_task(&t.pool(), &with_task), [&](std::exception_ptr) { ++done; });
  asio::co_spawn(t.loop, note_task(&t.pool(), &without), [&](std::exception_ptr) { ++done; });
  t.settle();
  {
    const task::Scope another(executor.id() + 1);
    holder.lease.reset();
    REQUIRE(t.run_until([&] { return done == 2; }));
  }
  CHECK(with_task == executor.id());
  CHECK(without == 0);
  CHECK(current_task() == 0);
}

TEST_CASE("a task that takes all connections at once is suspected of nothing") {
  PoolLoop t(sized(2));
  t.pool().ready();
  for (int i = 0; i < 2; ++i) {
    bool done = false;
    asio::co_spawn(task_executor(t.loop.get_executor()), take_all(&t.pool()), [&](std::exception_ptr) { done = true; });
    REQUIRE(t.run_until([&] { return done; }));
  }
  CHECK(t.pool().numbers().suspected_deadlocks == 0);
}

TEST_CASE("different tasks that wait for each other's connections are no deadlock") {
  PoolLoop t(sized(1));
  t.pool().ready();
  asio::steady_timer until(t.loop, TimePoint::max());
  std::string failure;
  int done = 0;
  asio::co_spawn(task_executor(t.loop.get_executor()), hold(&t.pool(), &until), [&](std::exception_ptr) { ++done; });
  asio::co_spawn(task_executor(t.loop.get_executor()), hold(&t.pool(), &until), [&](std::exception_ptr) { ++done; });
  REQUIRE(t.run_until([&] { return t.pool().numbers().waiting == 1 && t.pool().numbers().leased == 1; }));
  CHECK(t.pool().numbers().suspected_deadlocks == 0);
  REQUIRE(t.run_until([&] {
    until.cancel();
    return done == 2;
  }));
}

TEST_CASE("the connections of a pool can be looked at, each with its state and its holder's place") {
  config::Pool o = sized(3);
  o.server = "db";
  PoolLoop t(o);
  t.pool().ready();
  const TimePoint before = Clock::now();
  Caller& holder = t.leased();
  const TimePoint between = Clock::now();
  Caller& other = t.leased();
  const TimePoint held = Clock::now();
  other.lease.reset();
  const TimePoint after = Clock::now();
  const auto all = t.pool().connections();
  REQUIRE(all.size() == 2);
  CHECK(all[0].id == 1);
  CHECK(all[0].state == "leased");
  CHECK(all[0].in_flight == 1);
  CHECK(all[0].uses == 1);
  CHECK(all[0].session == 1);
  CHECK(all[0].call_site.find("pool_loop.hpp:") != std::string::npos);
  for (const ConnectionView& one : all) CHECK(one.server == "db");
  // Leased: used since the lease began, not since the connect.
  CHECK(all[0].created >= before);
  CHECK(all[0].last_used > all[0].created);
  CHECK(all[0].last_used <= between);
  // Idle: used until its return.
  CHECK(all[1].created >= between);
  CHECK(all[1].created <= held);
  CHECK(all[1].last_used >= held);
  CHECK(all[1].last_used <= after);
  CHECK(all[1].state == "idle");
  CHECK(all[1].in_flight == 0);
  CHECK(all[1].call_site.empty());
  holder.lease.reset();
}

TEST_CASE("a reclaimed lease says so, and its connection is closed") {
  config::Pool o = sized(1);
  o.leak_after = 20ms;
  o.leak_reclaim = true;
  PoolLoop t(o);
  t.server->may_reclaim = true;
  t.pool().ready();
  Caller& leak = t.leased();
  Caller& next = t.acquire();
  REQUIRE(t.run_until([&] { return next.done; }));
  CHECK(next.lease);
  CHECK_THROWS_WITH(static_cast<void>(leak.lease->connection()), "the lease has ended: its connection was taken away, because it was held for longer than leak.after");
  leak.lease.reset();
  next.lease.reset();
  CHECK(t.close());
  CHECK(t.table->free() == 16);
}

// ---- events as a stream

TEST_CASE("events come as a stream, beside the observer, and end with the pool") {
  PoolLoop t(sized(1));
  int observed = 0;
  EventStream events = t.pool().events();
  t.pool().on_event([&](const Event&) { ++observed; });
  CHECK(observed == 1);
  t.pool().ready();
  t.leased().lease.reset();
  CHECK(t.close());
  t.pools.clear();
  std::vector<std::string> names;
  while (auto event = t.run(events.next())) {
    names.emplace_back(to_text(event->event.type));
    CHECK(event->dropped == 0);
  }
  CHECK(names == std::vector<std::string>{"pool_ready", "checkout_started", "enqueued", "created", "connected", "leased", "returned", "closed", "pool_closed"});
  CHECK(observed == 10);
}

TEST_CASE("a reader that is too slow loses the oldest events, and learns how many") {
  PoolLoop t(sized(1));
  EventStream events = t.pool().events(3);
  t.pool().ready();
  t.leased().lease.reset();  // seven events
  auto first = t.run(events.next());
  REQUIRE(first);
  CHECK(first->event.type == EventType::connected);
  CHECK(first->dropped == 4);
  auto second = t.run(events.next());
  REQUIRE(second);
  CHECK(second->event.type == EventType::leased);
  CHECK(second->dropped == 0);
}

TEST_CASE("a reader waits for the next event, and may be cancelled without losing one") {
  PoolLoop t(sized(1));
  EventStream events = t.pool().events();
  std::optional<EventType> seen;
  std::exception_ptr failed;
  asio::cancellation_signal cancel;
  const auto arrived = [&](std::exception_ptr error, std::optional<StreamedEvent> event) {
    failed = error;
    if (event) seen = event->event.type;
  };
  asio::co_spawn(t.loop, events.next(), asio::bind_cancellation_slot(cancel.slot(), arrived));
  t.settle();
  CHECK_THROWS_AS(t.run(events.next()), Error);
  cancel.emit(asio::cancellation_type::terminal);
  t.settle();
  CHECK(failed);
  asio::co_spawn(t.loop, events.next(), arrived);
  t.settle();
  CHECK_FALSE(seen);
  t.pool().ready();
  REQUIRE(t.run_until([&] { return seen.has_value(); }));
  CHECK(*seen == EventType::pool_ready);
}
