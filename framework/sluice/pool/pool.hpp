// A worker's connections to one server. One loop's own: every call from the loop's thread, in the process that made it. In a forked
// child every call throws but the destructor and the plain views (name(), options(), connector(), last_connect_error()); a lease that
// ends there does nothing. Another thread is the caller's mistake: acquire(), try_acquire() and leases do not look, for it would
// cost them; all other calls throw where the loop was seen to turn in another thread and has not come to its end (stopped()).
// Connections exist only while the worker owns a permit (budget::Share).
// Semantics follow the MongoDB connection monitoring and pooling specification: paused → ready ⇄ paused → closed, generations.
#pragma once

#include <sluice/budget/share.hpp>
#include <sluice/config/config.hpp>
#include <sluice/core/asio.hpp>
#include <sluice/pool/connection_source.hpp>
#include <sluice/pool/connector.hpp>
#include <sluice/pool/error.hpp>
#include <sluice/pool/event_stream.hpp>
#include <sluice/pool/events.hpp>
#include <sluice/pool/hooks.hpp>
#include <sluice/pool/lease.hpp>
#include <sluice/pool/views.hpp>
#include <sluice/pool/wish.hpp>
#include <sluice/shm/layout.hpp>
#include <sluice/shm/pool_health.hpp>

#include <boost/assert/source_location.hpp>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace sluice::pool {

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
  Duration ageing_every = 100ms;                   // how often idle connections are looked at for their age
  Hooks hooks = {};
};

// A final one: a call by this name costs no look into a table.
class Pool final : public ConnectionSource {
 public:
  // Starts paused; call ready(). The connector outlives the pool's last connection (shared by the core).
  Pool(asio::io_context& loop, config::Pool options, std::unique_ptr<Connector> connector, PoolResources resources);
  Pool(Pool&&) noexcept;
  Pool& operator=(Pool&&) noexcept;
  ~Pool();  // closes without waiting; afterwards the observer is not called any more

  // Waits for a connection in FIFO order within the call's priority class, up to acquire_timeout (0: for ever) or the wish's limit
  // (0: not at all). With queue_limit 0 it waits for no other caller, only for a connection that is opened for it. Throws PoolError. Cancelling the coroutine loses no connection and no permit.
  awaitable<Lease> acquire(const boost::source_location& where = BOOST_CURRENT_LOCATION);
  awaitable<Lease> acquire(const Wish& wish, const boost::source_location& where = BOOST_CURRENT_LOCATION) override;
  // No wait, no coroutine frame: an idle connection that needs no check, or an empty lease. Throws in a foreign process, and if
  // before_lease throws.
  Lease try_acquire(const boost::source_location& where = BOOST_CURRENT_LOCATION) override;
  bool may_lease() const noexcept override;

  // One request of several on a connection, where the driver can multiplex: the connection with the fewest requests in flight; no
  // more than max_requests_per_connection on one. Where it cannot, or with 1, the same as acquire().
  awaitable<Lease> acquire_shared(const Wish& wish = {}, const boost::source_location& where = BOOST_CURRENT_LOCATION);
  Lease try_acquire_shared(const boost::source_location& where = BOOST_CURRENT_LOCATION);

  // That many connections or none. The pool collects them, for one caller at a time, so two of these cannot wait for each other. What
  // has been collected counts as leased, and nobody else is served until the last has come or the caller's time is over. More than
  // `max` and the budget can ever give are refused at once (phase too_many).
  awaitable<std::vector<Lease>> acquire_many(std::uint32_t connections, const Wish& wish = {}, const boost::source_location& where = BOOST_CURRENT_LOCATION);

  // A connection to keep: see Pinned. Not counted as a leak.
  awaitable<Pinned> pin(const Wish& wish = {}, const boost::source_location& where = BOOST_CURRENT_LOCATION);

  void ready();   // paused → ready: background work (min_idle) starts
  void pause();   // ready → paused: no new connections, waiters fail; idle connections stay
  // Every present connection is stale; waiters fail with the last connect error; pauses. O(1). With `interrupt`, connections on
  // their way are closed and cancelled before the waiters fail; without it they are closed when they have come. Leased ones
  // are their holders' and closed at their return.
  void clear(Pending pending = Pending::finish);
  // Every present connection is replaced as soon as nobody uses it; nobody fails, nothing pauses. O(1).
  void refresh();
  // Sets the hooks, and replaces connections that were opened without them (see refresh()).
  void hooks(Hooks hooks);
  // Closes idle ones now, leased ones at their return; waiters fail. Completes when nothing is left or at the deadline. True: nothing left.
  awaitable<bool> close(Deadline deadline);

  // Opens max(min_idle, 1 with warm_up) connections, but no more than `max` and the limit allow. True: they are open; false: the deadline passed.
  awaitable<bool> warm_up(Deadline deadline);
  // The same for a number of connections; says how many there are. They are idle then, and age like all others.
  awaitable<std::uint32_t> preallocate(std::uint32_t connections, Deadline deadline);

  // Other workers want permits, or have granted some: to be called when this worker's bell has rung. A hint; never needed for correctness.
  void permits_changed();

  // One observer, told `pool_created` at once; called inline on the loop, must not throw, must not call the pool.
  void on_event(std::function<void(const Event&)> observer);
  // The same as a stream, from now on; as many as wanted, beside the observer.
  EventStream events(std::size_t capacity = 256);
  // "file:line (function)" of an event's call site; "" for 0.
  std::string call_site(std::uint32_t number) const;

  Numbers numbers() const override;
  // Healthy, degraded or unhealthy over the last half to whole minute, why, and what would help, from measured numbers.
  shm::PoolHealth health();
  std::vector<ConnectionView> connections() const;
  const std::string& name() const noexcept override;
  const std::string& last_connect_error() const noexcept override;
  Connector& connector() const noexcept override;
  const config::Pool& options() const noexcept override;

 private:
  ShellRef shell_;
};

}  // namespace sluice::pool
