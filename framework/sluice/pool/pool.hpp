// A worker's connections to one server. One loop's own: every call from the loop's thread, in the process that made it
// (anything else throws). Connections exist only while the worker owns a permit (budget::Share).
// Semantics follow the MongoDB connection monitoring and pooling specification: paused → ready ⇄ paused → closed, generations.
#pragma once

#include <sluice/budget/permit_table.hpp>
#include <sluice/config/config.hpp>
#include <sluice/core/asio.hpp>
#include <sluice/pool/connector.hpp>
#include <sluice/pool/error.hpp>
#include <sluice/pool/events.hpp>
#include <sluice/shm/layout.hpp>

#include <boost/assert/source_location.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>

namespace sluice::pool {

class PoolShell;    // the Asio side, kept alive by leases
struct PoolEntry;  // one pooled connection
void intrusive_ptr_add_ref(PoolShell* shell) noexcept;
void intrusive_ptr_release(PoolShell* shell) noexcept;
using ShellRef = boost::intrusive_ptr<PoolShell>;  // a plain count: one loop's own, and the lease path is counted in nanoseconds

// What user code holds: one connection, exclusively, until the lease ends. Movable; returning is the destructor's or
// release()'s work. A lease keeps the pool's core alive, so either may be destroyed first.
class Lease {
 public:
  Lease() noexcept = default;
  Lease(Lease&& other) noexcept : shell_(other.shell_), entry_(std::exchange(other.entry_, nullptr)) {}
  Lease& operator=(Lease&& other) noexcept;
  ~Lease() {
    if (entry_) release();
  }

  explicit operator bool() const noexcept { return entry_ != nullptr; }
  // Throws sluice::Error after release().
  Connection& connection() const;
  Connection& operator*() const { return connection(); }
  Connection* operator->() const { return &connection(); }
  std::uint64_t id() const noexcept;  // of the connection within its pool, from 1

  // Gives the connection back now. A second call does nothing.
  void release() noexcept;
  // Gives it back as unusable: it is closed, not reused.
  void discard() noexcept;

 private:
  friend class PoolShell;
  Lease(PoolShell& shell, PoolEntry& entry) noexcept;
  PoolShell* shell_ = nullptr;  // counted as long as there is an entry
  PoolEntry* entry_ = nullptr;
};

// Where a pool takes its permits from and writes its numbers. Several pools of a loop may draw on one `share`: then a pool
// with idle connections yields them to one that has waiters and no permit, and none of them starves. The memory behind all of
// it must outlive the loop: what the loop still runs at its end writes there.
struct PoolResources {
  std::shared_ptr<budget::Share> share;
  shm::PoolStats* stats = nullptr;                 // null: the pool counts in memory of its own
  std::span<shm::CallSite> call_sites = {};        // empty: call sites are not recorded
  std::uint64_t seed = 0;                          // of the jitter's random numbers; 0: from the system
  bool fail_fast = false;                          // a failed connect fails the longest waiter at once, instead of being tried again for it
  bool background = true;                          // false: nothing happens by itself (ageing, keepalive, min_idle), only on calls
};

class Pool {
 public:
  // Starts paused; call ready(). The connector outlives the pool's last connection (shared by the core).
  Pool(asio::io_context& loop, config::Pool options, std::unique_ptr<Connector> connector, PoolResources resources);
  Pool(Pool&&) noexcept;
  Pool& operator=(Pool&&) noexcept;
  ~Pool();  // closes without waiting; afterwards the observer is not called any more

  // Waits for a connection in FIFO order, up to acquire_timeout (0: for ever) or the given limit (0: not at all).
  // Throws PoolError. Cancelling the coroutine loses no connection and no permit. What is free is taken by the call itself, the
  // wait begins with the co_await: a result that nobody awaits gives back what it took.
  awaitable<Lease> acquire(boost::source_location where = BOOST_CURRENT_LOCATION);
  awaitable<Lease> acquire(Within limit, boost::source_location where = BOOST_CURRENT_LOCATION);
  // No wait, no coroutine frame: an idle connection that needs no check, or an empty lease. Throws in a foreign process only.
  Lease try_acquire(boost::source_location where = BOOST_CURRENT_LOCATION);

  void ready();   // paused → ready: background work (min_idle) starts
  void pause();   // ready → paused: no new connections, waiters fail; idle connections stay
  // Every present connection is stale; waiters fail with the last connect error; pauses. O(1). With `interrupt`, connections on
  // their way are closed and cancelled before the waiters fail; without it they are closed when they have come. Leased ones
  // are their holders' and closed at their return.
  void clear(Pending pending = Pending::finish);
  // Closes idle ones now, leased ones at their return; waiters fail. Completes when nothing is left or at the deadline. True: nothing left.
  awaitable<bool> close(Deadline deadline);

  // Opens max(min_idle, 1 with warm_up) connections, but no more than `max` and the limit allow. True: they are open; false: the deadline passed.
  awaitable<bool> warm_up(Deadline deadline);

  // One observer, told `pool_created` at once; called inline on the loop, must not throw, must not call the pool.
  void on_event(std::function<void(const Event&)> observer);

  Numbers numbers() const;
  const std::string& name() const noexcept;
  const std::string& last_connect_error() const noexcept;
  Connector& connector() const noexcept;
  const config::Pool& options() const noexcept;

 private:
  ShellRef shell_;
};

}  // namespace sluice::pool
