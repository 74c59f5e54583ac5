// When a slot's next life may start: exponential backoff with full jitter, an immediate first restart after a healthy
// life, and a breaker that opens after too many deaths. Pure: time and randomness come from the caller.
#pragma once

#include <sluice/config/config.hpp>
#include <sluice/core/clock.hpp>

#include <deque>
#include <optional>

namespace sluice::supervise {

class RestartPolicy {
 public:
  explicit RestartPolicy(const config::Restart& options) : options_(options) {}

  // A life of length `lived` ended at `now`. The delay until the next life, or nothing: the breaker is open.
  // `random` is uniform in [0, 1).
  // Without `counts` the breaker does not see it.
  std::optional<Duration> died(TimePoint now, Duration lived, double random, bool counts = true);

  // An operator asked for another try: forget the past.
  void forgive();

 private:
  config::Restart options_;
  std::uint32_t consecutive_ = 0;  // deaths since the last healthy life
  std::deque<TimePoint> deaths_;   // within the breaker's window
};

}  // namespace sluice::supervise
