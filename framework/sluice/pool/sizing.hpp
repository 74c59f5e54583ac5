// How many connections to open, and when to try again: pure functions.
#pragma once

#include <sluice/core/clock.hpp>

#include <algorithm>
#include <cstdint>

namespace sluice::pool {

struct Demand {
  std::uint32_t waiting = 0;   // callers in the queue
  std::uint32_t settled = 0;   // connections that are idle or leased
  std::uint32_t coming = 0;    // connecting, or being checked or reset: each will serve one waiter
  std::uint32_t closing = 0;   // still hold a permit and, on the server, a session
  std::uint32_t minimum = 0;   // connections to keep open
  std::uint32_t maximum = 0;   // of this pool, closing ones included
  std::uint32_t connecting = 0;
  bool failing = false;        // the last connect failed: one probe at a time
};

constexpr std::uint32_t connects_to_start(const Demand& d) noexcept {
  const std::uint32_t open = d.settled + d.coming;
  const std::uint32_t total = open + d.closing;
  const std::uint32_t for_waiters = d.waiting > d.coming ? d.waiting - d.coming : 0;
  const std::uint32_t for_minimum = d.minimum > open ? d.minimum - open : 0;
  const std::uint32_t room = d.maximum > total ? d.maximum - total : 0;
  const std::uint32_t probes = d.failing ? (d.connecting == 0 ? 1 : 0) : ~0u;
  return std::min({std::max(for_waiters, for_minimum), room, probes});
}

static_assert(connects_to_start({.waiting = 3, .maximum = 10}) == 3, "one for each waiter");
static_assert(connects_to_start({.waiting = 3, .coming = 2, .maximum = 10}) == 1, "a waiter is served by what is already coming");
static_assert(connects_to_start({.settled = 1, .minimum = 4, .maximum = 10}) == 3, "up to the minimum");
static_assert(connects_to_start({.waiting = 2, .minimum = 2, .maximum = 10}) == 2, "waiters and minimum are served by the same connections");
static_assert(connects_to_start({.waiting = 9, .settled = 2, .closing = 1, .maximum = 4}) == 1, "closing ones count: the server still has them");
static_assert(connects_to_start({.waiting = 9, .settled = 5, .maximum = 4}) == 0, "never above the maximum");
static_assert(connects_to_start({.waiting = 9, .maximum = 10, .failing = true}) == 1, "a failing server gets one probe");
static_assert(connects_to_start({.waiting = 9, .coming = 1, .maximum = 10, .connecting = 1, .failing = true}) == 0, "and only one");

// now + d without overflow; `Duration::max()` means never.
constexpr TimePoint saturating_add(TimePoint now, Duration d) noexcept { return d >= TimePoint::max() - now ? TimePoint::max() : now + d; }

}  // namespace sluice::pool
