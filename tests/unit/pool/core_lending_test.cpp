// The pool core as a borrower and as a lender: what it publishes, when it gives, and what it does with what it gets.
#include "core_fixture.hpp"

using namespace sluice;
using namespace sluice::pool;
using namespace sluice::test;
using budget::RowState;

namespace {

// Eight permits without a confirm permit, for two workers with a limit of 4 each: the pool under test is slot 0, slot 1 is a bare share.
struct Lending {
  Lending() : table(std::make_shared<PermitRows>(8)), limits(2), wants(2) {
    for (auto& limit : limits) limit = 4;
    table->share = std::make_shared<budget::Share>(table->rows(), 0, budget::Life{0, 7}, terms());
    other = std::make_unique<budget::Share>(table->rows(), 0, budget::Life{1, 3}, terms());
    config::Pool options;
    options.warm_up = false;
    t = std::make_unique<CoreTest>(options, 8, table);
    t->core->ready(t->now);
  }
  budget::Terms terms() {
    budget::Terms terms;
    terms.limits = limits;
    terms.wants = wants;
    terms.elastic = true;
    terms.server = &server;
    return terms;
  }
  std::uint32_t claim_other(std::uint32_t n) {
    std::uint32_t got = 0;
    for (; got < n; ++got) {
      const auto row = other->claim(1);
      if (!row) break;
      other->connected(*row, 1000 + *row, 1, 1);
      rows_of_other.push_back(*row);
    }
    return got;
  }
  std::uint32_t published() const { return budget::Want::unpack(wants[0].load()).permits; }

  std::shared_ptr<PermitRows> table;
  std::vector<std::atomic<std::uint32_t>> limits;
  std::vector<std::atomic<std::uint64_t>> wants;
  shm::Server server{};
  std::unique_ptr<budget::Share> other;
  std::vector<std::uint32_t> rows_of_other;
  std::unique_ptr<CoreTest> t;
};

}  // namespace

TEST_CASE("a pool borrows free permits at once, and says so") {
  Lending l;
  for (int i = 0; i < 7; ++i) l.t->leased();
  CHECK(l.table->share->held() == 7);
  CHECK(l.t->stats.borrowed.get() == 3);
  CHECK(std::count(l.t->events.begin(), l.t->events.end(), "borrowed 5") == 1);
  l.t->acquire();
  CHECK(l.t->effects.connects.empty());  // the last one is the other's floor
}

TEST_CASE("a want is published only after somebody has waited for a while, and withdrawn when nobody waits any more") {
  Lending l;
  CHECK(l.claim_other(4) == 4);
  for (int i = 0; i < 4; ++i) l.t->leased();
  l.t->acquire(1s);
  CHECK(l.published() == 0);
  l.t->pass(4ms);
  CHECK(l.published() == 0);
  l.t->pass(1ms);
  CHECK(l.published() == 1);
  l.t->pass(1s);  // the waiter has timed out
  CHECK(l.published() == 0);
}

TEST_CASE("a queue that moves is no reason to borrow, however long there is one") {
  Lending l;
  CHECK(l.claim_other(4) == 4);
  PoolEntry& busy = l.t->leased();
  for (int i = 0; i < 3; ++i) l.t->leased();
  TestWaiter* waiter = &l.t->acquire(1s);
  for (int i = 0; i < 5; ++i) {
    l.t->pass(3ms);
    TestWaiter& next = l.t->acquire(1s);
    l.t->give_back(busy);
    REQUIRE(waiter->entry == &busy);
    waiter = &next;
    l.t->pass(1ms);
    CHECK(l.published() == 0);  // somebody has waited all the time, nobody for 5 ms
  }
  l.t->pass(4ms);
  CHECK(l.published() == 1);
}

TEST_CASE("what must be taken back from one that is busy with it is asked for in small steps, what may lie idle in larger ones") {
  Lending l;
  for (int i = 0; i < 2; ++i) l.t->leased();
  CHECK(l.claim_other(6) == 6);  // two of them borrowed
  for (int i = 0; i < 6; ++i) l.t->acquire(1s);
  l.t->pass(5ms);
  CHECK(l.published() == 1);
  l.t->core->close(l.t->now);

  Lending at_limit;
  CHECK(at_limit.claim_other(4) == 4);
  for (int i = 0; i < 4; ++i) at_limit.t->leased();
  for (int i = 0; i < 6; ++i) at_limit.t->acquire(1s);
  at_limit.t->pass(5ms);
  CHECK(at_limit.published() == 5);
}

TEST_CASE("below the floor the first want is published at once, also without waiters") {
  Lending l;
  CHECK(l.claim_other(7) == 7);
  const auto row = l.other->claim(1);  // a fault in the other's accounts, or a row that waits for its confirmation
  CHECK_FALSE(row);
  l.limits[0] = 0;
  CHECK(l.claim_other(1) == 1);
  l.limits[0] = 4;
  l.t->core->warm_up(1, l.t->now);
  CHECK(l.published() == 1);
  // The other holds more than its limit: its next returned connection's permit is ours.
  const auto to = l.other->promise(false);
  REQUIRE(to);
  l.other->closing(l.rows_of_other[0], 1);
  l.other->grant(l.rows_of_other[0], *to, 1);
  l.t->core->rung(l.t->now);
  REQUIRE(l.t->effects.connects.size() == 1);
  CHECK(l.t->effects.connects[0].entry->row == l.rows_of_other[0]);
  l.t->finish_connect();
  CHECK(l.t->core->numbers().idle == 1);
}

TEST_CASE("above its limit a pool gives the next returned connection to a worker that wants it, although it has waiters itself") {
  Lending l;
  std::vector<PoolEntry*> leased;
  for (int i = 0; i < 7; ++i) leased.push_back(&l.t->leased());
  CHECK(l.claim_other(1) == 1);
  TestWaiter& mine = l.t->acquire();
  l.other->want(2, l.t->now);
  l.t->events.clear();
  l.t->give_back(*leased[0]);
  CHECK_FALSE(mine.answered());
  REQUIRE(l.t->effects.closes.size() == 1);
  CHECK(l.table->in(RowState::granted) == 0);  // not before the server has let go
  l.t->finish_close();
  CHECK(l.table->in(RowState::granted) == 1);
  CHECK(l.t->stats.lent.get() == 1);
  CHECK(l.t->events == Strings{"returned 1", "closed 1 lent", "lent 1"});
  l.t->give_back(*leased[1]);
  CHECK(l.t->effects.closes.size() == 1);
  l.t->give_back(*leased[2]);  // both wants are met
  CHECK(mine.entry == leased[2]);
}

TEST_CASE("a close that is not confirmed lends nothing") {
  Lending l;
  std::vector<PoolEntry*> leased;
  for (int i = 0; i < 7; ++i) leased.push_back(&l.t->leased());
  l.other->want(1, l.t->now);
  l.t->give_back(*leased[0]);
  l.t->finish_close(CloseResult::unconfirmed);
  CHECK(l.table->in(RowState::granted) == 0);
  CHECK(l.table->in(RowState::quarantined) == 1);
  CHECK(l.t->stats.lent.get() == 0);
}

TEST_CASE("idle connections above the floor are given when the bell rings: at once above the limit, else after lend_idle") {
  Lending l;
  CHECK(l.claim_other(1) == 1);
  l.t->with_idle(7);
  l.other->want(2, l.t->now);
  l.t->core->rung(l.t->now);
  CHECK(l.t->effects.closes.size() == 2);
  while (!l.t->effects.closes.empty()) l.t->finish_close();
  CHECK(l.claim_other(2) == 2);  // 5 here, 3 there
  CHECK(l.claim_other(1) == 0);
  l.limits[0] = 5;
  l.limits[1] = 3;
  l.other->want(1, l.t->now + 100ms);
  l.t->core->rung(l.t->now);
  CHECK(l.t->effects.closes.empty());
  l.t->pass(30ms);
  l.other->want(1, l.t->now + 200ms);
  l.t->core->rung(l.t->now);
  CHECK(l.t->effects.closes.size() == 1);
}

TEST_CASE("connections that min_idle keeps are not lent for being idle") {
  Lending l;
  config::Pool options;
  options.min_idle = 3;
  l.t.reset();
  l.t = std::make_unique<CoreTest>(options, 8, l.table);
  l.t->core->ready(l.t->now);
  for (int i = 0; i < 3; ++i) l.t->finish_connect();
  CHECK(l.claim_other(5) == 5);
  l.t->pass(1s);
  l.other->want(1, l.t->now);
  l.t->core->rung(l.t->now);
  CHECK(l.t->effects.closes.empty());
}

TEST_CASE("a permit that was granted and is not needed any more goes back") {
  Lending l;
  CHECK(l.claim_other(4) == 4);
  for (int i = 0; i < 4; ++i) l.t->leased();
  TestWaiter& w = l.t->acquire(20ms);
  l.t->pass(5ms);
  const auto to = l.other->promise(true);
  REQUIRE(to);
  l.t->pass(20ms);
  CHECK(w.error);
  l.other->closing(l.rows_of_other[0], 1);
  l.other->grant(l.rows_of_other[0], *to, 1);  // its ring is lost
  CHECK(l.table->in(RowState::granted) == 1);
  l.t->pass(200ms);
  CHECK(l.table->in(RowState::granted) == 0);
  CHECK(l.table->free() == 1);
}

TEST_CASE("a grant whose ring is lost is found by the rescan") {
  Lending l;
  CHECK(l.claim_other(4) == 4);
  for (int i = 0; i < 4; ++i) l.t->leased();
  TestWaiter& w = l.t->acquire();
  l.t->pass(5ms);
  const auto to = l.other->promise(true);
  REQUIRE(to);
  l.other->closing(l.rows_of_other[0], 1);
  l.other->grant(l.rows_of_other[0], *to, 1);
  l.t->pass(50ms);
  REQUIRE(l.t->effects.connects.size() == 1);
  l.t->finish_connect();
  CHECK(w.entry);
}

TEST_CASE("during an outage one pool of the instance probes, the others show it and notice its end") {
  Lending l;
  PoolEntry& entry = l.t->leased();
  entry.connection->broken = true;
  l.other->server_failed(to_nanos(l.t->now), 10s, 10s, 0);
  l.t->give_back(entry);
  l.t->finish_close();
  TestWaiter& w = l.t->acquire(60s);
  l.t->pass(5s);
  CHECK(l.t->effects.connects.empty());
  CHECK(l.t->stats.reachable.get() == 2);
  CHECK_FALSE(l.t->core->last_connect_error().empty());
  l.other->server_answered();
  l.t->pass(50ms);
  REQUIRE(l.t->effects.connects.size() == 1);
  l.t->finish_connect();
  CHECK(w.entry);
  CHECK(l.t->core->last_connect_error().empty());
}

TEST_CASE("a connect that is refused for this pool's own reasons stops nobody else") {
  Lending l;
  l.t->acquire(60s);
  auto* entry = l.t->effects.connects.front().entry;
  l.t->effects.connects.pop_front();
  l.t->core->connect_failed(*entry, "wrong password", true, l.t->now, true);
  CHECK_FALSE(l.other->outage());
  CHECK(l.other->claim(1));
  CHECK(l.t->effects.connects.empty());
  l.t->pass(1s);
  CHECK(l.t->effects.connects.size() == 1);
}
