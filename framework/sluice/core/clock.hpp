// Monotonic time. Pure state machines never read a clock: they take `TimePoint now` from their caller, so tests use
// any instants they like. Values in shared memory are nanoseconds of CLOCK_MONOTONIC, comparable between processes.
#pragma once

#include <sluice/core/cycle_clock.hpp>

#include <chrono>
#include <cstdint>

namespace sluice {

// std::chrono::steady_clock's own instants, so that timers take them; read from the processor's time stamp counter where the
// kernel trusts it. Never goes back within a thread. Any thread, any process.
struct Clock {
  using duration = std::chrono::steady_clock::duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::steady_clock::time_point;
  static constexpr bool is_steady = true;
  static time_point now() noexcept { return time_point(std::chrono::duration_cast<duration>(std::chrono::nanoseconds(cycle_clock_nanos()))); }
};
using TimePoint = Clock::time_point;
using Duration = Clock::duration;

using namespace std::chrono_literals;  // NOLINT: durations carry units everywhere

constexpr std::int64_t to_nanos(TimePoint t) noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(t.time_since_epoch()).count();
}
constexpr TimePoint from_nanos(std::int64_t ns) noexcept {
  return TimePoint(std::chrono::duration_cast<Duration>(std::chrono::nanoseconds(ns)));
}
inline std::int64_t now_nanos() noexcept { return to_nanos(Clock::now()); }

template <class Rep, class Period>
constexpr std::int64_t to_millis(std::chrono::duration<Rep, Period> d) noexcept {
  return std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
}

// An instant after which an operation gives up. Default: never.
struct Deadline {
  TimePoint at = TimePoint::max();

  static constexpr Deadline never() noexcept { return Deadline{}; }
  static Deadline after(Duration d) noexcept { return Deadline{Clock::now() + d}; }
  constexpr bool is_never() const noexcept { return at == TimePoint::max(); }
  constexpr bool passed(TimePoint now) const noexcept { return now >= at; }
  Duration remaining(TimePoint now) const noexcept { return is_never() ? Duration::max() : at - now; }
  friend constexpr Deadline earlier(Deadline a, Deadline b) noexcept { return a.at < b.at ? a : b; }
};

// Per-call time limit: `pool.acquire(within(2s))`, `db.query(within(2s), "SELECT …")`.
struct Within {
  Duration limit;
};
constexpr Within within(Duration limit) noexcept { return Within{limit}; }

}  // namespace sluice
