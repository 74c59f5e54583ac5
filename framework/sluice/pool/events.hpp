// What a pool tells about itself, in the order in which it happens.
#pragma once

#include <sluice/core/clock.hpp>
#include <sluice/pool/error.hpp>

#include <cstdint>
#include <string_view>

namespace sluice::pool {

enum class EventType {
  pool_created, pool_ready, pool_paused, pool_cleared, pool_closed,
  created, connected, closed, checkout_started, checkout_failed, leased, returned, enqueued, timed_out,
  lent, borrowed, leak_suspected, deadlock_suspected, detached, hook_failed
};
constexpr const char* to_text(EventType t) noexcept {
  constexpr const char* names[] = {"pool_created", "pool_ready", "pool_paused", "pool_cleared", "pool_closed", "created", "connected", "closed",
                                   "checkout_started", "checkout_failed", "leased", "returned", "enqueued", "timed_out", "lent", "borrowed",
                                   "leak_suspected", "deadlock_suspected", "detached", "hook_failed"};
  return names[static_cast<unsigned>(t)];
}
// detached: the holder of a connection that had left the pool let go of it. leaked: taken away from a leaked lease.
enum class CloseReason { none, stale, idle, lifetime, uses, error, pool_closed, shrink, discarded, lent, detached, leaked };
constexpr const char* to_text(CloseReason r) noexcept {
  constexpr const char* names[] = {"none", "stale", "idle", "lifetime", "uses", "error", "pool closed", "shrink", "discarded", "lent", "detached", "leaked"};
  return names[static_cast<unsigned>(r)];
}

struct Event {
  EventType type{};
  std::uint64_t connection = 0;  // id within the pool; 0: none
  CloseReason reason = CloseReason::none;
  std::string_view detail = {};  // e.g. the error's text; valid during the call only
  Phase phase{};                 // of checkout_failed
  // Of leak_suspected: where the lease was taken. Of deadlock_suspected: where the task waits, and where it took the connection
  // that it holds. Numbers for Pool::call_site(); 0: unknown.
  std::uint32_t call_site = 0;
  std::uint32_t held_call_site = 0;
  Duration age{};  // of leak_suspected: how long it has been held
};

}  // namespace sluice::pool
