// When a running statement has to stop. The loop sets it, the connection's thread reads it between two steps of the work.
#pragma once

#include <sluice/core/clock.hpp>

#include <atomic>

namespace sluice::sqlite {

struct Stop {
  explicit Stop(Deadline d = Deadline::never()) noexcept : deadline(d) {}
  const Deadline deadline;
  std::atomic<bool> cancelled{false};

  bool past_deadline() const noexcept { return !deadline.is_never() && deadline.passed(Clock::now()); }
  bool now() const noexcept { return cancelled.load(std::memory_order_relaxed) || past_deadline(); }
};

}  // namespace sluice::sqlite
