// How one call wants to be served: `pool.acquire(within(2s))`, `pool.acquire(Priority::high)`, `pool.acquire(within(2s) | Priority::low)`.
#pragma once

#include <sluice/core/clock.hpp>
#include <sluice/pool/waiter.hpp>

#include <optional>

namespace sluice::pool {

struct Wish {
  constexpr Wish() noexcept {}
  constexpr Wish(Within within) noexcept : limit(within.limit) {}
  constexpr Wish(Priority p) noexcept : priority(p) {}
  constexpr Wish(Within within, Priority p) noexcept : limit(within.limit), priority(p) {}

  std::optional<Duration> limit;  // of the wait; absent: acquire_timeout. 0: not at all
  Priority priority = Priority::normal;
  bool read_only = false;  // nothing will be written: a source of several servers may choose a replica; a pool has one server and does not look
};
constexpr Wish operator|(Within within, Priority priority) noexcept { return Wish(within, priority); }

}  // namespace sluice::pool
