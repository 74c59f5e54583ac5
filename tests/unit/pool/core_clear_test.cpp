// clear() and connections that are on their way; and what becomes of waiters when a connect fails.
#include "core_fixture.hpp"

using namespace sluice;
using namespace sluice::pool;
using namespace sluice::test;
using budget::RowState;

TEST_CASE("an interrupting clear closes what is connecting, then fails the waiters, and keeps the permit until the driver has answered") {
  CoreTest t;
  t.core->ready(t.now);
  TestWaiter& w = t.acquire();
  t.events.clear();
  t.core->clear(t.now, Pending::interrupt);
  CHECK(t.events == Strings{"pool_cleared", "closed 1 stale", "checkout_failed connect"});
  CHECK(w.error);
  CHECK(t.core->numbers().connecting == 0);
  CHECK(t.core->numbers().closing == 1);
  CHECK(t.rows(RowState::connecting) == 1);
  t.events.clear();
  SUBCASE("it fails: nothing more is said, and nobody takes it for an outage") {
    t.fail_connect();
    CHECK(t.core->last_connect_error().empty());
    CHECK(t.stats.connect_errors.get() == 0);
  }
  SUBCASE("it connects all the same: it is closed without another word") {
    t.finish_connect();
    CHECK(t.rows(RowState::closing) == 1);
    t.finish_close();
  }
  CHECK(t.events.empty());
  CHECK(t.core->empty());
  CHECK(t.table->free() == 16);
}

TEST_CASE("an interrupted connect that does not end is given up after close_timeout, as any close is") {
  config::Pool options;
  options.connect_timeout = 60s;
  options.close_timeout = 1s;
  CoreTest t(options);
  t.core->ready(t.now);
  t.acquire();
  t.core->clear(t.now, Pending::interrupt);
  t.events.clear();
  t.pass(1s);
  CHECK(t.rows(RowState::connecting) == 1);
  t.pass(1s);
  CHECK(t.rows(RowState::quarantined) == 1);
  CHECK(t.core->numbers().closing == 0);
  CHECK(t.events.empty());
  t.fail_connect();  // far too late
  CHECK(t.core->empty());
}

TEST_CASE("what was interrupted serves nobody: the next waiter gets a connect of its own") {
  CoreTest t;
  t.core->ready(t.now);
  t.acquire();
  t.core->clear(t.now, Pending::interrupt);
  t.core->ready(t.now);
  TestWaiter& w = t.acquire();
  REQUIRE(t.effects.connects.size() == 2);
  t.fail_connect();
  CHECK_FALSE(w.answered());
  t.finish_connect();
  REQUIRE(w.entry);
  CHECK(w.entry->id == 2);
}

TEST_CASE("an interrupting clear leaves established connections to their holders") {
  CoreTest t;
  t.core->ready(t.now);
  PoolEntry& held = t.leased();
  t.core->clear(t.now, Pending::interrupt);
  CHECK(held.state == EntryState::leased);
  t.events.clear();
  t.give_back(held);
  CHECK(t.events == Strings{"returned 1", "closed 1 stale"});
}

TEST_CASE("a paused pool interrupts as well, and does not say that it was cleared") {
  CoreTest t;
  t.core->ready(t.now);
  t.acquire();
  t.core->pause(t.now);
  t.events.clear();
  t.core->clear(t.now, Pending::interrupt);
  CHECK(t.events == Strings{"closed 1 stale"});
}

TEST_CASE("fail_fast: each failed connect fails one waiter, the longest, after the connection's end was told") {
  CoreTest t({}, 16, nullptr, nullptr, true);
  t.core->ready(t.now);
  TestWaiter& first = t.acquire();
  TestWaiter& second = t.acquire();
  t.events.clear();
  t.fail_connect();
  CHECK(t.events == Strings{"closed 1 error", "checkout_failed connect"});
  REQUIRE(first.error);
  CHECK(first.error->last_connect_error() == "connection refused");
  CHECK_FALSE(second.answered());
  t.finish_connect();
  CHECK(second.entry);
}

TEST_CASE("fail_fast: without waiters a failed connect is tried again for min_idle only") {
  CoreTest t({}, 16, nullptr, nullptr, true);
  t.core->ready(t.now);
  t.acquire();
  t.fail_connect();
  t.pass(60s);
  CHECK(t.effects.connects.empty());
}

TEST_CASE("clear touches no idle connection: they are closed some at a time, and nobody gets them") {
  CoreTest t({}, 300);
  t.core->ready(t.now);
  t.with_idle(200);
  t.core->clear(t.now);
  CHECK(t.effects.closes.empty());
  CHECK(t.effects.wake <= t.now);
  t.core->tick(t.now);
  const std::size_t first = t.effects.closes.size();
  CHECK(first > 0);
  CHECK(first < 100);
  CHECK(t.core->try_lease(t.now, 1) == nullptr);
  for (int i = 0; i < 10; ++i) t.core->tick(t.now);
  CHECK(t.effects.closes.size() == 200);
  CHECK(t.core->numbers().idle == 0);
}

TEST_CASE("a refreshed pool goes on: new callers get new connections while the old ones are still being closed") {
  CoreTest t({}, 300);
  t.core->ready(t.now);
  t.with_idle(200);
  TestWaiter& before = t.acquire();
  t.core->refresh(t.now);
  TestWaiter& w = t.acquire();
  REQUIRE_FALSE(w.answered());
  PoolEntry& fresh = t.finish_connect();
  CHECK(w.entry == &fresh);
  t.give_back(fresh);
  CHECK(t.core->try_lease(t.now, 1) == &fresh);
  t.give_back(*before.entry);
  CHECK(t.core->numbers().idle < 200);
  t.core->close(t.now);
  t.give_back(fresh);
  CHECK(t.core->numbers().idle == 0);
}

TEST_CASE("an interrupting clear ends what holders run, and their connections are closed as stale, not as lost") {
  CoreTest t;
  t.core->ready(t.now);
  PoolEntry& e = t.leased();
  t.events.clear();
  t.core->clear(t.now, Pending::interrupt);
  CHECK(t.effects.interrupted == std::vector<std::uint64_t>{1});
  CHECK(e.connection->broken);
  CHECK(t.events == Strings{"pool_cleared"});
  t.give_back(e);
  CHECK(t.events == Strings{"pool_cleared", "returned 1", "closed 1 stale"});
  CHECK(t.stats.lost.get() == 0);
}
