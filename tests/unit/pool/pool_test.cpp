// The pool as its users see it, on a real loop with a stub server.
#include <support/pool_loop.hpp>

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <functional>
#include <thread>

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
struct FailsToStart {
  template <class Handler>
  void operator()(Handler&&) const {
    throw std::runtime_error("served");
  }
};
awaitable<void> fail_when_served(pool::Pool& pool) {
  const Lease lease = co_await pool.acquire();
  const FailsToStart start;
  co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(start, use_awaitable);
}
}  // namespace

TEST_CASE("a lease gives its connection back when it ends, and the next caller gets the same one") {
  PoolLoop t;
  t.pool().ready();
  Caller& a = t.leased();
  CHECK(a.lease->id() == 1);
  CHECK(t.table->in(RowState::leased) == 1);
  a.lease.reset();
  CHECK(t.table->in(RowState::idle) == 1);
  Lease again = t.pool().try_acquire();
  REQUIRE(again);
  CHECK(again.id() == 1);
  CHECK_FALSE(t.pool().try_acquire());
  CHECK(t.server->connect.calls == 1);
  again.release();
  CHECK(t.close());
  CHECK(t.table->free() == 16);
  CHECK(t.server->sessions.empty());
}

TEST_CASE("use after return is caught, a second return does nothing") {
  PoolLoop t;
  t.pool().ready();
  Lease lease = std::move(*t.leased().lease);
  CHECK(lease->session == 1);
  lease.release();
  CHECK_FALSE(lease);
  CHECK_THROWS_AS(lease.connection(), sluice::Error);
  lease.release();
  lease.discard();
  CHECK(t.pool().numbers().idle == 1);
}

TEST_CASE("a moved lease returns its connection once") {
  PoolLoop t;
  t.pool().ready();
  Lease a = std::move(*t.leased().lease);
  Lease b = std::move(a);
  CHECK_FALSE(a);
  a = std::move(b);
  Lease& same = a;
  a = std::move(same);
  CHECK(a);
  a = Lease();
  CHECK(t.pool().numbers().idle == 1);
}

TEST_CASE("waiters are served first come, first served") {
  PoolLoop t(sized(1));
  t.pool().ready();
  Caller& holder = t.leased();
  t.order.clear();
  Caller& a = t.acquire();
  Caller& b = t.acquire();
  Caller& c = t.acquire();
  t.settle();
  CHECK(t.pool().numbers().waiting == 3);
  holder.lease.reset();
  for (Caller* next : {&a, &b, &c}) {
    REQUIRE(t.run_until([&] { return next->done; }));
    next->lease.reset();
  }
  CHECK(t.order == std::list<Caller*>{&a, &b, &c});
  CHECK(t.server->connect.calls == 1);
}

TEST_CASE("a lease is never delivered inside the call that frees a connection") {
  PoolLoop t(sized(1));
  t.pool().ready();
  Caller& holder = t.leased();
  Caller& waiter = t.acquire();
  t.settle();
  holder.lease.reset();
  CHECK_FALSE(waiter.done);
  CHECK(t.pool().numbers().leased == 1);
  t.settle();
  CHECK(waiter.done);
}

TEST_CASE("who are served together go on in one turn of the loop") {
  PoolLoop t(sized(2));
  t.pool().ready();
  Caller &one = t.leased(), &two = t.leased();
  Caller &a = t.acquire(), &b = t.acquire();
  t.settle();
  t.order.clear();
  one.lease.reset();
  two.lease.reset();
  t.loop.restart();
  CHECK(t.loop.poll_one() == 1);
  CHECK(t.order == std::list<Caller*>{&a, &b});
}

TEST_CASE("one that throws when it is served takes nothing from those who are served with it") {
  PoolLoop t(sized(2));
  t.pool().ready();
  Caller &one = t.leased(), &two = t.leased();
  const auto rethrow = [](const std::exception_ptr& failure) {
    if (failure) std::rethrow_exception(failure);
  };
  asio::co_spawn(t.loop, fail_when_served(t.pool()), rethrow);
  Caller& other = t.acquire();
  t.settle();
  one.lease.reset();
  two.lease.reset();
  CHECK_THROWS_WITH(t.settle(), "served");
  t.settle();
  CHECK(other.lease);
  Caller& later = t.leased();
  CHECK(later.lease);
}

TEST_CASE("the wait ends with the option's limit, or the call's own") {
  config::Pool o = sized(1);
  o.acquire_timeout = 20ms;
  PoolLoop t(o);
  t.pool().ready();
  t.leased();
  Caller& patient = t.acquire(10s);
  Caller& standard = t.acquire();
  Caller& hasty = t.acquire(0s);
  REQUIRE(t.run_until([&] { return standard.done; }));
  REQUIRE(standard.error);
  CHECK(standard.error->phase() == Phase::wait_timeout);
  REQUIRE(hasty.error);
  CHECK(std::string(hasty.error->what()).find("no connection within 0 ms") != std::string::npos);
  CHECK_FALSE(patient.done);
}

TEST_CASE("a cancelled caller loses nothing") {
  PoolLoop t(sized(1));
  t.pool().ready();
  Caller& holder = t.leased();
  Caller& cancelled = t.acquire();
  Caller& next = t.acquire();
  t.settle();
  SUBCASE("while it waits") {
    cancelled.cancel.emit(asio::cancellation_type::terminal);
    t.settle();
    REQUIRE(cancelled.error);
    CHECK(cancelled.error->phase() == Phase::cancelled);
    holder.lease.reset();
  }
  SUBCASE("when a connection is already on its way to it") {
    holder.lease.reset();
    cancelled.cancel.emit(asio::cancellation_type::terminal);
    t.settle();
    CHECK(cancelled.done);
    cancelled.lease.reset();
  }
  REQUIRE(t.run_until([&] { return next.done; }));
  REQUIRE(next.lease);
  next.lease.reset();
  CHECK(t.pool().numbers().idle == 1);
  CHECK(t.pool().numbers().waiting == 0);
}

TEST_CASE("a connect outlives the caller that caused it") {
  PoolLoop t;
  t.server->connect.does = Does::slow;
  t.pool().ready();
  Caller& cancelled = t.acquire();
  t.settle();
  cancelled.cancel.emit(asio::cancellation_type::terminal);
  t.settle();
  CHECK(cancelled.done);
  CHECK(t.run_until([&] { return t.pool().numbers().idle == 1; }));
}

TEST_CASE("a server that comes back is noticed without help") {
  config::Pool o;
  o.connect_backoff_min = 1ms;
  o.connect_backoff_max = 2ms;
  PoolLoop t(o);
  t.server->connect.next = {Does::error, Does::error, Does::error};
  t.pool().ready();
  Caller& caller = t.acquire();
  REQUIRE(t.run_until([&] { return caller.done; }));
  CHECK(caller.lease);
  CHECK(t.server->connect.calls == 4);
  CHECK(t.pool().last_connect_error().empty());
}

TEST_CASE("a server that stays away is named in the caller's error") {
  config::Pool o;
  o.connect_backoff_min = o.connect_backoff_max = 1ms;
  PoolLoop t(o);
  t.server->connect.does = Does::error;
  t.pool().ready();
  Caller& caller = t.acquire(30ms);
  REQUIRE(t.run_until([&] { return caller.done; }));
  REQUIRE(caller.error);
  CHECK(caller.error->phase() == Phase::connect);
  CHECK(std::string(caller.error->what()).find("last connect error: stub: connection refused") != std::string::npos);
}

TEST_CASE("a shrinking limit takes back what is idle, and the rest when it comes back") {
  PoolLoop t;
  t.pool().ready();
  Caller& a = t.leased();
  Caller& b = t.leased();
  Caller& c = t.leased();
  c.lease.reset();
  t.table->set_limit(1);
  REQUIRE(t.run_until([&] { return t.table->share->held() == 2; }));
  CHECK(t.pool().numbers().leased == 2);
  a.lease.reset();
  REQUIRE(t.run_until([&] { return t.table->share->held() == 1; }));
  b.lease.reset();
  CHECK(t.pool().numbers().idle == 1);
}

TEST_CASE("two pools on one share help each other out") {
  PoolLoop t({}, 16, std::make_shared<PermitRows>(16, 2));
  config::Pool o;
  o.name = "other";
  Pool& other = t.add_pool(o);
  t.pool().ready();
  other.ready();
  Caller& a = t.leased();
  Caller& b = t.leased();
  a.lease.reset();
  b.lease.reset();
  Caller& theirs = t.acquire({}, &other);
  REQUIRE(t.run_until([&] { return theirs.done; }));
  CHECK(theirs.lease);
  CHECK(t.pool().numbers().idle == 1);
  CHECK(t.server->most_sessions == 2);
  theirs.lease.reset();
  CHECK(t.close());
  CHECK(t.table->free() == 16);
}

TEST_CASE("close waits for leases until its deadline and says whether anything is left") {
  PoolLoop t;
  t.pool().ready();
  Caller& holder = t.leased();
  CHECK_FALSE(t.close(20ms));
  CHECK(t.table->in(RowState::leased) == 1);
  CHECK(holder.lease->connection().session == 1);
  holder.lease.reset();
  CHECK(t.close());
  CHECK(t.table->free() == 16);
  Caller& late = t.acquire();
  REQUIRE(t.run_until([&] { return late.done; }));
  REQUIRE(late.error);
  CHECK(late.error->phase() == Phase::closed);
}

TEST_CASE("warming up opens what is wanted, and gives up at its deadline") {
  config::Pool o;
  o.min_idle = 2;
  PoolLoop t(o);
  std::optional<bool> warm;
  auto finished = [&warm](const std::exception_ptr&, bool result) { warm = result; };
  SUBCASE("the server is there") {
    t.pool().ready();
    asio::co_spawn(t.loop, t.pool().warm_up(Deadline::after(5s)), finished);
    REQUIRE(t.run_until([&] { return warm.has_value(); }));
    CHECK(*warm);
    CHECK(t.pool().numbers().idle == 2);
  }
  SUBCASE("the server is away") {
    t.server->connect.does = Does::error;
    t.pool().ready();
    asio::co_spawn(t.loop, t.pool().warm_up(Deadline::after(20ms)), finished);
    REQUIRE(t.run_until([&] { return warm.has_value(); }));
    CHECK_FALSE(*warm);
  }
  SUBCASE("fewer permits than wanted") {
    t.table->set_limit(1);
    t.pool().ready();
    asio::co_spawn(t.loop, t.pool().warm_up(Deadline::after(5s)), finished);
    REQUIRE(t.run_until([&] { return warm.has_value(); }));
    CHECK(*warm);
  }
}

TEST_CASE("a closed pool leaves nothing on the loop") {
  PoolLoop t;
  t.pool().ready();
  t.leased().lease.reset();
  CHECK(t.close());
  t.loop.restart();
  const TimePoint start = Clock::now();
  t.loop.run();
  CHECK(Clock::now() - start < 50ms);
}

TEST_CASE("a lease may outlive its pool") {
  PoolLoop t;
  t.pool().ready();
  Caller& holder = t.leased();
  t.pools.clear();
  CHECK(holder.lease->connection().session == 1);
  holder.lease.reset();
  CHECK(t.run_until([&] { return t.table->free() == 16; }));
}

TEST_CASE("when the loop goes away first, nothing leaks and every permit is accounted for") {
  auto table = std::make_shared<PermitRows>(8);
  auto server = std::make_shared<StubServer>();
  std::optional<Lease> kept;
  std::optional<Pool> pool;
  {
    asio::io_context loop(1);
    PoolResources resources;
    resources.share = table->share;
    config::Pool o = sized(3);
    pool.emplace(loop, o, std::make_unique<StubConnector>(loop, server), resources);
    pool->ready();
    Caller held, on_its_way, waiting;
    asio::co_spawn(loop, acquire_into(*pool, held, {}, nullptr), asio::detached);
    while (!held.lease) loop.run_one();
    kept = std::move(held.lease);
    asio::co_spawn(loop, acquire_into(*pool, on_its_way, {}, nullptr), asio::detached);
    while (server->sessions.size() < 2) loop.run_one();
    server->connect.does = Does::stuck;
    asio::co_spawn(loop, acquire_into(*pool, waiting, {}, nullptr), asio::detached);
    loop.poll();
  }
  CHECK(table->in(RowState::leased) == 1);
  kept.reset();
  pool.reset();
  CHECK(server->sessions.empty());
  CHECK(table->share->held() == 0);
  CHECK(table->in(RowState::quarantined) + table->free() == 8);
}

TEST_CASE("a pool refuses to work in a forked child, and the child leaves the parent's connections alone") {
  PoolLoop t;
  t.pool().ready();
  Caller& holder = t.leased();
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    int failed = 1;
    try {
      static_cast<void>(t.pool().try_acquire());
    } catch (const Error& e) {
      failed = std::string(e.what()).find("through fork()") != std::string::npos ? 0 : 2;
    }
    holder.lease.reset();
    t.pools.clear();
    if (t.server->sessions.size() != 1 || t.server->close.calls != 0) failed |= 4;
    ::_exit(failed);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  holder.lease.reset();
  CHECK(t.pool().numbers().idle == 1);
}

TEST_CASE("in a forked child whatever a pool is asked or told throws") {
  PoolLoop t;
  t.pool().ready();
  Pool& pool = t.pool();
  const std::vector<std::function<void()>> calls = {
      [&] { pool.ready(); },
      [&] { pool.pause(); },
      [&] { pool.clear(); },
      [&] { pool.refresh(); },
      [&] { pool.hooks({}); },
      [&] { pool.permits_changed(); },
      [&] { pool.on_event([](const Event&) {}); },
      [&] { static_cast<void>(pool.events()); },
      [&] { static_cast<void>(pool.numbers()); },
      [&] { static_cast<void>(pool.health()); },
      [&] { static_cast<void>(pool.connections()); },
      [&] { static_cast<void>(pool.try_acquire()); },
      [&] { static_cast<void>(pool.try_acquire_shared()); },
      [&] { static_cast<void>(pool.acquire()); },
      [&] { static_cast<void>(pool.acquire_shared()); },
  };
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::size_t threw = 0;
    for (const auto& call : calls) {
      try {
        call();
      } catch (const Error&) {
        ++threw;
      }
    }
    ::_exit(static_cast<int>(calls.size() - threw));
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("while the loop turns in one thread, another thread's rare calls throw instead of racing with it") {
  PoolLoop t;
  t.pool().ready();
  t.leased().lease.reset();  // so the loop has been seen to turn here
  t.loop.restart();
  int threw = 0;
  std::thread([&] {
    for (const auto& call : std::vector<std::function<void()>>{[&] { t.pool().pause(); }, [&] { static_cast<void>(t.pool().numbers()); }}) {
      try {
        call();
      } catch (const Error& e) {
        threw += std::string(e.what()).find("another thread") != std::string::npos;
      }
    }
  }).join();
  CHECK(threw == 2);
  CHECK(t.pool().numbers().idle == 1);
}

TEST_CASE("a loop that has come to its end may be taken over by another thread") {
  PoolLoop t;
  t.pool().ready();
  t.leased().lease.reset();
  t.loop.stop();
  bool threw = false;
  std::thread([&] {
    try {
      t.pool().pause();
    } catch (const Error&) {
      threw = true;
    }
  }).join();
  CHECK_FALSE(threw);
}

TEST_CASE("a driver that never ends its work does not hold up the close for ever") {
  config::Pool o;
  o.connect_timeout = 10ms;
  o.close_timeout = 10ms;
  PoolLoop t(o);
  t.server->connect.does = Does::deaf;
  t.pool().ready();
  Caller& caller = t.acquire(20ms);
  REQUIRE(t.run_until([&] { return caller.done; }));
  CHECK(t.close());
  CHECK(t.table->share->held() == 0);
  CHECK(t.table->in(RowState::quarantined) == 1);
}

TEST_CASE("a burst of callers costs no more connections than needed and all are served") {
  PoolLoop t(sized(4));
  t.pool().ready();
  std::vector<Caller*> all;
  for (int i = 0; i < 200; ++i) all.push_back(&t.acquire());
  for (Caller* caller : all) {
    REQUIRE(t.run_until([&] { return caller->done; }));
    REQUIRE(caller->lease);
    caller->lease.reset();
  }
  CHECK(t.server->connect.calls == 4);
  CHECK(t.stats.front().acquires.get() == 200);
}

TEST_CASE("an interrupting clear ends a connect that is stuck, and its permit comes back") {
  PoolLoop t;
  t.server->connect.does = Does::stuck;
  t.pool().ready();
  Caller& caller = t.acquire();
  REQUIRE(t.run_until([&] { return t.server->connect.calls == 1; }));
  t.pool().clear(Pending::interrupt);
  REQUIRE(t.run_until([&] { return caller.done && t.pool().numbers().closing == 0; }));
  REQUIRE(caller.error);
  CHECK(caller.error->phase() == Phase::connect);
  CHECK(t.pool().numbers().held == 0);
  t.server->connect.does = Does::ok;
  t.pool().ready();
  t.leased();
}
