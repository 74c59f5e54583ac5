#include <sluice/supervise/fleet.hpp>
#include <sluice/supervise/hang_watch.hpp>
#include <sluice/supervise/restart_policy.hpp>

#include <doctest/doctest.h>

#include <vector>

using namespace sluice;
using namespace sluice::supervise;

namespace {
constexpr TimePoint t0 = TimePoint(1h);
}

TEST_CASE("the backoff doubles up to its maximum, half of it certain and half of it jitter") {
  config::Restart o;
  o.backoff_min = 100ms;
  o.backoff_max = 1s;
  o.breaker_deaths = 0;
  RestartPolicy least(o), most(o);
  const Duration expected[] = {100ms, 200ms, 400ms, 800ms, 1s, 1s};
  for (const Duration step : expected) {
    CHECK(*least.died(t0, 0s, 0.0) == step / 2);
    CHECK(to_millis(*most.died(t0, 0s, 1.0)) == to_millis(step));
  }
  for (int i = 0; i < 100; ++i) CHECK(*most.died(t0, 0s, 1.0) <= 1s);
}

TEST_CASE("a healthy life forgets the backoff but not the breaker's deaths") {
  config::Restart o;
  o.healthy_after = 10s;
  o.breaker_deaths = 3;
  o.breaker_window = 60s;
  RestartPolicy policy(o);
  CHECK(*policy.died(t0, 1s, 0.5) > 0s);
  CHECK(*policy.died(t0 + 20s, 20s, 0.5) == 0s);
  CHECK_FALSE(policy.died(t0 + 40s, 20s, 0.5));
}

TEST_CASE("deaths outside of the breaker's window do not count") {
  config::Restart o;
  o.breaker_deaths = 2;
  o.breaker_window = 60s;
  RestartPolicy policy(o);
  for (int i = 0; i < 10; ++i) CHECK(policy.died(t0 + i * 61s, 1s, 0.5));
}

TEST_CASE("time in which the master itself did not run is not held against a worker") {
  HangWatch watch(1s);
  watch.tick(t0);
  CHECK(watch.age(t0, TimePoint{}) == 0s);
  CHECK(watch.age(t0, t0 - 3s) == 3s);
  watch.tick(t0 + 60s);  // the master was stopped for a minute
  CHECK(watch.age(t0 + 60s, t0) == 0s);
  watch.tick(t0 + 60s + 500ms);
  CHECK(watch.age(t0 + 60s + 500ms, t0) == 500ms);
  CHECK(watch.age(t0 + 60s, t0 + 61s) == 0s);
}

TEST_CASE("scaling takes the lowest empty slots and gives back the highest of the kind") {
  std::vector<SlotMachine> slots(6, SlotMachine(SlotOptions{}));
  slots[0].want(0);
  slots[1].want(1);
  slots[2].want(0);
  CHECK(plan_scale(slots, 0, "web", 4, false).add == std::vector<std::uint32_t>{3, 4});
  CHECK(plan_scale(slots, 0, "web", 2, true).add == std::vector<std::uint32_t>{3, 4});
  CHECK(plan_scale(slots, 0, "web", 1, false).remove == std::vector<std::uint32_t>{2});
  CHECK(plan_scale(slots, 0, "web", -2, true).remove == std::vector<std::uint32_t>{2, 0});
  CHECK(plan_scale(slots, 1, "jobs", 0, false).remove == std::vector<std::uint32_t>{1});
  CHECK(plan_scale(slots, 0, "web", 2, false).add.empty());
}

TEST_CASE("scaling down removes failed workers before healthy ones") {
  SlotOptions options;
  options.restart.breaker_deaths = 1;
  std::vector<SlotMachine> slots(3, SlotMachine(options));
  for (auto& slot : slots) slot.want(0);
  slots[0].started(t0);
  slots[0].ended(t0, 1, ExitReason::error, Blame::own, 0.5);
  REQUIRE(slots[0].state() == SlotState::failed);
  CHECK(plan_scale(slots, 0, "web", -1, true).remove == std::vector<std::uint32_t>{0});
  CHECK(plan_scale(slots, 0, "web", 1, false).remove == std::vector<std::uint32_t>{0, 2});
}

TEST_CASE("scaling beyond the slots, below zero or over draining workers is refused with words") {
  std::vector<SlotMachine> slots(3, SlotMachine(SlotOptions{}));
  slots[0].want(0);
  slots[1].want(0);
  slots[1].started(t0);
  slots[1].unwant();  // draining: its slot is not free yet
  CHECK(plan_scale(slots, 0, "web", 4, false).refusal.find("max_workers 3") != std::string::npos);
  CHECK(plan_scale(slots, 0, "web", -2, true).refusal.find("remove at most 1") != std::string::npos);
  CHECK(plan_scale(slots, 0, "web", 3, false).refusal.find("draining") != std::string::npos);
  CHECK(plan_scale(slots, 0, "web", 2, false).refusal.empty());
}
