#include <sluice/budget/share.hpp>

#include <doctest/doctest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <thread>
#include <vector>

using namespace sluice;
using namespace sluice::budget;

namespace {

constexpr Life mine{3, 7};

struct Table {
  std::array<shm::Row, 8> rows{};
  std::atomic<std::uint32_t> limit{8};
  explicit Table(std::uint32_t budget = 8) { resize(rows, budget, 1); }
  Share share(Life life = mine, std::uint32_t first = 0) { return Share(rows, first, life, &limit); }
  RowState state(std::uint32_t row) { return read(rows, row).owner.state; }
};

}  // namespace

TEST_CASE("the owner word keeps state, slot and a generation of forty bits") {
  for (unsigned s = 0; s < row_states; ++s) {
    const Owner owner{static_cast<RowState>(s), Life{0xfffe, (1ull << 40) - 1}};
    CHECK(Owner::unpack(owner.pack()) == owner);
  }
  CHECK(Owner{}.pack() == 0);
}

TEST_CASE("a connection goes through claim, connect, lease, return and close, and its payload is gone before the row is free") {
  Table t;
  Share share = t.share();
  const auto row = share.claim(10);
  REQUIRE(row);
  CHECK(t.state(*row) == RowState::connecting);
  CHECK(share.held() == 1);
  share.connected(*row, 4711, 99, 20);
  CHECK(t.state(*row) == RowState::idle);
  share.leased(*row, 5, 30);
  const RowView view = read(t.rows, *row);
  CHECK(view.owner == Owner{RowState::leased, mine});
  CHECK(view.session == 4711);
  CHECK(view.session_birth == 99);
  CHECK(view.changed_nanos == 30);
  CHECK(view.call_site == 5);
  share.returned(*row, 40);
  CHECK(t.state(*row) == RowState::idle);
  share.closing(*row, 50);
  CHECK(t.state(*row) == RowState::closing);
  share.released(*row, 60);
  const RowView after = read(t.rows, *row);
  CHECK(after.owner == Owner{RowState::free, {}});
  CHECK(after.session == 0);
  CHECK(after.session_birth == 0);
  CHECK(after.call_site == 0);
  CHECK(share.held() == 0);
}

TEST_CASE("a share never holds more than its limit, and follows a limit that changes") {
  Table t;
  t.limit = 2;
  Share share = t.share();
  CHECK(share.claim(1));
  CHECK(share.claim(1));
  CHECK_FALSE(share.claim(1));
  t.limit = 3;
  CHECK(share.claim(1));
  t.limit = 1;
  CHECK(share.excess() == 2);
  CHECK_FALSE(share.claim(1));
  CHECK(share.refusal() == Refusal::limit);
}

TEST_CASE("shares with limits beyond the table never hold more rows than the budget") {
  Table t(5);
  Share a = t.share(Life{0, 1}), b = t.share(Life{1, 1});
  unsigned got = 0;
  for (int i = 0; i < 8; ++i) got += (a.claim(1) ? 1u : 0u) + (b.claim(1) ? 1u : 0u);
  CHECK(got == 5);
  CHECK(count(t.rows).held() == 5);
}

TEST_CASE("the confirm permit is out of a worker's reach") {
  Table t(3);
  Share share = t.share(mine, 1);
  CHECK(share.claim(1) == 1);
  CHECK(share.claim(1) == 2);
  CHECK_FALSE(share.claim(1));
  CHECK(t.state(0) == RowState::free);
}

TEST_CASE("max_connecting bounds the rows that are connecting over all shares") {
  Table t;
  Share a = t.share(Life{0, 1}), b = t.share(Life{1, 1});
  a.set_max_connecting(2);
  b.set_max_connecting(2);
  const auto first = a.claim(1);
  CHECK(first);
  CHECK(b.claim(1));
  CHECK_FALSE(a.claim(1));
  a.connected(*first, 1, 1, 2);
  CHECK(a.claim(3));
}

TEST_CASE("threads that start together never connect more than max_connecting at once") {
  Table t;
  std::atomic<int> connecting{0};
  std::atomic<bool> exceeded{false};
  std::vector<std::thread> threads;
  for (std::uint16_t n = 0; n < 4; ++n) {
    threads.emplace_back([&, n] {
      Share share = t.share(Life{n, 1});
      share.set_max_connecting(2);
      for (int i = 0; i < 5000; ++i) {
        const auto row = share.claim(i);
        if (!row) continue;
        if (connecting.fetch_add(1) >= 2) exceeded = true;
        connecting.fetch_sub(1);
        share.connected(*row, 1, 1, i);
        share.closing(*row, i);
        share.released(*row, i);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK_FALSE(exceeded);
}

TEST_CASE("the sweep quarantines what ended lives held and keeps the session for the janitor") {
  Table t;
  Share dead = t.share(Life{1, 1}), alive = t.share(Life{2, 1});
  const auto a = dead.claim(1), b = alive.claim(1);
  dead.connected(*a, 77, 5, 2);
  const auto ended = [](Life life) { return life.slot == 1; };
  CHECK(sweep(std::span<shm::Row>(t.rows), 9, false, ended) == 1);
  CHECK(t.state(*a) == RowState::quarantined);
  CHECK(read(t.rows, *a).session == 77);
  CHECK(read(t.rows, *a).owner.life == Life{1, 1});
  CHECK(t.state(*b) == RowState::connecting);
  CHECK(sweep(std::span<shm::Row>(t.rows), 9, false, ended) == 0);
}

TEST_CASE("rows of a local server are free as soon as their life has ended") {
  Table t;
  Share dead = t.share(Life{1, 1});
  const auto a = dead.claim(1);
  dead.connected(*a, 77, 5, 2);
  sweep(std::span<shm::Row>(t.rows), 9, true, [](Life) { return true; });
  CHECK(t.state(*a) == RowState::free);
  CHECK(read(t.rows, *a).session == 0);
}

TEST_CASE("a proof is worth nothing once the row has moved on") {
  Table t;
  Share share = t.share();
  const auto row = share.claim(1);
  share.quarantined(*row, 2);
  const Owner seen = read(t.rows, *row).owner;
  CHECK(release_proven(t.rows[*row], seen, 3));
  CHECK(share.claim(4) == row);
  CHECK_FALSE(release_proven(t.rows[*row], seen, 5));
  CHECK_FALSE(quarantine(t.rows[*row], seen, 5));
  CHECK(t.state(*row) == RowState::connecting);
}

TEST_CASE("a smaller budget disables free rows at once and held ones when they are given back") {
  Table t;
  Share share = t.share();
  for (int i = 0; i < 8; ++i) share.claim(1);
  share.released(7, 2);
  resize(t.rows, 4, 3);
  CHECK(t.state(7) == RowState::disabled);
  CHECK(t.state(6) == RowState::connecting);
  share.released(6, 4);
  resize(t.rows, 4, 5);
  CHECK(t.state(6) == RowState::disabled);
  CHECK(t.state(3) == RowState::connecting);
}

TEST_CASE("after an unclean end every row but the confirm permit starts quarantined") {
  std::array<shm::Row, 8> rows{};
  resize(rows, 6, 1, true, 1, 2);
  CHECK(read(rows, 0).owner.state == RowState::free);
  CHECK(read(rows, 1).owner == Owner{RowState::quarantined, Life{earlier_slot, 2}});
  CHECK(read(rows, 2).owner == Owner{RowState::quarantined, Life{earlier_slot, 2}});
  CHECK(read(rows, 3).owner == Owner{RowState::quarantined, Life{earlier_slot, 1}});
  CHECK(read(rows, 6).owner.state == RowState::disabled);
}

TEST_CASE("threads that race for rows never share one") {
  Table t(4);
  std::atomic<int> holders[8] = {};
  std::atomic<bool> doubled{false};
  std::vector<std::thread> threads;
  for (std::uint16_t n = 0; n < 4; ++n) {
    threads.emplace_back([&, n] {
      Share share = t.share(Life{n, 1});
      for (int i = 0; i < 20000; ++i) {
        const auto row = share.claim(i);
        if (!row) continue;
        if (holders[*row].fetch_add(1) != 0) doubled = true;
        share.connected(*row, n + 1u, 1, i);
        share.leased(*row, 1, i);
        share.closing(*row, i);
        holders[*row].fetch_sub(1);
        share.released(*row, i);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK_FALSE(doubled);
  CHECK(count(t.rows).of(RowState::free) == 4);
}

TEST_CASE("a process killed at any moment leaves a table from which its rows can be swept") {
  void* memory = ::mmap(nullptr, sizeof(shm::Row) * 4, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  const std::span<shm::Row> rows(static_cast<shm::Row*>(memory), 4);
  resize(rows, 4, 1);
  for (std::uint64_t generation = 1; generation <= 50; ++generation) {
    const pid_t child = ::fork();
    if (child == 0) {
      Share share(rows, 0, Life{1, generation}, nullptr);
      for (std::int64_t i = 0;; ++i) {
        const auto row = share.claim(i);
        if (!row) continue;
        share.connected(*row, 1, 1, i);
        share.leased(*row, 1, i);
        share.returned(*row, i);
        share.closing(*row, i);
        share.released(*row, i);
      }
    }
    // Wait until it works, then kill it wherever it is.
    while (read(rows, 0).changed_nanos < 3) ::sched_yield();
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    for (const shm::Row& row : rows) {
      const Owner owner = Owner::unpack(row.owner.load());
      REQUIRE((owner.state == RowState::free || owner.life == Life{1, generation}));
    }
    sweep(rows, 1, true, [](Life) { return true; });
    REQUIRE(count(rows).of(RowState::free) == 4);
    for (shm::Row& row : rows) row.changed_nanos.store(0);
  }
  ::munmap(memory, sizeof(shm::Row) * 4);
}
