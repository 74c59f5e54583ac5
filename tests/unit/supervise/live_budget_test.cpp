#include <sluice/supervise/budget_keeper.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <vector>

using namespace sluice;
using namespace sluice::supervise;
using budget::Life;
using budget::Owner;
using budget::RowState;

namespace {

// A server of at most 32 rows, two workers of one kind, and rows that a test takes and gives back by hand.
struct Live {
  shm::Segment segment;
  BudgetKeeper keeper;
  std::unique_ptr<bool[]> active = std::make_unique<bool[]>(8);
  std::unique_ptr<bool[]> draining = std::make_unique<bool[]>(8);
  std::int64_t now = 1;

  static shm::Segment make() {
    shm::Shape shape;
    shape.max_workers = 8;
    shape.servers = {{"main", 32}};
    return shm::Segment::create(shape);
  }
  static config::Server server(std::optional<std::uint32_t> total) {
    config::Server s;
    s.name = "main";
    s.total = total;
    return s;
  }
  explicit Live(std::optional<std::uint32_t> total, bool unclean = false) : segment(make()), keeper(segment, {server(total)}, {false}, unclean) {
    active[0] = active[1] = true;
  }
  BudgetKeeper::Change tick() {
    return keeper.tick(++now, {active.get(), 8}, {draining.get(), 8}, [](Life) { return false; });
  }
  void answer(std::uint32_t max, std::uint32_t reserved) {
    shm::Server& s = main();
    const std::uint64_t last = s.answered.get();
    if (last != 0) s.answered.set(last + 1);
    s.max_connections.set(max);
    s.reserved.set(reserved);
    s.answered.publish(last == 0 ? 1 : last + 2);
  }
  shm::Server& main() { return segment.servers()[0]; }
  std::vector<std::uint32_t> limits() { return {segment.limits(0)[0].load(), segment.limits(0)[1].load()}; }
  std::uint32_t in_force() { return 32 - budget::count(segment.rows(0)).of(RowState::disabled); }
  void take_all() {
    for (std::uint32_t i = 1; i < main().rows_in_use.get(); ++i) budget::claim(segment.rows(0)[i], Life{0, 1}, now);
  }
  void give_back(std::uint32_t n) {
    for (shm::Row& row : segment.rows(0))
      if (n > 0 && budget::release_proven(row, Owner{RowState::connecting, Life{0, 1}}, now)) --n;
  }
};

using Limits = std::vector<std::uint32_t>;

}  // namespace

TEST_CASE("a lower budget: limits fall at once, rows as they come back, and the end is told") {
  Live f(13);
  f.tick();
  CHECK(f.limits() == Limits{6, 6});
  f.take_all();
  const std::uint64_t epoch = f.main().want_epoch.load();
  const auto answer = f.keeper.wish(0, 6, 2);
  CHECK_FALSE(answer.refused);
  CHECK(answer.text.find("budget 13 → 6; 7 connections have to come back first") == 0);
  f.tick();
  CHECK(f.limits() == Limits{3, 2});
  CHECK(f.main().shrinking.get() == 1);
  CHECK(f.main().want_epoch.load() > epoch);
  CHECK(f.in_force() == 13);
  f.give_back(4);
  f.tick();
  CHECK(f.in_force() == 9);
  CHECK(f.main().shrinking.get() == 1);
  f.give_back(4);
  f.tick();
  f.tick();
  CHECK(f.in_force() == 6);
  CHECK(f.main().shrinking.get() == 0);
  f.give_back(8);
  f.tick();
  CHECK(f.main().rows_in_use.get() == 6);
}

TEST_CASE("a higher budget is in force at once, and a changed mind in between is no problem") {
  Live f(13);
  f.tick();
  f.take_all();
  f.keeper.wish(0, 6, 2);
  f.tick();
  f.give_back(3);
  f.tick();
  CHECK(f.in_force() == 10);
  f.keeper.wish(0, 17, 2);
  f.tick();
  CHECK(f.in_force() == 17);
  CHECK(f.main().shrinking.get() == 0);
  CHECK(f.main().rows_in_use.get() == 17);
  CHECK(f.limits() == Limits{8, 8});
  f.keeper.wish(0, 0, 2);
  f.tick();
  CHECK(f.main().budget.get() == 13);
}

TEST_CASE("a wished budget is refused with the arithmetic below the floors, above the capacity and above what the server accepts") {
  Live f(13);
  f.tick();
  CHECK(f.keeper.wish(0, 2, 2).text.find("2 workers × floor 1 + 1 = 3 > 2") != std::string::npos);
  CHECK(f.keeper.wish(0, 33, 2).text.find("budget 33 > capacity 32") != std::string::npos);
  f.answer(20, 3);
  f.tick();
  const auto refused = f.keeper.wish(0, 18, 2);
  CHECK(refused.refused);
  CHECK(refused.text.find("the server accepts 17 (max_connections 20 − 3 reserved)") != std::string::npos);
  f.tick();
  CHECK(f.main().budget.get() == 13);
  CHECK(f.in_force() == 13);
}

TEST_CASE("a wished budget survives a scale and a new answer of the server, and scaling is judged by it") {
  Live f(std::nullopt);
  f.answer(20, 3);
  f.tick();
  CHECK(f.main().budget.get() == 13);
  f.keeper.wish(0, 4, 2);
  f.tick();
  CHECK(f.limits() == Limits{2, 1});
  CHECK(f.keeper.refusal(4).find("4 workers × floor 1 + 1 = 5 > 4") != std::string::npos);
  f.active[2] = true;
  f.tick();
  CHECK(f.limits() == Limits{1, 1});
  f.answer(40, 3);
  f.tick();
  CHECK(f.main().budget.get() == 4);
  f.keeper.wish(0, 0, 3);
  f.tick();
  CHECK(f.main().budget.get() == 29);  // ⌊37 × 0.8⌋
}

TEST_CASE("the answer that changes moves an automatic budget, and one that does not fit leaves it as it is") {
  Live f(std::nullopt);
  f.answer(20, 3);
  f.tick();
  f.answer(10, 3);
  f.tick();
  CHECK(f.main().budget.get() == 5);
  CHECK(f.in_force() == 5);
  f.answer(5, 3);
  const auto change = f.tick();
  CHECK(change.refused.empty());  // a running instance is not stopped for it
  REQUIRE(change.warnings.size() == 1);
  CHECK(change.warnings[0].find("the budget in force stays 5") != std::string::npos);
  CHECK(f.tick().warnings.empty());
}

TEST_CASE("an answer that is just being written is not used") {
  Live f(std::nullopt);
  f.answer(20, 3);
  f.tick();
  f.main().answered.set(2);
  f.main().max_connections.set(100);
  CHECK(f.keeper.needs_janitor());  // whoever wrote it may be dead
  f.tick();
  CHECK(f.main().budget.get() == 13);
}

TEST_CASE("a total set before the server was asked is taken back when the answer forbids it") {
  Live f(std::nullopt);
  f.tick();
  CHECK_FALSE(f.keeper.wish(0, 30, 2).refused);
  f.tick();
  CHECK(f.main().budget.get() == 30);
  f.answer(20, 3);
  const auto change = f.tick();
  CHECK(change.refused.empty());
  REQUIRE_FALSE(change.warnings.empty());
  CHECK(change.warnings[0].find("the configured total is back in force") != std::string::npos);
  CHECK(f.main().budget.get() == 13);
  CHECK(f.main().wished_total.get() == 0);
}

TEST_CASE("a budget raised after an unclean start gives no row that nobody looked at") {
  Live f(6, true);
  f.tick();
  f.keeper.wish(0, 9, 2);
  f.tick();
  CHECK(budget::count(f.segment.rows(0)).of(RowState::quarantined) == 8);
  for (shm::Row& row : f.segment.rows(0))
    if (const Owner owner = Owner::unpack(row.owner.load()); owner.state == RowState::quarantined) budget::release_proven(row, owner, 1);
  f.keeper.wish(0, 12, 2);
  f.tick();
  CHECK(budget::count(f.segment.rows(0)).of(RowState::free) == 12);
}

TEST_CASE("a statement to be cancelled needs the janitor") {
  Live f(13);
  f.answer(20, 3);
  f.tick();
  CHECK_FALSE(f.keeper.needs_janitor());
  f.segment.rows(0)[4].cancel.store(1);
  CHECK(f.keeper.needs_janitor());
}
