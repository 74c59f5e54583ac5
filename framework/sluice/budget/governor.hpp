// The governor of connects: while a server is down, one worker of the whole instance probes it, with backoff and jitter; all others
// wait. What is known of the outage is one word in shared memory, so that nobody's death can leave it half written.
// Pure functions; the word is changed by compare-and-swap (Share).
#pragma once

#include <sluice/core/clock.hpp>

#include <algorithm>
#include <cstdint>

namespace sluice::budget {

// The pause after the n-th failed connect in a row (n ≥ 1): uniformly between `least` and least × 2^n, capped by `most`.
// `random` is in [0, 1). Full jitter, so that workers do not come back in step (AWS Architecture Blog, "Exponential Backoff And Jitter").
constexpr Duration connect_backoff(std::uint32_t failures, Duration least, Duration most, double random) noexcept {
  Duration cap = least;
  for (std::uint32_t i = 0; i < failures && cap < most; ++i) cap = cap > most / 2 ? most : cap * 2;
  cap = std::min(cap, most);
  const Duration floor = std::min(least, cap);
  return floor + Duration(static_cast<Duration::rep>(static_cast<double>((cap - floor).count()) * random));
}

static_assert(connect_backoff(1, 100ms, 30s, 0.0) == 100ms);
static_assert(connect_backoff(1, 100ms, 30s, 0.5) == 150ms);
static_assert(connect_backoff(40, 100ms, 30s, 0.0) == 100ms);
static_assert(connect_backoff(40, 100ms, 30s, 0.999) > 29s && connect_backoff(40, 100ms, 30s, 0.999) <= 30s);

// Failed connects in a row, and when the next one may start. No outage: the word is 0.
struct Outage {
  std::uint16_t failures = 0;
  std::int64_t probe_at_millis = 0;  // CLOCK_MONOTONIC, 48 bits used

  static constexpr Outage unpack(std::uint64_t word) noexcept {
    return Outage{static_cast<std::uint16_t>(word), static_cast<std::int64_t>(word >> 16)};
  }
  constexpr std::uint64_t pack() const noexcept { return failures == 0 ? 0 : std::uint64_t{failures} | static_cast<std::uint64_t>(probe_at_millis) << 16; }
};

// One more connect has failed at `now`.
constexpr Outage after_failure(Outage before, std::int64_t now_nanos, Duration least, Duration most, double random) noexcept {
  Outage after;
  after.failures = static_cast<std::uint16_t>(std::min(before.failures + 1, 0xffff));
  after.probe_at_millis = (now_nanos + connect_backoff(after.failures, least, most, random).count() + 999'999) / 1'000'000;
  return after;
}

// How many rows of the server may be `connecting` now; 0 = unlimited only if there is no outage and no maximum.
struct Allowance {
  bool any = true;
  std::uint32_t most = 0;  // 0: unlimited
};
constexpr Allowance allowance(Outage outage, std::uint32_t max_connecting, std::int64_t now_nanos) noexcept {
  if (outage.failures == 0) return {true, max_connecting};
  return {now_nanos / 1'000'000 >= outage.probe_at_millis, 1};
}

static_assert(allowance({}, 2, 0).any && allowance({}, 2, 0).most == 2);
static_assert(!allowance({3, 100}, 2, 99'000'000).any && allowance({3, 100}, 2, 100'000'000).any);
static_assert(allowance({3, 100}, 8, 100'000'000).most == 1, "one prober, whatever max_connecting says");

}  // namespace sluice::budget
