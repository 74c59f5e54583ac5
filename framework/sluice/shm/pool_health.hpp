// The health of a pool as a pure function of its numbers at two instants: healthy, degraded or unhealthy, why, and what would help,
// computed from what was measured. Anyone who can read the statistics may ask: the pool's own worker, and the admin process.
#pragma once

#include <sluice/shm/layout.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace sluice::shm {

enum class HealthState : std::uint8_t { healthy, degraded, unhealthy };
constexpr const char* to_text(HealthState s) noexcept {
  constexpr const char* names[] = {"healthy", "degraded", "unhealthy"};
  return names[static_cast<unsigned>(s)];
}

// A pool's statistics at one instant; default: before the first use.
struct PoolSample {
  std::int64_t at = 0;  // nanoseconds of the monotonic clock; 0: the pool's beginning
  std::uint64_t idle = 0, leased = 0, connecting = 0, waiting = 0, limit = 0;
  std::uint64_t reachable = 0;  // as in PoolStats
  std::uint64_t acquires = 0, timeouts = 0, queue_full = 0, connects = 0, connect_errors = 0, lost = 0, leaks = 0;
  std::uint64_t uses = 0, use_nanos = 0, wait_nanos = 0, creates = 0, create_nanos = 0;
  std::string last_error;
};
PoolSample sample(const PoolStats& stats, std::int64_t now);

struct Finding {
  HealthState weight = HealthState::degraded;
  std::string reason;
  std::string recommendation;  // empty: none beyond the reason
};

struct PoolHealth {
  HealthState state = HealthState::healthy;
  std::vector<Finding> findings;  // the gravest first
  // Over the period, as far as it was used: what the recommendations are computed from.
  double utilization = 0;      // leased ÷ limit, now
  double acquires_per_second = 0;
  double mean_wait_ms = 0, mean_use_ms = 0, mean_connect_ms = 0;
  double needed = 0;  // connections that this load keeps busy: acquires a second × mean use (Little's law)
};

// From these shares on a pool is degraded.
inline constexpr double crowded = 0.8;     // utilization, with callers who wait or waited for mean_wait_limit
inline constexpr double mean_wait_limit_ms = 100;
inline constexpr double failing_connects = 0.1;  // of the attempts in the period

// REQUIRES: both of one pool's life, `earlier` not after `now`.
PoolHealth judge(const PoolSample& earlier, const PoolSample& now);

// Judges a pool again and again, each time over the last half to whole minute (from its beginning at first).
class HealthWindow {
 public:
  PoolHealth judge(const PoolStats& stats, std::int64_t now);

 private:
  PoolSample older_, newer_;
};

}  // namespace sluice::shm
