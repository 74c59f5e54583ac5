// Durations of the pool that are no options, and options as durations that can be added to any instant.
#pragma once

#include <sluice/core/clock.hpp>

#include <algorithm>

namespace sluice::pool {

inline constexpr Duration forever = std::chrono::hours(24 * 3650);
constexpr Duration bounded(Duration d) { return std::clamp(d, Duration::zero(), forever); }
constexpr Duration or_forever(Duration d) { return d > Duration::zero() ? bounded(d) : forever; }

// A dead server must be noticed well before the caller's patience ends, so that another connection can still be tried.
inline constexpr Duration ping_timeout = 1s;
// How long past its deadline an operation may end by itself, and how long after that its cancellation may take.
inline constexpr Duration patience = 250ms;

}  // namespace sluice::pool
