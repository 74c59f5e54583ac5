// What a run over many seeds says in the end. Plain memory: shards are filled by processes of their own.
#pragma once

#include <sim/transitions.hpp>
#include <sim/world.hpp>

#include <cstdint>
#include <span>

namespace sluice::sim {

// From this many seeds on, every kill of the table must have been tried.
inline constexpr std::uint64_t enough_for_coverage = 50'000;

struct Shard {
  struct Failure {
    std::uint64_t seed = 0;
    char why[240] = {};
  };
  static constexpr unsigned most_failures = 10;

  std::uint64_t seed = 0;  // the one that runs
  bool finished = false;
  std::uint64_t seeds = 0, steps = 0, kills = 0, leases = 0, fleets = 0, failed = 0, fewest_steps = ~std::uint64_t{0}, fewest_kills = ~std::uint64_t{0};
  Coverage coverage;
  Failure failures[most_failures];

  void add(std::uint64_t which, const Outcome& outcome);
};

// Prints it; the exit code.
int report(std::span<const Shard> shards, std::uint64_t seeds, double seconds);

}  // namespace sluice::sim
