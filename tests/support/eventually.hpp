// Waiting for an event with a deadline, and the one factor that stretches every time limit of the tests: 1 on a developer's
// machine, 5 where CI is set (shared machines) or under sanitizers, 10 under both; SLUICE_TIME_SCALE overrides it.
#pragma once

#include <sluice/core/clock.hpp>

#include <cstdlib>
#include <thread>

namespace sluice::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif
#else
inline constexpr bool sanitized = false;
#endif

inline Duration scaled(Duration limit) {
  static const double factor = [] {
    const char* given = std::getenv("SLUICE_TIME_SCALE");
    if (const double value = given ? std::atof(given) : 0; value > 0) return value;
    const bool shared = std::getenv("CI") != nullptr;
    return sanitized ? (shared ? 10.0 : 5.0) : (shared ? 5.0 : 1.0);
  }();
  return std::chrono::duration_cast<Duration>(limit * factor);
}

// Asks until the answer is true or the (scaled) limit has passed. The predicate is asked at least once, and a last time at the end.
template <class Predicate>
bool eventually(Duration limit, Predicate predicate) {
  const TimePoint deadline = Clock::now() + scaled(limit);
  while (!predicate()) {
    if (Clock::now() >= deadline) return predicate();
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

// The opposite: true if the predicate stayed true for the whole (unscaled) time.
template <class Predicate>
bool always(Duration time, Predicate predicate) {
  const TimePoint deadline = Clock::now() + time;
  while (Clock::now() < deadline) {
    if (!predicate()) return false;
    std::this_thread::sleep_for(10ms);
  }
  return true;
}

}  // namespace sluice::test
