// How many connections a pool keeps open that follows its load: a pure function of the last period.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace sluice::pool {

struct AdaptiveRule {
  double target = 0.7;  // the part of the open connections that should be busy on average; > 0
  double up = 0.8;      // above this part: larger
  double down = 0.3;    // below this part: smaller
};

// What the last period was like: connections in use on average (those that waiters lacked included), and open now.
struct Load {
  double busy = 0;
  std::uint32_t open = 0;
};

// Between the thresholds everything stays as it is, so that the size does not swing with the load.
inline std::uint32_t adapted_size(const Load& load, std::uint32_t least, std::uint32_t most, const AdaptiveRule& rule) noexcept {
  const double open = load.open;
  const bool too_few = load.busy > open * rule.up;
  const bool too_many = load.busy < open * rule.down;
  double wanted = open;
  // A hair less, so that 7 busy ones at a target of 0.7 make 10 and not, by rounding, 11.
  if (too_few || too_many) wanted = std::ceil(load.busy / rule.target - 1e-9);
  return static_cast<std::uint32_t>(std::clamp(wanted, static_cast<double>(least), static_cast<double>(std::max(least, most))));
}

}  // namespace sluice::pool
