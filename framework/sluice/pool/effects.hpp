// What the pool's state machine asks its surroundings to do. None of these calls back into the core before it returns;
// each start_… is answered later by the matching call of PoolCore, or by PoolCore::lost() if it never will be.
#pragma once

#include <sluice/core/clock.hpp>
#include <sluice/pool/entry.hpp>
#include <sluice/pool/error.hpp>
#include <sluice/pool/events.hpp>
#include <sluice/pool/waiter.hpp>

namespace sluice::pool {

class PoolEffects {
 public:
  virtual void start_connect(PoolEntry& entry, Deadline deadline) = 0;  // → connected() or connect_failed()
  virtual void start_ping(PoolEntry& entry, Deadline deadline) = 0;     // → checked()
  virtual void start_reset(PoolEntry& entry, Deadline deadline) = 0;    // → checked()
  virtual void start_close(PoolEntry& entry, Deadline deadline) = 0;    // takes entry.connection → closed()
  // The waiter has left the queue. `entry` is leased to it.
  virtual void serve(Waiter& waiter, PoolEntry& entry) = 0;
  // The same with all connections that it wanted: those in waiter.several->gathered, to be taken out of there.
  virtual void serve_all(Waiter& waiter) { waiter.several->gathered.clear(); }
  virtual void refuse(Waiter& waiter, PoolError error) = 0;
  // The connection will not be used again: what its holder runs on it should fail soon. Must not call back.
  virtual void interrupt(PoolEntry&) noexcept {}
  // May the connection be taken away from a leaked lease?
  virtual bool may_reclaim(const PoolEntry&) noexcept { return false; }
  // Something that somebody should look into, told to the observer as well: a suspected leak or deadlock.
  virtual void suspect(const Event&) {}
  // The number of open connections has changed.
  virtual void changed() noexcept = 0;
  // tick() is wanted at this instant, or earlier.
  virtual void wake_at(TimePoint when) = 0;

 protected:
  ~PoolEffects() = default;
};

}  // namespace sluice::pool
