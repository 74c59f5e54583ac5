// The pool core and the permits: limits that change, pools that share, operations that never end.
#include "core_fixture.hpp"

using namespace sluice;
using namespace sluice::pool;
using namespace sluice::test;
using budget::RowState;

TEST_CASE("the limit bounds the pool, and a raised limit is noticed by the rescan") {
  CoreTest t;
  t.table->set_limit(1);
  t.core->ready(t.now);
  t.leased();
  TestWaiter& w = t.acquire();
  CHECK(t.effects.connects.empty());
  CHECK(t.core->wants_permits());
  CHECK(t.core->numbers().limit == 1);
  t.pass(10ms);
  t.table->set_limit(2);
  CHECK(t.effects.connects.empty());
  t.pass(50ms);
  REQUIRE(t.effects.connects.size() == 1);
  CHECK_FALSE(t.core->wants_permits());
  t.finish_connect();
  CHECK(w.entry);
}

TEST_CASE("a lowered limit closes idle connections first, leased ones at their return, and no more than needed") {
  CoreTest t;
  t.core->ready(t.now);
  t.with_idle(4);
  PoolEntry& a = t.leased();
  PoolEntry& b = t.leased();
  t.table->set_limit(1);
  t.pass(100ms);
  CHECK(t.effects.closes.size() == 2);
  t.give_back(a);
  CHECK(t.events.back() == "closed 4 shrink");
  t.give_back(b);
  CHECK(t.events.back() == "returned 3");
  while (!t.effects.closes.empty()) t.finish_close();
  CHECK(t.table->share->held() == 1);
  CHECK(t.core->numbers().idle == 1);
}

TEST_CASE("a limit of zero takes everything, and waiters get permits when it comes back") {
  CoreTest t;
  t.core->ready(t.now);
  t.with_idle(2);
  t.table->set_limit(0);
  t.pass(100ms);
  TestWaiter& w = t.acquire(10s);
  while (!t.effects.closes.empty()) t.finish_close();
  CHECK(t.table->share->held() == 0);
  t.table->set_limit(1);
  t.pass(50ms);
  t.finish_connect();
  CHECK(w.entry);
}

TEST_CASE("a pool with idle connections yields one to its sibling that has waiters") {
  auto permits = std::make_shared<PermitRows>(8, 2);
  auto siblings = std::make_shared<Siblings>();
  config::Pool keeps;
  keeps.min_idle = 1;
  CoreTest b(keeps, 8, permits, siblings);
  CoreTest a({}, 8, permits, siblings);
  b.core->ready(b.now);
  b.finish_connect();
  b.with_idle(1);
  PoolEntry& second = b.leased();
  b.acquire();
  b.finish_connect();
  b.give_back(second);
  PoolEntry* leased_by_b = b.effects.served.back()->entry;
  b.give_back(*leased_by_b);
  REQUIRE(b.core->numbers().idle == 2);

  a.core->ready(a.now);
  TestWaiter& w = a.acquire();
  CHECK(b.effects.closes.size() == 1);
  CHECK(b.events.back() == "closed 1 shrink");
  TestWaiter& w2 = a.acquire();
  CHECK(b.effects.closes.size() == 2);  // nothing of its own and two waiters: min_idle of another is only a wish
  b.finish_close();
  REQUIRE(a.effects.connects.size() == 1);
  a.finish_connect();
  CHECK(w.entry);
  b.finish_close();
  a.finish_connect();
  CHECK(w2.entry);
}

TEST_CASE("a sibling with a connection of its own cannot take another below min_idle") {
  auto permits = std::make_shared<PermitRows>(8, 2);
  auto siblings = std::make_shared<Siblings>();
  config::Pool keeps;
  keeps.min_idle = 1;
  CoreTest b(keeps, 8, permits, siblings);
  CoreTest a({}, 8, permits, siblings);
  b.core->ready(b.now);
  b.finish_connect();
  a.core->ready(a.now);
  a.leased();
  a.acquire();
  CHECK(b.effects.closes.empty());
}

TEST_CASE("a busy pool gives its next returned permit to a sibling that has none at all") {
  auto permits = std::make_shared<PermitRows>(8, 2);
  auto siblings = std::make_shared<Siblings>();
  CoreTest b({}, 8, permits, siblings);
  CoreTest a({}, 8, permits, siblings);
  a.core->ready(a.now);
  b.core->ready(b.now);
  PoolEntry& one = b.leased();
  PoolEntry& two = b.leased();
  TestWaiter& busy = b.acquire();
  TestWaiter& starving = a.acquire();
  b.give_back(one);
  CHECK(b.events.back() == "closed 1 shrink");
  b.give_back(two);
  CHECK(busy.entry == &two);
  b.finish_close();
  REQUIRE(a.effects.connects.size() == 1);
  a.finish_connect();
  CHECK(starving.entry);
}

TEST_CASE("claims honour the limit on rows that are connecting, over all") {
  auto permits = std::make_shared<PermitRows>(8);
  permits->share->set_max_connecting(2);
  CoreTest t({}, 8, permits);
  t.core->ready(t.now);
  TestWaiter& a = t.acquire();
  t.acquire();
  TestWaiter& c = t.acquire();
  CHECK(t.effects.connects.size() == 2);
  PoolEntry& first = t.finish_connect();
  CHECK(a.entry == &first);
  CHECK(t.effects.connects.size() == 2);
  t.finish_connect();
  t.finish_connect();
  CHECK(c.entry);
}

TEST_CASE("an operation that ignores its deadline is cancelled, then given up with its permit in quarantine") {
  struct Cancelled : Operation {
    int* count;
    explicit Cancelled(int* c) : count(c) {}
    void cancel() noexcept override { ++*count; }
  };
  int cancelled = 0;
  config::Pool o;
  o.connect_timeout = 1s;
  o.close_timeout = 1s;
  o.queue_limit = 10;
  CoreTest t(o);
  t.core->ready(t.now);
  TestWaiter& w = t.acquire(60s);
  REQUIRE(t.effects.connects.size() == 1);
  PoolEntry* stuck = t.effects.connects.front().entry;
  stuck->operation = std::make_shared<Cancelled>(&cancelled);
  t.pass(2200ms);
  CHECK(cancelled == 0);
  t.pass(100ms);
  CHECK(cancelled == 1);
  CHECK(t.rows(RowState::connecting) == 1);
  t.pass(200ms);
  CHECK(t.rows(RowState::quarantined) == 1);
  CHECK(t.core->last_connect_error() == "an operation of the driver does not end");
  t.effects.connects.pop_front();
  t.pass(1s);
  REQUIRE(t.effects.connects.size() == 1);
  t.finish_connect();
  REQUIRE(w.entry);
  t.core->connected(*stuck, std::make_unique<Connection>(), t.now);  // far too late: dropped
  CHECK(t.core->numbers().leased == 1);
  CHECK(t.core->numbers().idle == 0);
  t.core->discard(*w.entry, t.now);
  t.finish_close();
  CHECK(t.core->empty());
}

TEST_CASE("a close that never ends is given up as well") {
  config::Pool o;
  o.close_timeout = 1s;
  CoreTest t(o);
  t.core->ready(t.now);
  PoolEntry& e = t.leased();
  t.core->close(t.now);
  t.give_back(e);
  t.pass(2s);
  CHECK(t.core->empty());
  CHECK(t.rows(RowState::quarantined) == 1);
  CHECK(t.table->share->held() == 0);
}

TEST_CASE("what a destroyed core still held is left to quarantine") {
  auto permits = std::make_shared<PermitRows>(8);
  {
    CoreTest t({}, 8, permits);
    t.core->ready(t.now);
    t.with_idle(2);
    t.leased();
  }
  CHECK(permits->share->held() == 0);
  CHECK(permits->in(RowState::quarantined) == 2);
}

TEST_CASE("statistics follow the pool") {
  CoreTest t;
  t.core->ready(t.now);
  PoolEntry& e = t.leased();
  t.leased();
  t.now += 3ms;
  t.give_back(e);
  CHECK(t.stats.idle.get() == 1);
  CHECK(t.stats.leased.get() == 1);
  CHECK(t.stats.acquires.get() == 2);
  CHECK(t.stats.connects.get() == 2);
  CHECK(t.stats.acquire_wait_seconds.total() == 2);
  CHECK(t.stats.create_seconds.total() == 2);
  CHECK(t.stats.use_seconds.total() == 1);
  CHECK(t.stats.use_seconds.sum_nanos.get() == 3'000'000);
  CHECK(t.stats.reachable.get() == 1);
  t.core->close(t.now);
  t.finish_close();
  CHECK(t.stats.closes.get() == 1);
  CHECK(t.stats.idle.get() == 0);
}
