// What a pool tells about itself, in the order in which it happens.
#pragma once

#include <sluice/pool/error.hpp>

#include <cstdint>
#include <string_view>

namespace sluice::pool {

enum class EventType {
  pool_created, pool_ready, pool_paused, pool_cleared, pool_closed,
  created, connected, closed, checkout_started, checkout_failed, leased, returned, enqueued, timed_out,
  lent, borrowed, leak_suspected
};
enum class CloseReason { none, stale, idle, lifetime, uses, error, pool_closed, shrink, discarded };
constexpr const char* to_text(CloseReason r) noexcept {
  constexpr const char* names[] = {"none", "stale", "idle", "lifetime", "uses", "error", "pool closed", "shrink", "discarded"};
  return names[static_cast<unsigned>(r)];
}

struct Event {
  EventType type{};
  std::uint64_t connection = 0;  // id within the pool; 0: none
  CloseReason reason = CloseReason::none;
  std::string_view detail = {};  // e.g. the error's text; valid during the call only
  Phase phase{};                 // of checkout_failed
};

}  // namespace sluice::pool
