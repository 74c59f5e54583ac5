// The pool core and a server that goes away: the outage and its end are noticed even when nobody asks for a connection.
#include "core_fixture.hpp"

using namespace sluice;
using namespace sluice::pool;
using namespace sluice::test;

TEST_CASE("after a lost connection the idle ones are checked one by one, and then the server is tried again until it answers") {
  CoreTest t;
  t.core->ready(t.now);
  t.with_idle(3);
  PoolEntry& lost = t.leased();
  lost.connection->broken = true;
  t.give_back(lost);
  t.finish_close();
  CHECK(t.effects.pings.empty());
  for (int i = 0; i < 2; ++i) {
    t.pass(100ms);
    REQUIRE(t.effects.pings.size() == 1);
    t.finish_ping(false);
    t.finish_close();
  }
  REQUIRE(t.effects.connects.size() == 1);
  t.fail_connect();
  CHECK(t.stats.reachable.get() == 2);
  CHECK(t.effects.connects.empty());
  t.pass(1s);
  REQUIRE(t.effects.connects.size() == 1);
  t.finish_connect();
  CHECK(t.stats.reachable.get() == 1);
  t.pass(10s);
  CHECK(t.effects.connects.empty());
  CHECK(t.effects.pings.empty());
}

TEST_CASE("a check that succeeds ends the doubt") {
  CoreTest t;
  t.core->ready(t.now);
  t.with_idle(3);
  PoolEntry& lost = t.leased();
  lost.connection->broken = true;
  t.give_back(lost);
  t.finish_close();
  t.pass(100ms);
  t.finish_ping();
  t.pass(10s);
  CHECK(t.effects.pings.empty());
  CHECK(t.core->numbers().idle == 2);
}

TEST_CASE("a connect past its timeout has failed for everybody, though its permit waits for the proof") {
  config::Pool options;
  options.connect_timeout = 1s;
  CoreTest t(options);
  t.core->ready(t.now);
  TestWaiter& w = t.acquire(2s);
  t.pass(1500ms);
  CHECK(t.stats.reachable.get() == 2);
  CHECK(t.stats.connect_errors.get() == 1);
  CHECK_FALSE(t.core->last_connect_error().empty());
  t.pass(600ms);
  REQUIRE(w.error);
  CHECK(w.error->phase() == Phase::connect);
  t.fail_connect(false, "no answer");
  CHECK(t.stats.connect_errors.get() == 1);
  CHECK(t.core->last_connect_error() == "no answer");
}

TEST_CASE("that a connect failed is known before its permit is free: nobody takes its place without knowing") {
  CoreTest t;
  t.core->ready(t.now);
  t.acquire();
  static const budget::Share* share;
  static bool known;
  share = t.table->share.get();
  known = false;
  budget::step_listener = [](const char* what, budget::Moment moment, std::uint64_t) {
    if (moment == budget::Moment::before && std::string_view(what) == "release") known = share->outage();
  };
  t.fail_connect();
  budget::step_listener = nullptr;
  CHECK(known);
  CHECK(t.rows(budget::RowState::connecting) == 0);
}
