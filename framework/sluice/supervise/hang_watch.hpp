// How long each worker's loop has been silent, as far as it can be held against the worker: time in which the master itself
// did not run (stopped, or the whole machine suspended) does not count. Pure.
#pragma once

#include <sluice/core/clock.hpp>

#include <algorithm>

namespace sluice::supervise {

class HangWatch {
 public:
  // `suspicious`: a distance between two ticks that shows that the master was not running.
  explicit HangWatch(Duration suspicious) : suspicious_(suspicious) {}

  void tick(TimePoint now) {
    if (last_tick_ != TimePoint{} && now - last_tick_ > suspicious_) forgiven_ = now;
    last_tick_ = now;
  }
  // Zero before the first heartbeat.
  Duration age(TimePoint now, TimePoint heartbeat) const {
    if (heartbeat == TimePoint{}) return Duration::zero();
    return std::max(Duration::zero(), now - std::max(heartbeat, forgiven_));
  }

 private:
  Duration suspicious_;
  TimePoint last_tick_{};
  TimePoint forgiven_{};
};

}  // namespace sluice::supervise
