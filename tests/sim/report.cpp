#include <sim/report.hpp>

#include <algorithm>
#include <cstdio>
#include <string>

namespace sluice::sim {
namespace {

using Count = unsigned long long;

unsigned print_coverage(const Coverage& c) {
  std::printf("\n%-8s %-11s %-13s %-12s %12s %10s %10s\n", "who", "step", "from", "to", "seen", "kill before", "kill after");
  unsigned missing = 0;
  for (std::size_t i = 0; i < transitions.size(); ++i) {
    const Transition& t = transitions[i];
    std::printf("%-8s %-11.*s %-13s %-12s %12llu %10llu %10llu%s\n", to_text(t.actor), static_cast<int>(t.step.size()), t.step.data(), budget::to_text(t.from),
                budget::to_text(t.to), Count{c.seen[i]}, Count{c.kills[i][0]}, Count{c.kills[i][1]}, c.kills[i][0] == 0 || c.kills[i][1] == 0 ? "  MISSING" : "");
    missing += (c.kills[i][0] == 0) + (c.kills[i][1] == 0);
  }
  const auto points = static_cast<unsigned>(2 * transitions.size());
  std::printf("coverage: %u of %u kills at a transition (%.1f %%)\n", points - missing, points, 100.0 * (points - missing) / points);
  return missing;
}

}  // namespace

void Shard::add(std::uint64_t which, const Outcome& outcome) {
  ++seeds;
  steps += outcome.steps;
  kills += outcome.kills;
  leases += outcome.leases;
  fleets += outcome.fleets;
  std::string why = outcome.failure;
  if (why.empty()) {
    fewest_steps = std::min(fewest_steps, outcome.steps);
    fewest_kills = std::min(fewest_kills, outcome.kills);
    if (outcome.steps < least_steps) why = "too few steps to mean anything";
    if (outcome.kills == 0) why = "nobody was killed";
  }
  if (why.empty()) return;
  if (failed < most_failures) {
    failures[failed].seed = which;
    why.copy(failures[failed].why, sizeof failures[failed].why - 1);
  }
  ++failed;
}

int report(std::span<const Shard> shards, std::uint64_t seeds, double seconds) {
  Shard all;
  bool crashed = false;
  for (const Shard& s : shards) {
    all.seeds += s.seeds, all.steps += s.steps, all.kills += s.kills, all.leases += s.leases, all.fleets += s.fleets, all.failed += s.failed;
    all.fewest_steps = std::min(all.fewest_steps, s.fewest_steps);
    all.fewest_kills = std::min(all.fewest_kills, s.fewest_kills);
    all.coverage.add(s.coverage);
    for (std::uint64_t i = 0; i < std::min<std::uint64_t>(s.failed, Shard::most_failures); ++i)
      std::printf("FAILED seed %llu: %s   (sim --seed %llu --trace)\n", Count{s.failures[i].seed}, s.failures[i].why, Count{s.failures[i].seed});
    if (s.finished) continue;
    crashed = true;
    std::printf("CRASHED seed %llu   (sim --seed %llu --trace)\n", Count{s.seed}, Count{s.seed});
  }
  const double rate = static_cast<double>(all.seeds) / std::max(seconds, 1e-9);
  const unsigned missing = print_coverage(all.coverage);
  std::printf("\n%llu seeds in %.1f s: %.0f seeds a second; 10 million would take %.1f hours\n", Count{all.seeds}, seconds, rate, 1e7 / rate / 3600);
  std::printf("%llu steps (%.0f a seed, at least %llu; %.0f ns each), %llu kills (at least %llu a seed), %llu fleets, %llu leases\n", Count{all.steps},
              static_cast<double>(all.steps) / static_cast<double>(std::max<std::uint64_t>(all.seeds, 1)), Count{all.fewest_steps},
              seconds * 1e9 * static_cast<double>(shards.size()) / static_cast<double>(std::max<std::uint64_t>(all.steps, 1)), Count{all.kills}, Count{all.fewest_kills},
              Count{all.fleets}, Count{all.leases});
  const bool covered = missing == 0 || seeds < enough_for_coverage;
  if (!covered) std::printf("FAILED: kills of the table above were never tried\n");
  std::printf("%llu failed\n", Count{all.failed});
  return all.failed == 0 && covered && !crashed ? 0 : 1;
}

}  // namespace sluice::sim
