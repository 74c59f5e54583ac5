#include <sluice/supervise/restart_policy.hpp>

#include <algorithm>

namespace sluice::supervise {

std::optional<Duration> RestartPolicy::died(TimePoint now, Duration lived, double random, bool counts) {
  if (counts) deaths_.push_back(now);
  while (!deaths_.empty() && deaths_.front() < now - options_.breaker_window) deaths_.pop_front();
  if (counts && options_.breaker_deaths != 0 && deaths_.size() >= options_.breaker_deaths) return std::nullopt;

  if (lived >= options_.healthy_after) {
    consecutive_ = 0;
    return Duration::zero();
  }
  // Half of the step is certain, so that a crash loop always slows down; half is jitter, so that slots do not march in step.
  const int doublings = static_cast<int>(std::min<std::uint32_t>(consecutive_, 20));
  ++consecutive_;
  const double step = std::min(std::chrono::duration<double>(options_.backoff_min).count() * static_cast<double>(1 << doublings),
                               std::chrono::duration<double>(options_.backoff_max).count());
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(step * (0.5 + 0.5 * random)));
}

void RestartPolicy::forgive() {
  consecutive_ = 0;
  deaths_.clear();
}

}  // namespace sluice::supervise
