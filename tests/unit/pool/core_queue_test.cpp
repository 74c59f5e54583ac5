// Who is served next: priority classes, and callers that want several connections at once.
#include "core_fixture.hpp"

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

TestWaiter& acquire(CoreTest& t, Priority priority, std::uint16_t wants = 1, Duration limit = 5s) {
  TestWaiter& w = t.waiter(limit);
  w.priority = priority;
  w.collected.wants = wants;
  return t.acquire(w);
}

}  // namespace

TEST_CASE("a higher class goes first, and within a class whoever came first") {
  CoreTest t(sized(1));
  t.core->ready(t.now);
  PoolEntry& e = t.leased();
  TestWaiter& low = acquire(t, Priority::low);
  TestWaiter& normal = acquire(t, Priority::normal);
  TestWaiter& high = acquire(t, Priority::high);
  TestWaiter& later = acquire(t, Priority::high);
  t.effects.served.clear();
  for (int i = 0; i < 4; ++i) t.give_back(e);
  CHECK(t.effects.served == std::deque<TestWaiter*>{&high, &later, &normal, &low});
}

TEST_CASE("a lower class is passed by eight connections at most, then it has its turn") {
  CoreTest t(sized(1));
  t.core->ready(t.now);
  PoolEntry& e = t.leased();
  SUBCASE("one lower class") {
    TestWaiter& normal = acquire(t, Priority::normal);
    for (int i = 0; i < 20; ++i) acquire(t, Priority::high);
    for (std::uint32_t i = 0; i < most_overtakings; ++i) t.give_back(e);
    CHECK_FALSE(normal.answered());
    t.give_back(e);
    CHECK(normal.entry);
  }
  SUBCASE("both lower classes: one more") {
    TestWaiter& normal = acquire(t, Priority::normal);
    TestWaiter& low = acquire(t, Priority::low);
    for (int i = 0; i < 20; ++i) acquire(t, Priority::high);
    for (std::uint32_t i = 0; i < most_overtakings + 2; ++i) t.give_back(e);
    CHECK(normal.entry);
    CHECK(low.entry);
  }
  SUBCASE("a class that comes later starts at nothing") {
    for (int i = 0; i < 20; ++i) acquire(t, Priority::high);
    for (std::uint32_t i = 0; i < most_overtakings; ++i) t.give_back(e);
    TestWaiter& normal = acquire(t, Priority::normal);
    t.give_back(e);
    CHECK_FALSE(normal.answered());
  }
}

TEST_CASE("several connections come together or not at all") {
  CoreTest t(sized(3));
  t.core->ready(t.now);
  PoolEntry& a = t.leased();
  PoolEntry& b = t.leased();
  TestWaiter& all = acquire(t, Priority::normal, 3);
  CHECK(t.effects.connects.size() == 1);
  t.finish_connect();
  t.give_back(a);
  CHECK_FALSE(all.answered());
  CHECK(t.core->numbers().idle == 0);
  CHECK(t.core->try_lease(t.now, 1) == nullptr);
  t.give_back(b);
  REQUIRE(all.entries.size() == 3);
  CHECK(t.core->numbers().leased == 3);
  CHECK(t.core->numbers().waiting == 0);
  for (PoolEntry* e : all.entries) t.give_back(*e);
  CHECK(t.core->numbers().idle == 3);
}

TEST_CASE("who wants several opens as many as are missing") {
  CoreTest t(sized(8));
  t.core->ready(t.now);
  t.with_idle(1);
  TestWaiter& all = acquire(t, Priority::normal, 4);
  CHECK(t.effects.connects.size() == 3);
  t.finish_connect();
  CHECK(t.effects.connects.size() == 2);
  t.finish_connect();
  t.finish_connect();
  CHECK(all.entries.size() == 4);
  CHECK(t.effects.connects.empty());
}

TEST_CASE("who gives up collecting several leaves them to the next") {
  CoreTest t(sized(2));
  t.core->ready(t.now);
  PoolEntry& a = t.leased();
  PoolEntry& b = t.leased();
  TestWaiter& all = acquire(t, Priority::normal, 2, 1s);
  TestWaiter& next = acquire(t, Priority::normal, 1, 60s);
  t.give_back(a);
  CHECK_FALSE(next.answered());
  SUBCASE("cancelled") {
    t.core->cancel(all, t.now);
    CHECK(all.error->phase() == Phase::cancelled);
  }
  SUBCASE("out of time") {
    t.pass(1s);
    CHECK(all.error->phase() == Phase::wait_timeout);
  }
  CHECK(next.entry == &a);
  t.give_back(b);
  t.give_back(a);
  CHECK(t.core->numbers().idle == 2);
  CHECK(t.rows(RowState::idle) == 2);
}

TEST_CASE("two that want everything never wait for what the other holds, whatever their classes") {
  CoreTest t(sized(3));
  t.core->ready(t.now);
  PoolEntry& a = t.leased();
  PoolEntry& b = t.leased();
  PoolEntry& c = t.leased();
  TestWaiter& first = acquire(t, Priority::normal, 3);
  t.give_back(a);
  t.give_back(b);
  TestWaiter& second = acquire(t, Priority::high, 3);
  t.give_back(c);
  REQUIRE(first.entries.size() == 3);
  CHECK_FALSE(second.answered());
  for (PoolEntry* e : first.entries) t.give_back(*e);
  CHECK(second.entries.size() == 3);
}

TEST_CASE("clear, pause and close take back what was collected") {
  CoreTest t(sized(2));
  t.core->ready(t.now);
  PoolEntry& a = t.leased();
  t.leased();
  TestWaiter& all = acquire(t, Priority::normal, 2);
  t.give_back(a);
  SUBCASE("clear") {
    t.core->clear(t.now);
    CHECK(all.error->phase() == Phase::connect);
    CHECK(t.effects.closes.size() == 1);
  }
  SUBCASE("pause") {
    t.core->pause(t.now);
    CHECK(all.error->phase() == Phase::paused);
    CHECK(t.core->numbers().idle == 1);
  }
  SUBCASE("close") {
    t.core->close(t.now);
    CHECK(all.error->phase() == Phase::closed);
    CHECK(t.effects.closes.size() == 1);
  }
  CHECK(t.core->numbers().leased == 1);
}

TEST_CASE("more connections than there may ever be are refused at once, and so are none") {
  CoreTest t(sized(3));
  t.core->ready(t.now);
  for (std::uint16_t wants : {4, 0}) {
    TestWaiter& w = acquire(t, Priority::normal, wants);
    REQUIRE(w.error);
    CHECK(w.error->phase() == Phase::too_many);
  }
  CHECK(t.effects.connects.empty());
}

TEST_CASE("queue_limit 0 never waits: an idle connection or an error") {
  config::Pool o = sized(2);
  o.queue_limit = 0;
  o.min_idle = 1;
  CoreTest t(o);
  t.core->ready(t.now);
  t.finish_connect();
  TestWaiter& served = t.acquire();
  CHECK(served.entry);
  TestWaiter& refused = t.acquire();
  REQUIRE(refused.error);
  CHECK(refused.error->phase() == Phase::queue_full);
  t.give_back(*served.entry);
  TestWaiter& two = acquire(t, Priority::normal, 2);
  REQUIRE(two.error);
  CHECK(two.error->phase() == Phase::queue_full);
}
