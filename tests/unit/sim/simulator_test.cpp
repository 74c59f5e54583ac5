// The simulator itself: a few seeds in every suite (tests/sim runs the many), and that it is deterministic and can fail.
#include <sim/world.hpp>

#include <doctest/doctest.h>

using namespace sluice;
using namespace sluice::sim;

namespace {

constexpr std::uint64_t seeds = 40;

Outcome run(const Scenario& scenario, Stacks& stacks, Coverage& coverage) {
  World world(scenario, stacks, coverage, false);
  return world.run();
}

}  // namespace

TEST_CASE("whole fleets keep every invariant while their processes are killed and stopped between any two steps") {
  Stacks stacks;
  Coverage coverage;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    CAPTURE(seed);
    const Outcome outcome = run(scenario_of(seed), stacks, coverage);
    CHECK(outcome.failure == "");
    CHECK(outcome.steps >= least_steps);
    CHECK(outcome.kills > 0);
    CHECK(outcome.leases > 0);
  }
}

TEST_CASE("the same seed is the same run, step for step") {
  Stacks stacks, others;
  Coverage once, again;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const Outcome a = run(scenario_of(seed), stacks, once), b = run(scenario_of(seed), others, again);
    CHECK(a.steps == b.steps);
    CHECK(a.simulated == b.simulated);
    CHECK(a.kills == b.kills);
    CHECK(a.leases == b.leases);
  }
  CHECK(once.seen == again.seen);
  CHECK(once.kills == again.kills);
}

TEST_CASE("nobody but the master may disable a row, and a quarantined one never goes back to its owner") {
  CHECK(find_transition(Actor::master, "disable", RowState::free, RowState::disabled) >= 0);
  CHECK(find_transition(Actor::worker, "disable", RowState::free, RowState::disabled) < 0);
  CHECK(find_transition(Actor::worker, "lease", RowState::quarantined, RowState::leased) < 0);
}
