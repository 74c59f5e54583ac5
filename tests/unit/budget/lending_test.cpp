// Elastic lending over one table: who may borrow, who gives, and that nobody's floor is ever out of reach.
#include <sluice/budget/share.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

using namespace sluice;
using namespace sluice::budget;

namespace {

constexpr TimePoint start{std::chrono::seconds(1000)};

// One server's table with a confirm permit and the shares of some workers.
struct Fleet {
  explicit Fleet(std::uint32_t workers, std::uint32_t budget, bool elastic = true) : rows(budget), limits(workers), wants(workers) {
    resize(rows, budget, 0);
    for (std::uint32_t i = 0; i < workers; ++i) {
      limits[i] = (budget - 1) / workers + (i < (budget - 1) % workers);
      shares.push_back(std::make_unique<Share>(rows, 1, Life{static_cast<std::uint16_t>(i), 1}, terms(elastic)));
    }
  }
  Terms terms(bool elastic) {
    Terms t;
    t.limits = limits;
    t.wants = wants;
    t.elastic = elastic;
    t.server = &server;
    t.ring = [this](std::uint32_t slot) { rung.push_back(slot); };
    return t;
  }
  Share& operator[](std::uint32_t i) { return *shares[i]; }
  // Claims and connects until nothing more is to be had; returns how many it got.
  std::uint32_t fill(std::uint32_t i, std::uint32_t at_most = 1000) {
    std::uint32_t got = 0;
    while (got < at_most) {
      const auto row = shares[i]->claim(1);
      if (!row) break;
      shares[i]->connected(*row, 100 * (i + 1) + *row, 1, 1);
      held[i].push_back(*row);
      ++got;
    }
    return got;
  }
  // A connection of `from` comes back and may be lent; true: its permit was granted to somebody.
  bool come_back(std::uint32_t from, bool idle_long = false) {
    const auto to = shares[from]->promise(idle_long);
    if (!to) return false;
    const std::uint32_t row = held[from].back();
    held[from].pop_back();
    shares[from]->closing(row, 2);
    shares[from]->grant(row, *to, 3);
    granted_to = to->slot;
    return true;
  }

  std::vector<shm::Row> rows;
  std::vector<std::atomic<std::uint32_t>> limits;
  std::vector<std::atomic<std::uint64_t>> wants;
  shm::Server server{};
  std::vector<std::unique_ptr<Share>> shares;
  std::vector<std::uint32_t> rung;
  std::vector<std::uint32_t> held[8];
  std::uint32_t granted_to = 99;
};

}  // namespace

TEST_CASE("a worker borrows what is free down to the floors of the others") {
  Fleet f(4, 17);
  CHECK(f.fill(0) == 13);
  CHECK(f[0].refusal() == Refusal::owed);
  for (std::uint32_t i = 1; i < 4; ++i) {
    CHECK(f.fill(i) == 1);
    CHECK(f[i].refusal() == (i < 3 ? Refusal::owed : Refusal::no_row));
  }
  CHECK(count(f.rows).of(RowState::free) == 1);  // the confirm permit
}

TEST_CASE("without lending nobody holds more than the limit") {
  Fleet f(4, 17, false);
  CHECK(f.fill(0) == 4);
  CHECK(f[0].refusal() == Refusal::limit);
  f[1].want(3, start);
  CHECK_FALSE(f[0].promise(true));
}

TEST_CASE("inside its limit a worker does not take the floor of another either") {
  Fleet f(4, 17);
  f.fill(0);
  CHECK(f.fill(1, 1) == 1);
  CHECK(f.fill(1, 1) == 0);  // two rows are free, and they are the floors of 2 and 3
  CHECK(f[1].refusal() == Refusal::owed);
}

TEST_CASE("who is above the limit gives the next returned permit to a worker below its own, straight to its life") {
  Fleet f(4, 17);
  f.fill(0);
  f.fill(1);
  CHECK_FALSE(f.come_back(0));  // nobody wants any
  f[1].want(2, start);
  CHECK(f[0].wanted_elsewhere());
  CHECK(f.come_back(0));
  CHECK(f.granted_to == 1);
  CHECK(f[0].held() == 12);
  CHECK(f.fill(2) == 1);  // what is granted cannot be snatched
  f.rung.clear();
  CHECK(f.come_back(0));
  CHECK(f.rung == std::vector<std::uint32_t>{1});
  CHECK_FALSE(f.come_back(0));  // both wants are taken
  CHECK_FALSE(f[0].wanted_elsewhere());
  CHECK(f.fill(1) == 2);
  CHECK(f[1].held() == 3);
}

TEST_CASE("a borrowed permit is said to be one") {
  Fleet f(2, 9);
  for (int i = 0; i < 4; ++i) {
    REQUIRE(f[0].claim(1));
    CHECK_FALSE(f[0].borrowed());
  }
  REQUIRE(f[0].claim(1));
  CHECK(f[0].borrowed());
}

TEST_CASE("nobody gives to a worker that is at its limit, unless the connection has been idle for long") {
  Fleet f(2, 9);
  f.fill(1, 4);
  f.fill(0, 4);
  f[0].want(1, start);
  CHECK_FALSE(f.come_back(1));
  CHECK(f.come_back(1, true));
  CHECK(f.fill(0) == 1);
  CHECK(f[0].held() == 5);
}

TEST_CASE("the floor is never given away") {
  Fleet f(2, 9);
  f.fill(0, 1);
  f[1].want(5, start);
  CHECK_FALSE(f.come_back(0, true));
}

TEST_CASE("a worker below its floor gets a permit even from one that is within its limit") {
  Fleet f(3, 10);
  f.fill(0, 3);
  f.fill(1, 3);
  for (std::uint32_t i = 7; i < 10; ++i) f.rows[i].owner = Owner{RowState::quarantined, Life{7, 1}}.pack();  // what a crash left behind
  CHECK(f.fill(2) == 0);
  f[2].want(3, start);
  CHECK(f.come_back(0));
  CHECK(f.granted_to == 2);
  CHECK_FALSE(f.come_back(1));  // the floor is reached: the rest has to wait for the janitor
}

TEST_CASE("the neediest receiver comes first") {
  Fleet f(4, 17);
  f.fill(0);
  f.fill(1);
  f.fill(2);
  f[1].want(1, start);
  f[3].want(1, start);
  CHECK(f.come_back(0));
  CHECK(f.granted_to == 3);
  CHECK(f.come_back(0));
  CHECK(f.granted_to == 1);
}

TEST_CASE("a borrower leaves alone what others want below their limits") {
  Fleet f(2, 9);
  f.fill(0, 4);
  f[1].want(4, start);
  CHECK(f.fill(0) == 0);
  CHECK(f[0].refusal() == Refusal::owed);
  f[1].want(0, start);
  CHECK(f.fill(0) == 3);
}

TEST_CASE("wants of an ended life are not the next life's, and a grant to it is free again after the sweep") {
  Fleet f(2, 9);
  f.fill(0);
  f[1].want(2, start);
  CHECK(f.come_back(0));
  const std::uint32_t before = count(f.rows).of(RowState::free);
  CHECK(sweep(f.rows, 5, false, [](Life life) { return life == Life{1, 1}; }) == 1);
  CHECK(count(f.rows).of(RowState::free) == before + 1);
  CHECK(count(f.rows).of(RowState::quarantined) == 0);
  Share next(f.rows, 1, Life{1, 2}, f.terms(true));
  next.want(1, start);
  CHECK(Want::unpack(f.wants[1].load()).generation == 2);
  CHECK(next.expected() == 0);
}

TEST_CASE("what an ended life wanted is forgotten, a living one's wish stays") {
  Fleet f(2, 9);
  f[0].want(2, start);
  f[1].want(2, start);
  forget_wants(std::span(f.wants), [](Life life) { return life == Life{1, 1}; });
  CHECK(Want::unpack(f.wants[0].load()).permits == 2);
  CHECK(Want::unpack(f.wants[1].load()).permits == 0);
}

TEST_CASE("what was granted and is not needed any more is declined") {
  Fleet f(2, 9);
  f.fill(0);
  f[1].want(1, start);
  CHECK(f.come_back(0));
  f[1].want(0, start);
  CHECK(f[1].expected() == 1);
  CHECK(f[1].decline(6) == 1);
  CHECK(f[1].expected() == 0);
  CHECK(count(f.rows).of(RowState::granted) == 0);
}

TEST_CASE("a want is published again only after a while, and rings those that have idle connections") {
  Fleet f(3, 13);
  f.fill(0);
  const auto epoch = f.server.want_epoch.load();
  f[1].want(2, start);
  CHECK(f.server.want_epoch.load() == epoch + 1);
  CHECK(f.rung == std::vector<std::uint32_t>{0});
  f[1].want(2, start + 10ms);
  CHECK(f.server.want_epoch.load() == epoch + 1);
  f[1].want(3, start + 11ms);
  CHECK(f.server.want_epoch.load() == epoch + 2);
  f[1].want(3, start + 11ms + rescan_interval);
  CHECK(f.server.want_epoch.load() == epoch + 3);
}

TEST_CASE("while the budget shrinks nobody borrows, and what is above a limit is excess") {
  Fleet f(2, 9);
  f.fill(0);
  CHECK(f[0].excess() == 0);
  f.server.shrinking.set(1);
  CHECK(f[0].excess() == 3);
  CHECK(f.fill(0) == 0);
}

TEST_CASE("a slot whose ended lives left rows to confirm gets its floor, not ever more rows") {
  Fleet f(3, 10, false);
  std::uint32_t quarantined = 0;
  for (std::uint64_t life = 1; life <= 5; ++life) {
    Share crashing(f.rows, 1, Life{0, life}, f.terms(false));
    while (const auto row = crashing.claim(1)) crashing.connected(*row, life * 10 + *row, 1, 1);
    quarantined += sweep(f.rows, 2, false, [](Life ended) { return ended.slot == 0; });
  }
  CHECK(quarantined <= 7);
  CHECK(f.fill(1, 1) == 1);
  CHECK(f.fill(2, 1) == 1);
}

// Workers that claim, lend and give back as fast as they can on real threads: never more rows than the budget, no row lost,
// and with every demand gone all rows are free.
TEST_CASE("threads that borrow and lend as fast as they can lose no row and break no floor") {
  constexpr std::uint32_t workers = 4;
  Fleet f(workers, 10);
  std::atomic<std::uint32_t> live{0};
  std::atomic<bool> exceeded{false};
  std::atomic<std::uint64_t> lent{0};
  std::vector<std::thread> threads;
  for (std::uint32_t n = 0; n < workers; ++n) {
    threads.emplace_back([&, n] {
      Terms terms = f.terms(true);
      terms.ring = nullptr;
      Share share(f.rows, 1, Life{static_cast<std::uint16_t>(n), 9}, terms);
      std::vector<std::uint32_t> mine;
      TimePoint now = start;
      for (int i = 0; i < 20'000; ++i) {
        now += 1ms;
        if (i % 4 == 0) std::this_thread::yield();  // so that they meet on few processors too
        if (const auto row = share.claim(i)) {
          if (live.fetch_add(1) >= 9) exceeded = true;
          share.connected(*row, 1, 1, i);
          mine.push_back(*row);
        } else {
          share.want(i % 3, now);
        }
        if (mine.size() > 2 || i % 5 == 0) {
          if (mine.empty()) continue;
          const std::uint32_t row = mine.back();
          const auto to = share.promise(i % 2 == 0);
          mine.pop_back();
          share.closing(row, i);
          live.fetch_sub(1);
          if (to) {
            share.grant(row, *to, i);
            ++lent;
          } else {
            share.released(row, i);
          }
        }
      }
      for (const std::uint32_t row : mine) {
        share.closing(row, 1);
        live.fetch_sub(1);
        share.released(row, 1);
      }
      share.want(0, now);
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK_FALSE(exceeded);
  MESSAGE(lent.load() << " lent");
  sweep(f.rows, 1, false, [](Life) { return true; });  // grants that came after their receiver's last look
  CHECK(count(f.rows).of(RowState::free) == 10);
}

TEST_CASE("the most that a worker can ever hold: its limit, or with lending all but the confirm permit and the others' floors") {
  Fleet fixed(3, 10, false), elastic(3, 10);
  CHECK(fixed[0].most() == 3);
  CHECK(elastic[0].most() == 7);
  CHECK(elastic.fill(0) == 7);
  elastic.limits[1] = 0;  // its worker is gone
  CHECK(elastic[0].most() == 8);
  elastic.limits[0] = 0;
  CHECK(elastic[0].most() == 0);
  std::vector<shm::Row> rows(5);
  CHECK(Share(rows, 1, Life{0, 1}).most() == 4);
}
