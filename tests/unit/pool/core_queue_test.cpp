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

TEST_CASE("more connections than the worker's share can ever give are refused at once, without holding up the others") {
  SUBCASE("nothing is lent: its limit") {
    CoreTest t({}, 16, std::make_shared<PermitRows>(16, 3));
    t.core->ready(t.now);
    TestWaiter& w = acquire(t, Priority::normal, 4);
    REQUIRE(w.error);
    CHECK(w.error->phase() == Phase::too_many);
    CHECK(std::string(w.error->what()).find("the maximum is now 3") != std::string::npos);
    CHECK(t.effects.connects.empty());
    CHECK_FALSE(acquire(t, Priority::normal, 3).error);
  }
  SUBCASE("a limit that is not known yet refuses nobody") {
    CoreTest t({}, 16, std::make_shared<PermitRows>(16, 0));
    t.core->ready(t.now);
    TestWaiter& w = acquire(t, Priority::normal, 3);
    CHECK_FALSE(w.answered());
    t.table->set_limit(3);
    t.pass(50ms);
    for (int i = 0; i < 3; ++i) t.finish_connect();
    CHECK(w.entries.size() == 3);
  }
  SUBCASE("a limit that falls while somebody collects ends that, and the next is served") {
    CoreTest t({}, 16, std::make_shared<PermitRows>(16, 3));
    t.core->ready(t.now);
    TestWaiter& many = acquire(t, Priority::normal, 3, 60s);
    TestWaiter& next = acquire(t, Priority::normal, 1, 60s);
    t.finish_connect();
    t.table->set_limit(2);
    t.pass(200ms);
    REQUIRE(many.error);
    CHECK(many.error->phase() == Phase::too_many);
    t.finish_connect();
    CHECK(next.entry);
  }
}

// ---- queue_limit 0: nobody waits for what another caller holds, but for a connect that is begun for him

namespace {

config::Pool impatient(std::uint32_t max) {
  config::Pool o = sized(max);
  o.queue_limit = 0;
  return o;
}

bool refused(const TestWaiter& w) { return w.error && w.error->phase() == Phase::queue_full; }

}  // namespace

TEST_CASE("queue_limit 0: an idle connection, one that is opened for the caller, or an error") {
  CoreTest t(impatient(2));
  t.core->ready(t.now);
  TestWaiter& a = t.acquire();
  TestWaiter& b = t.acquire();
  CHECK(t.effects.connects.size() == 2);
  CHECK(refused(t.acquire()));
  PoolEntry& first = t.finish_connect();
  CHECK(a.entry == &first);
  CHECK(refused(t.acquire()));
  t.finish_connect();
  CHECK(b.entry);
  CHECK(refused(t.acquire()));
  t.give_back(first);
  CHECK(refused(acquire(t, Priority::normal, 2)));
  CHECK(t.acquire().entry == &first);
  CHECK(t.core->numbers().waiting == 0);
}

TEST_CASE("queue_limit 0: a pool whose last connection was closed serves again") {
  config::Pool o = impatient(2);
  o.idle_timeout = 10s;
  CoreTest t(o);
  t.core->ready(t.now);
  t.with_idle(1);
  t.pass(11s);
  REQUIRE(t.effects.closes.size() == 1);
  SUBCASE("closed") {
    t.finish_close();
    REQUIRE(t.core->empty());
    TestWaiter& w = t.acquire();
    t.finish_connect();
    CHECK(w.entry);
  }
  SUBCASE("still closing, and there is room for no other until then") {
    t.table->set_limit(1);
    TestWaiter& w = t.acquire();
    CHECK(refused(t.acquire()));
    CHECK(t.effects.connects.empty());
    t.finish_close();
    t.finish_connect();
    CHECK(w.entry);
  }
}

TEST_CASE("queue_limit 0: a connect that fails leaves a place too few, and the last in the queue is told the cause") {
  CoreTest t(impatient(2));
  t.core->ready(t.now);
  TestWaiter& w = t.acquire();
  TestWaiter& other = t.acquire();
  t.fail_connect();
  CHECK_FALSE(w.answered());
  REQUIRE(other.error);
  CHECK(other.error->phase() == Phase::connect);
  CHECK(other.error->last_connect_error() == "connection refused");
  t.finish_connect();
  CHECK(w.entry);
}

TEST_CASE("queue_limit 0: while the server is away callers are refused with the cause, and the probe is a place to wait for") {
  CoreTest t(impatient(4));
  t.core->ready(t.now);
  TestWaiter& first = t.acquire();
  t.fail_connect();
  REQUIRE(first.error);
  CHECK(first.error->phase() == Phase::connect);
  TestWaiter& second = t.acquire();
  REQUIRE(second.error);
  CHECK(second.error->last_connect_error() == "connection refused");
  t.pass(200ms);
  REQUIRE(t.effects.connects.size() == 1);
  TestWaiter& third = t.acquire();
  CHECK(refused(t.acquire()));
  t.finish_connect();
  CHECK(third.entry);
}

TEST_CASE("queue_limit 0: no permit, no place; a connect that only waits for its turn is one") {
  SUBCASE("the limit") {
    CoreTest t(impatient(8), 16, std::make_shared<PermitRows>(16, 1));
    t.core->ready(t.now);
    CHECK_FALSE(t.acquire().answered());
    CHECK(refused(t.acquire()));
    CHECK(t.core->numbers().waiting == 1);
  }
  SUBCASE("rows that others hold") {
    CoreTest t(impatient(8), 1);
    t.core->ready(t.now);
    CHECK_FALSE(t.acquire().answered());
    CHECK(refused(t.acquire()));
    CHECK(t.core->numbers().waiting == 1);
  }
  SUBCASE("max_connecting") {
    CoreTest t(impatient(2));
    t.table->share->set_max_connecting(1);
    t.core->ready(t.now);
    TestWaiter& a = t.acquire();
    TestWaiter& b = t.acquire();
    CHECK(t.effects.connects.size() == 1);
    CHECK(refused(t.acquire()));
    t.finish_connect();
    t.finish_connect();
    CHECK(a.entry);
    CHECK(b.entry);
  }
}

TEST_CASE("queue_limit 0: a caller waits for the check of an idle connection, and for what replaces a dead one") {
  CoreTest t(impatient(1));
  t.core->ready(t.now);
  t.with_idle(1);
  t.now += 1s;
  TestWaiter& w = t.acquire();
  REQUIRE(t.effects.pings.size() == 1);
  CHECK(refused(t.acquire()));
  SUBCASE("alive") { t.finish_ping(); }
  SUBCASE("dead") {
    t.finish_ping(false);
    t.finish_close();
    t.finish_connect();
  }
  CHECK(w.entry);
}

TEST_CASE("queue_limit: who gets a connection of his own opened does not count") {
  config::Pool o = sized(3);
  o.queue_limit = 1;
  CoreTest t(o);
  t.core->ready(t.now);
  for (int i = 0; i < 4; ++i) CHECK_FALSE(t.acquire().answered());
  CHECK(t.effects.connects.size() == 3);
  CHECK(refused(t.acquire()));
}
