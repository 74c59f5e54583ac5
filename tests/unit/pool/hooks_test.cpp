// The hooks of a pool, and what becomes of connections when one throws.
#include <support/pool_loop.hpp>

#include <doctest/doctest.h>
#include <string>
#include <vector>

using namespace sluice;
using namespace sluice::pool;
using namespace sluice::test;
using budget::RowState;

namespace {

struct Failure : std::runtime_error {
  Failure() : std::runtime_error("not today") {}
};

awaitable<void> note(std::vector<std::string>* told, asio::io_context* loop, std::uint64_t session) {
  co_await asio::post(*loop, use_awaitable);
  told->push_back("after_connect " + std::to_string(session));
}

awaitable<void> fail_later(asio::io_context* loop) {
  co_await asio::post(*loop, use_awaitable);
  throw Failure();
}

config::Pool quick() {
  config::Pool o;
  o.connect_backoff_min = 1ms;
  o.connect_backoff_max = 2ms;
  o.max = 1;
  return o;
}

}  // namespace

TEST_CASE("hooks are called at the turning points of a connection's life, in order") {
  PoolLoop t(quick());
  std::vector<std::string> told;
  Hooks hooks;
  hooks.before_connect = [&] { told.push_back("before_connect"); };
  hooks.after_connect = [&](Connection& c, Deadline d) {
    CHECK_FALSE(d.is_never());
    return note(&told, &t.loop, c.session);
  };
  hooks.before_lease = [&](Connection& c) { told.push_back("before_lease " + std::to_string(c.session)); };
  hooks.after_return = [&](Connection& c) { told.push_back("after_return " + std::to_string(c.session)); };
  hooks.before_close = [&](Connection& c) { told.push_back("before_close " + std::to_string(c.session)); };
  t.pool().hooks(std::move(hooks));
  t.pool().ready();
  t.leased().lease.reset();
  t.pool().try_acquire().release();
  t.leased().lease.reset();
  CHECK(t.close());
  const std::vector<std::string> expected = {"before_connect", "after_connect 1", "before_lease 1", "after_return 1", "before_lease 1",
                                             "after_return 1", "before_lease 1",  "after_return 1", "before_close 1"};
  CHECK(told == expected);
}

TEST_CASE("a failing before_connect opens nothing, and waiters learn the cause") {
  PoolLoop t(quick());
  Hooks hooks;
  hooks.before_connect = [] { throw Failure(); };
  t.pool().hooks(std::move(hooks));
  t.pool().ready();
  Caller& caller = t.acquire(30ms);
  REQUIRE(t.run_until([&] { return caller.done; }));
  REQUIRE(caller.error);
  CHECK(caller.error->phase() == Phase::connect);
  CHECK(caller.error->last_connect_error() == "before_connect: not today");
  CHECK(t.server->connect.calls == 0);
  CHECK(t.close());
  CHECK(t.table->free() == 16);
}

TEST_CASE("a connection whose after_connect fails is closed, its permit comes back, and the next one is tried") {
  PoolLoop t(quick());
  int failed = 0;
  Hooks hooks;
  hooks.after_connect = [&](Connection&, Deadline) -> awaitable<void> {
    if (failed++ < 2) return fail_later(&t.loop);
    return []() -> awaitable<void> { co_return; }();
  };
  t.pool().hooks(std::move(hooks));
  std::vector<std::string> told;
  t.pool().on_event([&](const Event& e) {
    if (e.type == EventType::hook_failed) told.emplace_back(e.detail);
  });
  t.pool().ready();
  Caller& caller = t.acquire();
  REQUIRE(t.run_until([&] { return caller.done; }));
  CHECK(caller.lease);
  CHECK(t.server->connect.calls == 3);
  CHECK(t.server->close.calls == 2);
  CHECK(t.server->sessions.size() == 1);
  CHECK(t.table->in(RowState::leased) == 1);
  CHECK(t.table->free() == 15);
  CHECK(told == std::vector<std::string>{"after_connect: not today", "after_connect: not today"});
  CHECK(t.stats.front().connect_errors.get() == 2);
}

TEST_CASE("a failing before_lease is the caller's error, and its connection is closed") {
  PoolLoop t(quick());
  bool failing = true;
  Hooks hooks;
  hooks.before_lease = [&](Connection&) {
    if (failing) throw Failure();
  };
  t.pool().hooks(std::move(hooks));
  t.pool().ready();
  Caller& waiting = t.acquire();
  REQUIRE(t.run_until([&] { return waiting.done; }));
  REQUIRE(waiting.error);
  CHECK(waiting.error->phase() == Phase::hook);
  CHECK(std::string(waiting.error->what()).find("before_lease: not today") != std::string::npos);
  REQUIRE(t.run_until([&] { return t.table->free() == 16; }));

  failing = false;
  t.leased().lease.reset();
  failing = true;
  CHECK_THROWS_AS(static_cast<void>(t.pool().try_acquire()), PoolError);
  REQUIRE(t.run_until([&] { return t.table->free() == 16; }));
  failing = false;
  t.leased();
}

TEST_CASE("a connection whose after_return fails is closed, and whoever waits gets another") {
  PoolLoop t(quick());
  bool failing = true;
  Hooks hooks;
  hooks.after_return = [&](Connection&) {
    if (std::exchange(failing, false)) throw Failure();
  };
  t.pool().hooks(std::move(hooks));
  t.pool().ready();
  Caller& holder = t.leased();
  Caller& next = t.acquire();
  t.settle();
  holder.lease.reset();
  REQUIRE(t.run_until([&] { return next.done; }));
  REQUIRE(next.lease);
  CHECK((*next.lease)->session == 2);
  next.lease.reset();
  CHECK(t.pool().numbers().idle == 1);
}

TEST_CASE("after_return may ask for a reset") {
  PoolLoop t(quick());
  Hooks hooks;
  hooks.after_return = [](Connection& c) { c.dirty = true; };
  t.pool().hooks(std::move(hooks));
  t.pool().ready();
  t.leased().lease.reset();
  CHECK(t.run_until([&] { return t.server->reset.calls == 1 && t.pool().numbers().idle == 1; }));
}

TEST_CASE("a failing before_close does not keep the connection from being closed") {
  PoolLoop t(quick());
  Hooks hooks;
  hooks.before_close = [](Connection&) { throw Failure(); };
  t.pool().hooks(std::move(hooks));
  t.pool().ready();
  t.leased().lease.reset();
  CHECK(t.close());
  CHECK(t.server->sessions.empty());
  CHECK(t.table->free() == 16);
}

TEST_CASE("hooks that are set later replace the connections that were opened without them") {
  PoolLoop t(quick());
  t.pool().ready();
  t.leased().lease.reset();
  int prepared = 0;
  Hooks hooks;
  hooks.after_connect = [&](Connection&, Deadline) -> awaitable<void> {
    ++prepared;
    return []() -> awaitable<void> { co_return; }();
  };
  t.pool().hooks(std::move(hooks));
  Caller& caller = t.leased();
  CHECK((*caller.lease)->session == 2);
  CHECK(prepared == 1);
}
