// Multiplexed connections: several requests on one, exclusive leases beside them.
#include "core_fixture.hpp"

using namespace sluice;
using namespace sluice::pool;
using namespace sluice::test;
using budget::RowState;

namespace {

struct SharingTest : CoreTest {
  explicit SharingTest(std::uint32_t capacity, config::Pool o = sized(4)) : CoreTest(std::move(o), 16, nullptr, nullptr, false, capacity) { core->ready(now); }
  static config::Pool sized(std::uint32_t max) {
    config::Pool o;
    o.max = max;
    return o;
  }
  TestWaiter& share(Duration limit = 5s) {
    TestWaiter& w = waiter(limit);
    w.shared = true;
    return CoreTest::acquire(w);
  }
  void end(TestWaiter& w, bool retire = false) { core->end_request(*w.entry, w.since, retire, now); }
  // One connection with so many requests in flight.
  std::vector<TestWaiter*> busy(int requests) {
    std::vector<TestWaiter*> all;
    for (int i = 0; i < requests; ++i) {
      all.push_back(&share());
      if (!all.back()->entry) finish_connect();
    }
    events.clear();
    return all;
  }
};

}  // namespace

TEST_CASE("requests share the connection with the fewest in flight, and another is opened only when none has room") {
  SharingTest t(3);
  auto first = t.busy(3);
  CHECK(t.core->numbers().in_flight == 3);
  CHECK(t.core->numbers().leased == 1);
  CHECK(t.effects.connects.empty());
  TestWaiter& fourth = t.share();
  CHECK_FALSE(fourth.answered());
  t.finish_connect();
  REQUIRE(fourth.entry);
  CHECK(fourth.entry != first[0]->entry);
  TestWaiter& fifth = t.share();
  CHECK(fifth.entry == fourth.entry);
  t.end(*first[0]);
  t.end(*first[1]);
  TestWaiter& sixth = t.share();
  CHECK(sixth.entry == first[2]->entry);
  CHECK(t.core->numbers().in_flight == 4);
  CHECK(t.stats.leased.get() + t.stats.multiplexed.get() == 4);
}

TEST_CASE("the row is leased as long as any request is in flight") {
  SharingTest t(2);
  auto both = t.busy(2);
  CHECK(t.rows(RowState::leased) == 1);
  t.end(*both[0]);
  CHECK(t.rows(RowState::leased) == 1);
  CHECK(t.stats.leased.get() == 1);
  t.end(*both[1]);
  CHECK(t.rows(RowState::idle) == 1);
  CHECK(t.stats.leased.get() == 0);
  CHECK(t.stats.acquires.get() == 2);
  CHECK(t.stats.use_seconds.total() == 2);
}

TEST_CASE("waiting requests fill up a connection that comes, and open no more than they need") {
  SharingTest t(4);
  std::vector<TestWaiter*> all;
  for (int i = 0; i < 10; ++i) all.push_back(&t.share());
  CHECK(t.effects.connects.size() == 3);
  t.finish_connect();
  t.finish_connect();
  CHECK(t.effects.served.size() == 8);
  t.finish_connect();
  CHECK(t.effects.served.size() == 10);
  CHECK(t.effects.served == std::deque<TestWaiter*>(all.begin(), all.end()));
}

TEST_CASE("a request that ends makes room for the next in the queue") {
  SharingTest t(2, SharingTest::sized(1));
  auto both = t.busy(2);
  TestWaiter& third = t.share();
  TestWaiter& fourth = t.share();
  t.end(*both[0]);
  CHECK(third.entry);
  CHECK_FALSE(fourth.answered());
  CHECK(t.core->numbers().in_flight == 2);
}

TEST_CASE("an exclusive caller lets no further request start, and gets the connection when it has run empty") {
  SharingTest t(3, SharingTest::sized(1));
  auto both = t.busy(2);
  TestWaiter& alone = t.acquire();
  TestWaiter& later = t.share();
  CHECK_FALSE(later.answered());
  t.end(*both[0]);
  CHECK_FALSE(alone.answered());
  t.end(*both[1]);
  REQUIRE(alone.entry);
  CHECK(alone.entry->state == EntryState::leased);
  CHECK_FALSE(later.answered());
  t.give_back(*alone.entry);
  CHECK(later.entry);
}

TEST_CASE("a capacity of one makes a shared lease an exclusive one") {
  SharingTest t(1, SharingTest::sized(1));
  TestWaiter& a = t.share();
  t.finish_connect();
  TestWaiter& b = t.share();
  CHECK_FALSE(b.answered());
  t.end(a);
  CHECK(b.entry == a.entry);
}

TEST_CASE("past its lifetime a connection takes no further request and is closed after the last one") {
  config::Pool o = SharingTest::sized(2);
  o.max_lifetime = 10s;
  o.lifetime_jitter = 0;
  SharingTest t(4, o);
  auto both = t.busy(2);
  t.now += 10s;
  TestWaiter& next = t.share();
  CHECK_FALSE(next.answered());
  CHECK(t.effects.connects.size() == 1);
  t.end(*both[0]);
  CHECK(t.effects.closes.empty());
  t.end(*both[1]);
  CHECK(t.effects.closes.size() == 1);
  t.finish_connect();
  CHECK(next.entry);
}

TEST_CASE("worn out by uses: the last request that it may carry is its last") {
  config::Pool o = SharingTest::sized(2);
  o.max_uses = 2;
  SharingTest t(4, o);
  auto both = t.busy(2);
  t.share();
  CHECK(t.effects.connects.size() == 1);
  t.end(*both[0]);
  t.end(*both[1]);
  CHECK(t.effects.closes.size() == 1);
}

TEST_CASE("clear with requests in flight: they go on, the connection goes after the last of them") {
  SharingTest t(4);
  auto both = t.busy(2);
  SUBCASE("left alone") {
    t.core->clear(t.now);
    CHECK(t.effects.interrupted.empty());
  }
  SUBCASE("interrupted, once for the connection") {
    t.core->clear(t.now, Pending::interrupt);
    CHECK(t.effects.interrupted.size() == 1);
  }
  t.core->ready(t.now);
  TestWaiter& next = t.share();
  CHECK_FALSE(next.answered());
  t.end(*both[0]);
  CHECK(t.effects.closes.empty());
  t.end(*both[1]);
  CHECK(t.events.back() == "closed 1 stale");
  CHECK(t.stats.lost.get() == 0);
}

TEST_CASE("close with requests in flight waits for them") {
  SharingTest t(4);
  auto both = t.busy(2);
  t.core->close(t.now);
  t.end(*both[0]);
  CHECK_FALSE(t.core->empty());
  t.end(*both[1]);
  t.finish_close();
  CHECK(t.core->empty());
  CHECK(t.table->free() == 16);
}

TEST_CASE("a request that condemns its connection lets the others finish") {
  SharingTest t(4);
  auto three = t.busy(3);
  t.end(*three[0], true);
  CHECK(t.effects.closes.empty());
  TestWaiter& next = t.share();
  CHECK_FALSE(next.answered());
  t.end(*three[1]);
  t.end(*three[2]);
  CHECK(t.effects.closes.size() == 1);
  t.finish_connect();
  CHECK(next.entry);
}

TEST_CASE("a connection that breaks under its requests counts as lost once, when they have ended") {
  SharingTest t(4);
  auto both = t.busy(2);
  both[0]->entry->connection->broken = true;
  t.end(*both[0]);
  CHECK(t.stats.lost.get() == 0);
  t.end(*both[1]);
  CHECK(t.stats.lost.get() == 1);
  CHECK(std::count(t.events.begin(), t.events.end(), "closed 1 error") == 1);
}

TEST_CASE("a shared connection left dirty is reset when it has run empty") {
  SharingTest t(4);
  auto both = t.busy(2);
  both[0]->entry->connection->dirty = true;
  t.end(*both[0]);
  CHECK(t.effects.resets.empty());
  t.end(*both[1]);
  CHECK(t.effects.resets.size() == 1);
  t.finish_reset();
  CHECK(t.core->numbers().idle == 1);
}

TEST_CASE("requests that are held for leak.after are told, where none began or ended meanwhile; nothing is taken away") {
  config::Pool o = SharingTest::sized(2);
  o.leak_after = 1s;
  o.leak_reclaim = true;
  SharingTest t(4, o);
  t.effects.reclaimable = true;
  auto both = t.busy(2);
  t.pass(900ms);
  t.end(*both[0]);  // the connection is in use
  t.pass(900ms);
  CHECK(t.effects.suspicions.empty());
  t.pass(500ms);
  REQUIRE(t.effects.suspicions.size() == 1);
  CHECK(t.effects.suspicions[0].type == EventType::leak_suspected);
  CHECK(t.effects.suspicions[0].age >= 1s);
  CHECK(t.stats.leaks.get() == 1);
  t.pass(10s);
  CHECK(t.effects.suspicions.size() == 1);
  CHECK(both[1]->entry->connection);
  t.share();
  t.pass(2s);
  CHECK(t.effects.suspicions.size() == 2);
}
