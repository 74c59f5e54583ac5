// The rolling restart as a state machine: who is replaced when, and what stops it.
#include <sluice/supervise/fleet.hpp>
#include <sluice/supervise/rollout.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

using namespace sluice;
using namespace sluice::supervise;

namespace {

constexpr TimePoint t0 = TimePoint(1h);

// Slots whose processes do at once what they are told.
struct Fleet {
  explicit Fleet(std::vector<int> kinds, std::size_t max_workers) : slots(max_workers, SlotMachine(options())) {
    for (std::uint32_t i = 0; i < kinds.size(); ++i) slots[i].want(static_cast<std::uint32_t>(kinds[i]));
    for (int i = 0; i < 3; ++i) turn();
  }

  static SlotOptions options() {
    SlotOptions o;
    o.restart.backoff_min = 100ms;
    o.restart.breaker_deaths = 5;
    return o;
  }

  void turn() {
    now += 50ms;
    rollout.step(slots, [this](std::uint32_t workers) { return workers <= room; });
    std::uint32_t serving = 0;
    for (std::uint32_t i = 0; i < slots.size(); ++i) {
      SlotMachine& slot = slots[i];
      const Command command = slot.step(now, 0s);
      if (command == Command::start) slot.started(now);
      else if (command == Command::drain) { drained.push_back(i); slot.ended(now, slot.generation(), ExitReason::stopped, Blame::own, 0.5); }
      else if (slot.state() == SlotState::starting && i == fails) slot.ended(now, slot.generation(), ExitReason::error, Blame::own, 0.5);
      else if (slot.state() == SlotState::starting) slot.ready(now, slot.generation());
      serving += slot.state() == SlotState::ready;
      most_wanted = std::max(most_wanted, static_cast<std::uint32_t>(std::count_if(slots.begin(), slots.end(), [](const auto& s) { return s.wanted(); })));
    }
    least_serving = std::min(least_serving, serving);
  }

  // Turns until it is over; false if it never is.
  bool finish() {
    least_serving = ~0u;
    for (int i = 0; i < 200 && rollout.running(); ++i) turn();
    for (int i = 0; i < 5; ++i) turn();
    return !rollout.running();
  }

  std::vector<std::uint64_t> generations(std::size_t n) const {
    std::vector<std::uint64_t> out;
    for (std::size_t i = 0; i < n; ++i) out.push_back(slots[i].generation());
    return out;
  }

  TimePoint now = t0;
  std::vector<SlotMachine> slots;
  Rollout rollout;
  std::uint32_t room = ~0u;      // so many workers may run
  std::uint32_t fails = ~0u;     // newcomers in this slot end before they are ready
  std::uint32_t least_serving = ~0u, most_wanted = 0;
  std::vector<std::uint32_t> drained;
};

using Generations = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("a rolling restart replaces every worker once, and as many serve as before") {
  Fleet f({0, 0, 0}, 8);
  REQUIRE(f.rollout.begin({}, f.slots) == "");
  REQUIRE(f.finish());
  CHECK(f.rollout.state() == Rollout::State::done);
  CHECK(f.rollout.replaced() == 3);
  CHECK(f.generations(3) == Generations{2, 2, 2});
  CHECK(f.least_serving == 3);
  CHECK(f.most_wanted == 4);                                      // one more meanwhile
  CHECK(f.drained == std::vector<std::uint32_t>{0, 1, 2, 3});     // in order, the additional one last
  CHECK(f.slots[3].state() == SlotState::empty);
}

TEST_CASE("without room for one more, in the budget or in the table, workers are replaced in place") {
  Fleet f({0, 0, 0}, 8);
  SUBCASE("the budget has none") { f.room = 3; }
  SUBCASE("every slot is in use") { f = Fleet({0, 0, 0}, 3); }
  REQUIRE(f.rollout.begin({}, f.slots) == "");
  REQUIRE(f.finish());
  CHECK(f.rollout.state() == Rollout::State::done);
  CHECK(f.generations(3) == Generations{2, 2, 2});
  CHECK(f.least_serving == 2);  // never more than one is missing
  CHECK(f.most_wanted == 3);
}

TEST_CASE("a newcomer that ends before it is ready stops the restart while every old worker still serves") {
  Fleet f({0, 0, 0}, 4);
  f.fails = 3;  // the additional one comes first
  REQUIRE(f.rollout.begin({}, f.slots) == "");
  REQUIRE(f.finish());
  CHECK(f.rollout.state() == Rollout::State::stopped);
  CHECK(f.rollout.culprit() == 3u);
  CHECK(f.rollout.replaced() == 0);
  CHECK(f.rollout.text().find("slot 3") != std::string::npos);
  CHECK(f.generations(3) == Generations{1, 1, 1});
  CHECK(f.least_serving == 3);
  CHECK_FALSE(f.slots[3].wanted());
}

TEST_CASE("in place, who has not been replaced yet serves on when a newcomer fails") {
  Fleet f({0, 0, 0}, 3);
  f.fails = 1;
  REQUIRE(f.rollout.begin({}, f.slots) == "");
  REQUIRE(f.finish());
  CHECK(f.rollout.state() == Rollout::State::stopped);
  CHECK(f.rollout.culprit() == 1u);
  CHECK(f.rollout.replaced() == 1);
  CHECK(f.slots[0].generation() == 2);
  CHECK(f.slots[2].generation() == 1);
  CHECK(f.slots[2].state() == SlotState::ready);
}

TEST_CASE("each kind has an additional worker of its own kind while it is replaced") {
  Fleet f({0, 1, 0}, 4);
  REQUIRE(f.rollout.begin({}, f.slots) == "");
  bool web = false, jobs = false;
  for (int i = 0; i < 200 && f.rollout.running(); ++i) {
    f.turn();
    if (!f.slots[3].surge() || !f.slots[3].wanted()) continue;
    (f.slots[3].kind() == 0 ? web : jobs) = true;
  }
  CHECK(web);
  CHECK(jobs);
  CHECK(f.generations(3) == Generations{2, 2, 2});
}

TEST_CASE("one kind or one slot can be restarted alone, and who is not there is refused") {
  Fleet f({0, 1, 0}, 8);
  REQUIRE(f.rollout.begin({.kind = 1u}, f.slots) == "");
  REQUIRE(f.finish());
  CHECK(f.generations(3) == Generations{1, 2, 1});
  REQUIRE(f.rollout.begin({.slot = 2u}, f.slots) == "");
  CHECK(f.rollout.number() == 2);
  REQUIRE(f.finish());
  CHECK(f.generations(3) == Generations{1, 2, 2});
  CHECK(f.rollout.begin({.slot = 5u}, f.slots) == "there is no worker in slot 5");
  CHECK(f.rollout.begin({.kind = 7u}, f.slots) != "");
  CHECK(f.rollout.number() == 2);
}

TEST_CASE("who crashed and came back meanwhile is not replaced again, and who was scaled away is not brought back") {
  Fleet f({0, 0, 0}, 8);
  REQUIRE(f.rollout.begin({}, f.slots) == "");
  f.slots[1].ended(f.now, 1, ExitReason::signal, Blame::own, 0.5);
  f.slots[2].unwant();
  REQUIRE(f.finish());
  CHECK(f.rollout.state() == Rollout::State::done);
  CHECK(f.slots[0].generation() == 2);
  CHECK(f.slots[1].generation() == 2);
  CHECK(f.slots[2].generation() == 1);
  CHECK(f.slots[2].state() == SlotState::empty);
}

TEST_CASE("who died twice by itself before its turn is no failed newcomer") {
  Fleet f({0, 0, 0}, 3);
  REQUIRE(f.rollout.begin({}, f.slots) == "");
  for (std::uint64_t generation : {1, 2}) {
    f.slots[2].ended(f.now, generation, ExitReason::signal, Blame::own, 0.5);
    f.slots[2].started(f.now);
  }
  SUBCASE("it boots now") {}
  SUBCASE("it backs off now") { f.slots[2].ended(f.now, 3, ExitReason::signal, Blame::own, 0.5); }
  REQUIRE(f.finish());
  CHECK(f.rollout.state() == Rollout::State::done);
  CHECK(f.rollout.replaced() == 3);
  CHECK(f.slots[2].state() == SlotState::ready);
}

TEST_CASE("scaling during a rolling restart neither counts nor removes the additional worker") {
  Fleet f({0, 0}, 6);
  REQUIRE(f.rollout.begin({}, f.slots) == "");
  f.turn();
  f.turn();
  REQUIRE(f.slots[2].surge());
  const ScalePlan up = plan_scale(f.slots, 0, "web", 3, false);
  CHECK(up.before == 2);
  CHECK(up.add == std::vector<std::uint32_t>{3});
  CHECK(plan_scale(f.slots, 0, "web", 1, false).remove == std::vector<std::uint32_t>{1});
  f.slots[3].want(0);
  REQUIRE(f.finish());
  CHECK(f.rollout.workers() == 2);
  CHECK(f.slots[2].state() == SlotState::empty);
  CHECK(f.slots[3].state() == SlotState::ready);
}

TEST_CASE("a worker whose breaker is open begins anew when it is restarted") {
  Fleet f({0, 0}, 2);
  for (int i = 0; i < 5; ++i) {
    if (f.slots[1].state() == SlotState::backoff || f.slots[1].state() == SlotState::exited) f.slots[1].started(f.now);
    f.slots[1].ended(f.now, f.slots[1].generation(), ExitReason::error, Blame::own, 0.5);
  }
  REQUIRE(f.slots[1].state() == SlotState::failed);
  REQUIRE(f.rollout.begin({}, f.slots) == "");
  REQUIRE(f.finish());
  CHECK(f.rollout.state() == Rollout::State::done);
  CHECK(f.slots[1].state() == SlotState::ready);
}

TEST_CASE("a stop of the instance ends a rolling restart") {
  Fleet f({0, 0}, 4);
  REQUIRE(f.rollout.begin({}, f.slots) == "");
  f.turn();
  f.rollout.abandon();
  CHECK_FALSE(f.rollout.running());
  CHECK(f.rollout.text().find("the instance stops") != std::string::npos);
}
