#include <sluice/budget/share.hpp>
#include <sluice/supervise/budget_keeper.hpp>

#include <doctest/doctest.h>

#include <memory>

using namespace sluice;
using namespace sluice::supervise;
using budget::Life;
using budget::RowState;

namespace {

struct Fixture {
  shm::Segment segment;
  BudgetKeeper keeper;
  std::unique_ptr<bool[]> active = std::make_unique<bool[]>(8);
  std::unique_ptr<bool[]> draining = std::make_unique<bool[]>(8);
  std::int64_t now = 1;
  Life dead{};

  static shm::Segment make(std::uint32_t capacity) {
    shm::Shape shape;
    shape.max_workers = 8;
    shape.servers = {{"main", capacity}};
    return shm::Segment::create(shape);
  }
  static config::Server server(std::optional<std::uint32_t> total) {
    config::Server s;
    s.name = "main";
    s.total = total;
    return s;
  }
  explicit Fixture(std::optional<std::uint32_t> total, bool local = false, bool unclean = false)
      : segment(make(32)), keeper(segment, {server(total)}, {local}, unclean) {}

  BudgetKeeper::Change tick() {
    return keeper.tick(++now, {active.get(), 8}, {draining.get(), 8}, [this](Life life) { return life == dead; });
  }
  void answer(std::uint32_t max, std::uint32_t reserved) {
    segment.servers()[0].max_connections.set(max);
    segment.servers()[0].reserved.set(reserved);
    segment.servers()[0].answered.set(1);
  }
  unsigned limit(unsigned slot) { return segment.limits(0)[slot].load(); }
  unsigned rows(RowState s) { return budget::count(segment.rows(0)).of(s); }
};

}  // namespace

TEST_CASE("until auto is answered workers get nothing, and only the confirm permit exists") {
  Fixture f(std::nullopt);
  f.active[0] = true;
  f.tick();
  CHECK(f.limit(0) == 0);
  CHECK(f.rows(RowState::free) == 1);
  CHECK(f.keeper.needs_janitor());
  f.answer(20, 3);
  const auto change = f.tick();
  CHECK(change.refused.empty());
  REQUIRE(change.lines.size() == 1);
  CHECK(f.limit(0) == 12);
  CHECK(f.rows(RowState::free) == 13);
  CHECK_FALSE(f.keeper.needs_janitor());
}

TEST_CASE("limits are derived anew when workers come and go, and draining ones keep a floor to finish with") {
  Fixture f(std::nullopt);
  f.answer(20, 3);
  f.active[0] = f.active[1] = true;
  f.tick();
  CHECK(f.limit(0) == 6);
  CHECK(f.limit(1) == 6);
  for (int i = 0; i < 8; ++i) f.active[i] = true;
  f.tick();
  CHECK(f.limit(0) == 2);
  CHECK(f.limit(7) == 1);
  for (int i = 3; i < 8; ++i) {
    f.active[i] = false;
    f.draining[i] = true;
  }
  f.tick();
  CHECK(f.limit(0) == 4);
  CHECK(f.limit(3) == 1);
  f.draining[3] = false;
  f.tick();
  CHECK(f.limit(3) == 0);
}

TEST_CASE("a number is in force at once and checked when the server has answered") {
  Fixture f(18);
  f.active[0] = true;
  f.tick();
  CHECK(f.limit(0) == 17);
  CHECK(f.keeper.needs_janitor());
  f.answer(20, 3);
  CHECK(f.tick().refused.find("accepts 17") != std::string::npos);
}

TEST_CASE("a budget that the server's answer makes too small is refused with the arithmetic") {
  Fixture f(std::nullopt);
  for (int i = 0; i < 8; ++i) f.active[i] = true;
  f.answer(12, 3);
  CHECK(f.tick().refused.find("8 workers × floor 1 + 1 = 9 > 7") != std::string::npos);
  CHECK(f.limit(0) == 0);
}

TEST_CASE("an unclean start quarantines every row but the confirm permit, and the sweep frees nothing by itself") {
  Fixture f(5, false, true);
  f.active[0] = true;
  f.tick();
  f.tick();
  CHECK(f.rows(RowState::quarantined) == 4);
  CHECK(f.rows(RowState::free) == 1);
  CHECK(f.keeper.needs_janitor());
  CHECK(f.keeper.awaiting_proof() == 0);  // the stop need not wait for them
  CHECK_FALSE(f.keeper.all_free());
}

TEST_CASE("rows of an ended life wait for the server's word, those of a local server are free at once") {
  for (const bool local : {false, true}) {
    Fixture f(5, local);
    f.active[0] = true;
    f.tick();
    budget::Share share(f.segment.rows(0), local ? 0 : 1, Life{0, 1}, &f.segment.limits(0)[0]);
    REQUIRE(share.claim(1));
    f.dead = Life{0, 1};
    f.tick();
    CHECK(f.rows(RowState::quarantined) == (local ? 0 : 1));
    CHECK(f.keeper.awaiting_proof() == (local ? 0 : 1));
    f.segment.servers()[0].janitor_error.set("no answer");
    CHECK(f.keeper.awaiting_proof() == 0);  // nobody can be asked
    CHECK(f.keeper.all_free() == local);
  }
}

TEST_CASE("an unclean start that no budget ever followed does not end cleanly") {
  Fixture f(std::nullopt, false, true);
  f.active[0] = true;
  f.tick();
  CHECK_FALSE(f.keeper.all_free());  // nobody has looked for the earlier fleet's sessions
  Fixture clean(std::nullopt);
  clean.tick();
  CHECK(clean.keeper.all_free());
}

TEST_CASE("behind a proxy rows are given back after a delay, as nobody can be asked") {
  Fixture f(5, false, true);
  f.segment.servers()[0].via_proxy = 1;
  f.active[0] = true;
  f.tick();
  CHECK(f.rows(RowState::quarantined) == 4);
  CHECK_FALSE(f.keeper.needs_janitor());
  f.now += 4'900'000'000;
  f.tick();
  CHECK(f.rows(RowState::quarantined) == 4);
  f.now += 200'000'000;
  f.tick();
  CHECK(f.rows(RowState::quarantined) == 0);
  CHECK(f.rows(RowState::free) == 5);
}

TEST_CASE("scaling is refused where the floors could no longer be covered") {
  Fixture f(5);
  CHECK(f.keeper.refusal(4).empty());
  CHECK(f.keeper.refusal(5).find("5 workers × floor 1 + 1 = 6 > 5") != std::string::npos);
}

TEST_CASE("How long sessions may start unseen is told to a later fleet, which ignores what it does not know") {
  Fixture f(std::nullopt);
  f.active[0] = true;
  CHECK_FALSE(f.tick().answered);
  CHECK(f.keeper.start_times().empty());
  f.segment.servers()[0].authentication_timeout_ms.set(2500);
  f.answer(20, 3);
  CHECK(f.tick().answered);
  CHECK_FALSE(f.tick().answered);
  CHECK(f.keeper.start_times() == "2500 main\n");

  Fixture later(std::nullopt, false, true);
  later.keeper.recall("700 elsewhere\n" + f.keeper.start_times());
  CHECK(later.segment.servers()[0].authentication_timeout_ms.get() == 2500);
  for (const char* garbage : {"", "main\n", "x main\n", "12", "n\n2500 main"}) {
    Fixture other(std::nullopt, false, true);
    other.keeper.recall(garbage);
    CHECK(other.segment.servers()[0].authentication_timeout_ms.get() == 0);
  }
}
