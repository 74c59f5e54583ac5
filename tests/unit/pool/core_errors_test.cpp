// What fails a caller: the phase of the error, and the root cause that it carries.
#include "core_fixture.hpp"

using namespace sluice;
using namespace sluice::pool;
using namespace sluice::test;

namespace {

config::Pool sized(std::uint32_t max) {
  config::Pool o;
  o.max = max;
  return o;
}

bool tells(const TestWaiter& w, const char* words) { return w.error && std::string(w.error->what()).find(words) != std::string::npos; }

}  // namespace

TEST_CASE("a caller whose time ends while every check fails learns that, with the last check's error") {
  CoreTest t(sized(2));
  t.core->ready(t.now);
  SUBCASE("pings") {
    t.with_idle(2);
    t.now += 1s;
    t.acquire(300ms);
    t.finish_ping(false);
    t.finish_ping(false);
  }
  SUBCASE("resets") {
    PoolEntry& a = t.leased();
    PoolEntry& b = t.leased();
    t.acquire(300ms);
    for (PoolEntry* e : {&a, &b}) {
      e->connection->dirty = true;
      t.give_back(*e);
      t.finish_reset(false);
    }
  }
  TestWaiter& w = t.waiters.back();
  t.pass(300ms);
  REQUIRE(w.error);
  CHECK(w.error->phase() == Phase::validation);
  CHECK(tells(w, "no connection passed its check within 300 ms (validation)"));
  CHECK(tells(w, "last check error: no answer"));
}

TEST_CASE("a check that does not even hear its cancellation is a failed one") {
  CoreTest t(sized(1));
  t.core->ready(t.now);
  t.with_idle(1);
  t.now += 1s;
  TestWaiter& w = t.acquire(1600ms);
  t.pass(1500ms);
  REQUIRE(t.effects.connects.size() == 1);
  t.pass(100ms);
  REQUIRE(w.error);
  CHECK(w.error->phase() == Phase::validation);
  CHECK(tells(w, "last check error: an operation of the driver does not end"));
}

TEST_CASE("a failed check is forgotten once a connection works, and is not the phase of who came later") {
  CoreTest t(sized(1));
  t.core->ready(t.now);
  t.with_idle(1);
  t.now += 1s;
  TestWaiter& first = t.acquire(60s);
  t.finish_ping(false);
  SUBCASE("another one works") {
    t.finish_close();
    t.finish_connect();
    REQUIRE(first.entry);
    TestWaiter& w = t.acquire(50ms);
    t.pass(50ms);
    REQUIRE(w.error);
    CHECK(w.error->phase() == Phase::wait_timeout);
    CHECK_FALSE(tells(w, "check"));
  }
  SUBCASE("somebody comes later") {
    t.now += 1ms;
    TestWaiter& w = t.acquire(50ms);
    t.pass(50ms);
    REQUIRE(w.error);
    CHECK(w.error->phase() == Phase::wait_timeout);
    CHECK(tells(w, "last check error: no answer"));
  }
  SUBCASE("then the connect fails, too: that is what keeps the caller waiting") {
    t.finish_close();
    t.fail_connect();
    t.pass(60s);
    REQUIRE(first.error);
    CHECK(first.error->phase() == Phase::connect);
  }
}
