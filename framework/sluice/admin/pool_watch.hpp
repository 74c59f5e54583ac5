// The health of every pool over the last minute: remembers the numbers between two looks, because a rate needs two instants.
// One per admin process; one loop's own.
#pragma once

#include <sluice/shm/pool_health.hpp>
#include <sluice/shm/segment.hpp>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

namespace sluice::admin {

class PoolWatch {
 public:
  explicit PoolWatch(const shm::Segment& segment);

  // Of one worker's pool, over the last half to whole minute.
  shm::PoolHealth judge(std::uint32_t slot, std::uint32_t pool, std::int64_t now);

  // What pools are not as they should be, one reason for each of a pool: {"subject", "reason", "recommendation"}. Those of its
  // workers are counted, the gravest is told. What the last connect says is left to others.
  nlohmann::json reasons(std::int64_t now);

 private:
  const shm::Segment& segment_;
  std::vector<shm::HealthWindow> windows_;
};

// {"state", "findings": [{"reason", "recommendation"}], "utilization", "acquires_per_second", …}
nlohmann::json to_json(const shm::PoolHealth& health);

}  // namespace sluice::admin
