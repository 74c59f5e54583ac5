// Each tick the master sums what the workers write into one published block, for readers that never ask.
#pragma once

#include <sluice/shm/segment.hpp>

#include <cstdint>

namespace sluice::supervise {

struct Summary {
  shm::InstanceState state = shm::InstanceState::starting;
  std::uint64_t config_generation = 1;
  std::uint32_t workers_wanted = 0;
  std::uint32_t workers_ready = 0;
  std::uint64_t rollout = 0;
  shm::RolloutState rollout_state = shm::RolloutState::none;
  std::uint32_t rollout_workers = 0;
  std::uint32_t rollout_replaced = 0;
};

// Writer: the supervising thread only.
void publish(const shm::Segment& segment, const Summary& summary, std::int64_t now) noexcept;

}  // namespace sluice::supervise
