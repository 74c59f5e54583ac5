// Errors of a pool, by phase, with the live numbers of that instant and the root causes: the last connect and the last check error.
#pragma once

#include <sluice/core/error.hpp>

#include <cstdint>
#include <string>

namespace sluice::pool {

// connect: the last connect failed during the wait, or the pool was cleared. validation: connections failed their check (or their
// reset) during the wait, and none has worked since. wait_timeout: all that work were in use. paused: ready() has not been called.
// hook: before_lease threw. too_many: more connections were asked for at once than the pool can ever have.
enum class Phase { queue_full, wait_timeout, connect, validation, closed, cancelled, paused, hook, too_many };
constexpr const char* to_text(Phase p) noexcept {
  constexpr const char* names[] = {"queue full", "wait timeout", "connect", "validation", "closed", "cancelled", "paused", "hook", "too many"};
  return names[static_cast<unsigned>(p)];
}

// Of one pool, except `held`: the permits of the worker's share, over all its pools of that server. `checking`: being pinged
// or reset, so neither idle nor leased. `limit`: the smaller of `max` and the share's limit. `in_flight`: exclusive leases and
// requests of shared ones. `detached`: left the pool, but not yet destroyed. `suspected_leaks`, `suspected_deadlocks`: told so far.
struct Numbers {
  std::uint32_t idle = 0, leased = 0, connecting = 0, closing = 0, waiting = 0, held = 0, limit = 0, checking = 0;
  std::uint32_t in_flight = 0, detached = 0;
  std::uint64_t suspected_leaks = 0, suspected_deadlocks = 0;
};

class PoolError : public Error {
 public:
  PoolError(Phase phase, const std::string& message, const Numbers& numbers, const std::string& last_connect_error, const std::string& last_check_error = {})
      : Error(message), phase_(phase), numbers_(numbers), last_connect_error_(last_connect_error), last_check_error_(last_check_error) {}
  Phase phase() const noexcept { return phase_; }
  const Numbers& numbers() const noexcept { return numbers_; }
  const std::string& last_connect_error() const noexcept { return last_connect_error_; }  // "" if the last connect succeeded
  const std::string& last_check_error() const noexcept { return last_check_error_; }      // "" if a connection has worked since

 private:
  Phase phase_;
  Numbers numbers_;
  std::string last_connect_error_, last_check_error_;
};

}  // namespace sluice::pool
