#include "core_fixture.hpp"

using namespace sluice;
using namespace sluice::pool;
using namespace sluice::test;
using budget::RowState;

namespace {
config::Pool sized(std::uint32_t max, std::uint32_t min_idle = 0) {
  config::Pool o;
  o.max = max;
  o.min_idle = min_idle;
  return o;
}
}  // namespace

TEST_CASE("a connection passes through the permit table from claim to release") {
  CoreTest t;
  t.core->ready(t.now);
  TestWaiter& w = t.acquire();
  CHECK_FALSE(w.answered());
  CHECK(t.rows(RowState::connecting) == 1);
  CHECK(t.effects.connects.front().deadline.at == t.now + 5s);

  PoolEntry& e = t.finish_connect();
  REQUIRE(w.entry == &e);
  CHECK(t.rows(RowState::leased) == 1);
  const auto row = budget::read(t.table->rows(), e.row);
  CHECK(row.session == 101);
  CHECK(row.session_birth == 7);
  CHECK(row.call_site == 0);

  t.give_back(e);
  CHECK(t.rows(RowState::idle) == 1);
  CHECK(t.core->try_lease(t.now, 9) == &e);
  CHECK(budget::read(t.table->rows(), e.row).call_site == 9);
  t.core->discard(e, t.now);
  CHECK(t.rows(RowState::closing) == 1);
  t.finish_close();
  CHECK(t.rows(RowState::free) == 16);
  CHECK(t.table->share->held() == 0);
  CHECK(t.core->empty());
}

TEST_CASE("events come in the order in which things happen") {
  CoreTest t;
  t.core->ready(t.now);
  PoolEntry& e = t.leased();
  t.give_back(e);
  t.core->close(t.now);
  CHECK(t.events == Strings{"pool_ready", "checkout_started", "enqueued", "created 1", "connected 1", "leased 1", "returned 1", "closed 1 pool closed", "pool_closed"});
}

TEST_CASE("nothing is opened before ready") {
  CoreTest t(sized(5, 3));
  t.pass(1s);
  TestWaiter& w = t.acquire();
  REQUIRE(w.error);
  CHECK(w.error->phase() == Phase::paused);
  CHECK(t.effects.connects.empty());
  t.core->ready(t.now);
  CHECK(t.effects.connects.size() == 3);
}

TEST_CASE("waiters are served in order, directly by returning connections") {
  CoreTest t(sized(1));
  t.core->ready(t.now);
  PoolEntry& e = t.leased();
  TestWaiter& a = t.acquire();
  TestWaiter& b = t.acquire();
  CHECK(t.effects.connects.empty());
  CHECK(t.core->numbers().waiting == 2);
  t.give_back(e);
  CHECK(a.entry == &e);
  CHECK_FALSE(b.answered());
  CHECK(t.core->try_lease(t.now, 1) == nullptr);
  t.give_back(e);
  CHECK(b.entry == &e);
}

TEST_CASE("a waiter takes whatever comes first, and what was opened for it survives its cancellation") {
  CoreTest t(sized(4));
  t.core->ready(t.now);
  PoolEntry& first = t.leased();
  TestWaiter& w = t.acquire();
  CHECK(t.effects.connects.size() == 1);
  SUBCASE("a returned connection") {
    t.give_back(first);
    CHECK(w.entry == &first);
    t.finish_connect();
    CHECK(t.core->numbers().idle == 1);
  }
  SUBCASE("cancelled") {
    t.core->cancel(w, t.now);
    REQUIRE(w.error);
    CHECK(w.error->phase() == Phase::cancelled);
    t.finish_connect();
    CHECK(t.core->numbers().idle == 1);
    CHECK(t.core->numbers().waiting == 0);
  }
}

TEST_CASE("no more connections are opened than waiters need") {
  CoreTest t(sized(10));
  t.core->ready(t.now);
  for (int i = 0; i < 4; ++i) t.acquire();
  CHECK(t.effects.connects.size() == 4);
  t.pass(1s);
  CHECK(t.effects.connects.size() == 4);
  for (int i = 0; i < 20; ++i) t.acquire();
  CHECK(t.effects.connects.size() == 10);
}

TEST_CASE("the connector's default maximum counts where no maximum is configured") {
  config::Pool o;
  Effects effects;
  PermitRows table(8);
  shm::PoolStats stats{};
  CoreSettings settings;
  settings.options = o;
  settings.default_max = 2;
  PoolCore core(settings, effects, table.share, std::make_shared<Siblings>(), stats);
  CHECK(core.max() == 2);
  o.max = 5;
  PoolCore other({o, 2, 1, true}, effects, table.share, std::make_shared<Siblings>(), stats);
  CHECK(other.max() == 5);
}

TEST_CASE("a waiter that runs out of time gets the live numbers") {
  CoreTest t(sized(1));
  t.core->ready(t.now);
  t.leased();
  TestWaiter& w = t.acquire(200ms);
  TestWaiter& patient = t.acquire(10s);
  t.pass(199ms);
  CHECK_FALSE(w.answered());
  t.pass(1ms);
  REQUIRE(w.error);
  CHECK(w.error->phase() == Phase::wait_timeout);
  CHECK(std::string(w.error->what()) == "pool 'main': no connection within 200 ms (wait timeout): 1 leased, 0 idle, 0 connecting, 1 waiting, limit 1, held 1");
  CHECK(w.error->numbers().leased == 1);
  CHECK(t.stats.timeouts.get() == 1);
  CHECK_FALSE(patient.answered());
}

TEST_CASE("deadlines are kept in their own order, not in the order of arrival") {
  CoreTest t(sized(1));
  t.core->ready(t.now);
  t.leased();
  TestWaiter& late = t.acquire(3s);
  TestWaiter& early = t.acquire(1s);
  CHECK(t.effects.wake <= t.now + 1s);
  t.pass(1s);
  CHECK(early.error);
  CHECK_FALSE(late.answered());
}

TEST_CASE("the queue limit refuses at once") {
  config::Pool o = sized(1);
  SUBCASE("zero: nobody waits for a connection that somebody else has") {
    o.queue_limit = 0;
    CoreTest t(o);
    t.core->ready(t.now);
    t.leased();
    TestWaiter& w = t.acquire();
    REQUIRE(w.error);
    CHECK(w.error->phase() == Phase::queue_full);
    CHECK(t.stats.queue_full.get() == 1);
    CHECK(t.core->numbers().waiting == 0);
  }
  SUBCASE("one") {
    o.queue_limit = 1;
    CoreTest t(o);
    t.core->ready(t.now);
    t.leased();
    CHECK_FALSE(t.acquire().answered());
    CHECK(t.acquire().error);
  }
}

TEST_CASE("a failing server gets one probe at a time, with growing pauses, and waiters learn the cause") {
  config::Pool o = sized(8);
  CoreTest t(o);
  t.core->ready(t.now);
  TestWaiter& w = t.acquire(2s);
  TestWaiter& second = t.acquire(60s);
  CHECK(t.effects.connects.size() == 2);
  t.fail_connect();
  t.fail_connect();
  CHECK(t.core->last_connect_error() == "connection refused");
  CHECK(t.stats.reachable.get() == 2);
  CHECK(t.stats.last_error.get() == "connection refused");
  CHECK(t.effects.connects.empty());
  CHECK(t.rows(RowState::free) == 16);
  t.pass(99ms);
  CHECK(t.effects.connects.empty());
  t.pass(1900ms);
  CHECK(t.effects.connects.size() == 1);
  t.fail_connect();
  t.pass(1ms);
  REQUIRE(w.error);
  CHECK(w.error->phase() == Phase::connect);
  CHECK(w.error->last_connect_error() == "connection refused");
  CHECK(std::string(w.error->what()).find("; last connect error: connection refused") != std::string::npos);

  t.pass(2s);
  t.finish_connect();
  CHECK(second.entry);
  CHECK(t.core->last_connect_error().empty());
  CHECK(t.stats.last_error.get().empty());
  CHECK(t.stats.connect_errors.get() == 3);
}

TEST_CASE("a connect failure that happened before the wait is told, but is not the phase") {
  CoreTest t(sized(2));
  t.core->ready(t.now);
  t.leased();
  TestWaiter& gone = t.acquire(10s);
  t.fail_connect();
  t.core->cancel(gone, t.now);
  t.now += 1ms;
  TestWaiter& w = t.acquire(50ms);
  t.pass(50ms);
  REQUIRE(w.error);
  CHECK(w.error->phase() == Phase::wait_timeout);
  CHECK(w.error->last_connect_error() == "connection refused");
}

TEST_CASE("an unproven end leaves the permit in quarantine") {
  CoreTest t;
  t.core->ready(t.now);
  TestWaiter& w = t.acquire();
  t.fail_connect(false);
  CHECK(t.rows(RowState::quarantined) == 1);
  CHECK(t.table->share->held() == 0);
  t.pass(10s);
  CHECK(w.error);
  t.acquire();
  PoolEntry& e = t.finish_connect();
  t.core->discard(e, t.now);
  t.finish_close(CloseResult::unconfirmed);
  CHECK(t.rows(RowState::quarantined) == 2);
  CHECK(t.core->empty());
}

TEST_CASE("a long idle connection is pinged before somebody gets it") {
  CoreTest t;
  t.core->ready(t.now);
  t.with_idle(1);
  t.now += 1s;
  CHECK(t.core->try_lease(t.now, 1) == nullptr);
  TestWaiter& w = t.acquire();
  CHECK_FALSE(w.answered());
  REQUIRE(t.effects.pings.size() == 1);
  CHECK(t.effects.pings.front().deadline.at == t.now + 1s);
  CHECK(t.effects.connects.empty());
  SUBCASE("alive") {
    t.finish_ping();
    CHECK(w.entry);
    CHECK(t.stats.lost.get() == 0);
  }
  SUBCASE("dead: it is closed and another is opened, unseen by the caller") {
    t.finish_ping(false);
    CHECK_FALSE(w.answered());
    CHECK(t.stats.lost.get() == 1);
    CHECK(t.events.back() == "created 2");
    CHECK(t.events[t.events.size() - 2] == "closed 1 error");
    t.finish_connect();
    CHECK(w.entry);
  }
  SUBCASE("the caller gives up: it becomes idle again and keeps its age") {
    const TimePoint since = t.effects.pings.front().entry->idle_since;
    auto* e = t.effects.pings.front().entry;
    t.core->cancel(w, t.now);
    t.finish_ping();
    CHECK(t.core->numbers().idle == 1);
    CHECK(e->idle_since == since);
    CHECK(t.core->try_lease(t.now, 1) == e);
  }
}

TEST_CASE("one lost connection makes the idle ones suspect") {
  CoreTest t;
  t.core->ready(t.now);
  t.with_idle(2);
  PoolEntry& e = t.leased();
  e.connection->broken = true;
  t.give_back(e);
  CHECK(t.stats.lost.get() == 1);
  CHECK(t.events.back() == "closed 2 error");
  CHECK(t.core->try_lease(t.now, 1) == nullptr);
  CHECK(t.core->numbers().idle == 1);
}

TEST_CASE("lifo reuses the warmest connection, fifo the coldest") {
  config::Pool o;
  SUBCASE("lifo") { o.reuse = config::Reuse::lifo; }
  SUBCASE("fifo") { o.reuse = config::Reuse::fifo; }
  CoreTest t(o);
  t.core->ready(t.now);
  t.with_idle(3);
  CHECK(t.core->try_lease(t.now, 1)->id == (o.reuse == config::Reuse::lifo ? 3 : 1));
}

TEST_CASE("a dirty connection is reset before it is idle, and only then") {
  config::Pool o = sized(1);
  bool dirty = true;
  bool reset = true;
  SUBCASE("automatic, dirty") {}
  SUBCASE("automatic, clean") { dirty = reset = false; }
  SUBCASE("always") {
    o.reset_on_return = config::ResetOnReturn::always;
    dirty = false;
  }
  SUBCASE("never") {
    o.reset_on_return = config::ResetOnReturn::never;
    reset = false;
  }
  CoreTest t(o);
  t.core->ready(t.now);
  PoolEntry& e = t.leased();
  TestWaiter& w = t.acquire();
  e.connection->dirty = dirty;
  t.give_back(e);
  CHECK(t.effects.resets.size() == (reset ? 1 : 0));
  CHECK((w.entry != nullptr) == !reset);
  if (reset) {
    t.finish_reset();
    CHECK(w.entry == &e);
    CHECK_FALSE(e.connection->dirty);
  }
}

TEST_CASE("a failed reset closes the connection") {
  CoreTest t;
  t.core->ready(t.now);
  PoolEntry& e = t.leased();
  e.connection->dirty = true;
  t.give_back(e);
  t.finish_reset(false);
  CHECK(t.events.back() == "closed 1 error");
  t.finish_close();
  CHECK(t.core->empty());
}

TEST_CASE("a worn-out connection is closed when it comes back") {
  config::Pool o = sized(1);
  o.max_uses = 2;
  CoreTest t(o);
  t.core->ready(t.now);
  PoolEntry& e = t.leased();
  t.give_back(e);
  CHECK(t.core->try_lease(t.now, 1) == &e);
  t.give_back(e);
  CHECK(t.events.back() == "closed 1 uses");
}

TEST_CASE("the lifetime ends idle and busy connections, shortened by jitter") {
  config::Pool o = sized(3);
  o.max_lifetime = 100s;
  o.lifetime_jitter = 0.2;
  o.keepalive = 0s;
  CoreTest t(o);
  t.core->ready(t.now);
  t.with_idle(2);
  PoolEntry& busy = t.leased();
  const Duration life = busy.expires_at - t.now;
  CHECK(life <= 100s);
  CHECK(life >= 80s);
  t.pass(101s);
  CHECK(t.events.back() == "closed 1 lifetime");
  t.give_back(busy);
  CHECK(t.events.back() == "closed 2 lifetime");
}

TEST_CASE("lifetimes differ, so that what was opened together does not end together") {
  config::Pool o = sized(16);
  o.max_lifetime = 100s;
  o.lifetime_jitter = 0.2;
  CoreTest t(o);
  t.core->ready(t.now);
  std::vector<Duration> lives;
  for (int i = 0; i < 16; ++i) lives.push_back(t.leased().expires_at - t.now);
  std::sort(lives.begin(), lives.end());
  CHECK(std::unique(lives.begin(), lives.end()) == lives.end());
  CHECK(lives.front() < 95s);
  CHECK(lives.front() >= 80s);
  CHECK(lives.back() <= 100s);
}

TEST_CASE("idle timeouts: the hard one closes all, the soft one down to min_idle") {
  config::Pool o = sized(5, 2);
  o.keepalive = 0s;
  SUBCASE("hard") {
    o.idle_timeout = 10s;
    CoreTest t(o);
    t.core->ready(t.now);
    t.finish_connect();
    t.finish_connect();
    t.with_idle(3);
    t.pass(9900ms);
    CHECK(t.effects.closes.empty());
    t.pass(200ms);
    CHECK(t.effects.closes.size() == 3);
    CHECK(t.effects.connects.size() == 2);
  }
  SUBCASE("soft") {
    o.idle_timeout = 0s;
    o.soft_idle_timeout = 10s;
    o.max_lifetime = 0s;
    CoreTest t(o);
    t.core->ready(t.now);
    t.finish_connect();
    t.finish_connect();
    t.with_idle(4);
    t.pass(1h);
    CHECK(t.effects.closes.size() == 2);
    CHECK(t.core->numbers().idle == 2);
  }
}

TEST_CASE("an idle connection past its timeout is not handed out, even without background work") {
  config::Pool o;
  o.idle_timeout = 10ms;
  CoreTest t(o);
  t.core->ready(t.now);
  t.with_idle(1);
  t.now += 50ms;
  t.acquire();
  CHECK(t.events == Strings{"checkout_started", "closed 1 idle", "enqueued", "created 2"});
}

TEST_CASE("idle connections are kept alive by pings") {
  config::Pool o;
  o.keepalive = 2min;
  CoreTest t(o);
  t.core->ready(t.now);
  t.with_idle(1);
  t.pass(119s);
  CHECK(t.effects.pings.empty());
  t.pass(1100ms);
  REQUIRE(t.effects.pings.size() == 1);
  t.finish_ping();
  CHECK(t.core->numbers().idle == 1);
  t.pass(119s);
  CHECK(t.effects.pings.empty());
  t.pass(1100ms);
  CHECK(t.effects.pings.size() == 1);
}

TEST_CASE("min_idle is kept open") {
  CoreTest t(sized(5, 2));
  t.core->ready(t.now);
  CHECK(t.effects.connects.size() == 2);
  t.finish_connect();
  PoolEntry& e = t.finish_connect();
  CHECK(t.core->try_lease(t.now, 1) == &e);
  t.core->discard(e, t.now);
  CHECK(t.effects.connects.size() == 1);
}

TEST_CASE("min_idle counts open connections: while they are all leased nothing more is opened") {
  CoreTest t(sized(5, 2));
  t.core->ready(t.now);
  t.finish_connect();
  t.finish_connect();
  PoolEntry* first = t.core->try_lease(t.now, 1);
  REQUIRE(first);
  REQUIRE(t.core->try_lease(t.now, 1));
  t.pass(1min);
  CHECK(t.core->numbers().leased == 2);
  CHECK(t.core->numbers().idle == 0);
  CHECK(t.effects.connects.empty());
  t.core->discard(*first, t.now);
  CHECK(t.effects.connects.size() == 1);
}

TEST_CASE("soft_idle_timeout counts open connections, too: leased ones are among the min_idle that stay") {
  config::Pool o = sized(5, 2);
  o.idle_timeout = o.max_lifetime = o.keepalive = o.leak_after = 0s;
  o.soft_idle_timeout = 10s;
  CoreTest t(o);
  t.core->ready(t.now);
  t.finish_connect();
  t.finish_connect();
  PoolEntry& kept = t.leased();
  PoolEntry& second = t.leased();
  PoolEntry& third = t.leased();
  t.give_back(third);
  t.pass(1min);
  CHECK(t.effects.closes.size() == 1);  // two are open beside it, though none of them is idle
  t.give_back(second);
  t.pass(1min);
  CHECK(t.effects.closes.size() == 1);  // the last idle one is the second open one
  CHECK(t.core->numbers().idle == 1);
  t.give_back(kept);
}

TEST_CASE("warming up opens connections beyond min_idle, once") {
  CoreTest t;
  t.core->ready(t.now);
  t.core->warm_up(2, t.now);
  CHECK(t.effects.connects.size() == 2);
  t.finish_connect();
  t.finish_connect();
  CHECK(t.core->established() == 2);
  t.core->warm_up(0, t.now);
  CHECK(t.effects.connects.empty());
}

TEST_CASE("clear makes every connection stale, refuses waiters and pauses") {
  CoreTest t(sized(3));
  t.core->ready(t.now);
  t.with_idle(2);
  PoolEntry& busy = t.leased();
  t.core->clear(t.now);
  CHECK(t.events.back() == "pool_cleared");
  CHECK(t.effects.closes.empty());
  TestWaiter& w = t.acquire();
  REQUIRE(w.error);
  CHECK(w.error->phase() == Phase::connect);
  t.pass(1ms);
  CHECK(t.effects.closes.size() == 1);
  t.give_back(busy);
  CHECK(t.events.back() == "closed 2 stale");
  t.core->ready(t.now);
  CHECK(t.events.back() == "pool_ready");
}

TEST_CASE("clear fails waiters at once, and what was connecting is closed as stale") {
  CoreTest t(sized(1));
  t.core->ready(t.now);
  TestWaiter& w = t.acquire();
  t.core->clear(t.now);
  REQUIRE(w.error);
  CHECK(t.events[t.events.size() - 2] == "pool_cleared");
  CHECK(t.events.back() == "checkout_failed connect");
  t.finish_connect();
  CHECK(t.events.back() == "closed 1 stale");
}

TEST_CASE("clear of a paused pool and ready of a ready one say nothing, but the generation moves") {
  CoreTest t;
  t.core->ready(t.now);
  t.core->ready(t.now);
  t.with_idle(1);
  t.core->pause(t.now);
  t.core->clear(t.now);
  CHECK(t.events == Strings{"pool_paused"});
  t.pass(1ms);
  CHECK(t.events.back() == "closed 1 stale");
}

TEST_CASE("pause keeps idle connections, refuses waiters and opens nothing") {
  CoreTest t(sized(2));
  t.core->ready(t.now);
  t.with_idle(1);
  PoolEntry& e = t.leased();
  TestWaiter& w = t.acquire();
  t.core->pause(t.now);
  REQUIRE(w.error);
  CHECK(w.error->phase() == Phase::paused);
  t.give_back(e);
  CHECK(t.core->numbers().idle == 1);
  CHECK(t.core->try_lease(t.now, 1) == nullptr);
  t.core->ready(t.now);
  CHECK(t.core->try_lease(t.now, 1) == &e);
}

TEST_CASE("close refuses waiters and ends leased connections when they come back") {
  CoreTest t(sized(1));
  t.core->ready(t.now);
  PoolEntry& e = t.leased();
  TestWaiter& w = t.acquire();
  t.core->close(t.now);
  REQUIRE(w.error);
  CHECK(w.error->phase() == Phase::closed);
  CHECK(t.effects.closes.empty());
  t.give_back(e);
  CHECK(t.events[t.events.size() - 2] == "returned 1");
  CHECK(t.events.back() == "closed 1 pool closed");
  CHECK_FALSE(t.core->empty());
  t.finish_close();
  CHECK(t.core->empty());
  CHECK(t.acquire().error->phase() == Phase::closed);
  t.core->ready(t.now);
  CHECK(t.core->state() == PoolState::closed);
}

TEST_CASE("what connects while the pool is closed is closed in turn") {
  CoreTest t;
  t.core->ready(t.now);
  t.acquire();
  t.core->close(t.now);
  CHECK_FALSE(t.core->empty());
  t.finish_connect();
  t.finish_close();
  CHECK(t.core->empty());
  CHECK(t.rows(RowState::free) == 16);
}
