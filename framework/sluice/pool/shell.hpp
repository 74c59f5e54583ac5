// The Asio side of a pool: performs what PoolCore decides. It is alive as long as its Pool, a lease, or an operation of its
// own is; a shell in a forked child is left alone for ever, because its connections belong to the parent.
#pragma once

#include <sluice/core/asio.hpp>
#include <sluice/pool/call_sites.hpp>
#include <sluice/pool/connector.hpp>
#include <sluice/pool/core.hpp>
#include <sluice/pool/fork_guard.hpp>
#include <sluice/pool/loop_pools.hpp>
#include <sluice/pool/pool.hpp>
#include <sluice/shm/pool_health.hpp>

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace sluice::pool {

struct LeaseWaiter;

class PoolShell final : private PoolEffects {
 public:
  PoolShell(asio::io_context& loop, config::Pool options, std::unique_ptr<Connector> connector, PoolResources resources);
  PoolShell(const PoolShell&) = delete;
  PoolShell& operator=(const PoolShell&) = delete;

  // Throws unless called in the process that made the pool.
  void check_process() const {
    if (process_.foreign()) [[unlikely]]
      throw_foreign();
  }
  // For calls that are rare: throws in another thread than the loop's, too, if the loop was seen to turn and has not come to its end.
  void check_caller() const;
  bool foreign() const noexcept { return process_.foreign(); }

  awaitable<Lease> acquire(const Wish& wish, const boost::source_location& where);
  Lease try_acquire(const boost::source_location& where);
  bool may_lease() const noexcept { return core_.may_lease(); }
  awaitable<Lease> acquire_shared(const Wish& wish, const boost::source_location& where);
  Lease try_acquire_shared(const boost::source_location& where);
  static awaitable<std::vector<Lease>> acquire_many(ShellRef self, std::uint32_t wants, Wish wish, boost::source_location where);
  static awaitable<Pinned> pin(ShellRef self, Wish wish, boost::source_location where);
  [[gnu::always_inline]] void give_back(PoolEntry& entry) {
    if (returns_hooked_ && !after_return(entry)) [[unlikely]]
      return discard(entry);
    core_.give_back(entry, Clock::now());
  }
  void discard(PoolEntry& entry) { core_.discard(entry, Clock::now()); }
  void end_request(PoolEntry& entry, TimePoint since, bool retire);
  void detach(PoolEntry& entry) { core_.detach(entry, Clock::now()); }
  void end_detached(PoolEntry& entry) { core_.end_detached(entry, Clock::now()); }
  bool usable(const PoolEntry& entry) const noexcept { return core_.usable(entry, Clock::now()); }
  static awaitable<bool> close(ShellRef self, Deadline deadline);
  static awaitable<bool> warm_up(ShellRef self, Deadline deadline);
  static awaitable<std::uint32_t> preallocate(ShellRef self, std::uint32_t connections, Deadline deadline);
  void hooks(Hooks hooks);
  void observe(std::function<void(const Event&)> observer);
  EventStream stream(std::size_t capacity);
  std::vector<ConnectionView> connections() const;
  std::string call_site(std::uint32_t number) const { return call_sites_.text(number); }
  // The Pool object is going away.
  void orphan();
  void loop_ended() noexcept;

  PoolCore& core() noexcept { return core_; }
  // … for a call of the user's that is not the lease path.
  PoolCore& checked_core() {
    check_caller();
    return core_;
  }
  shm::PoolHealth health() {
    check_caller();
    return health_.judge(stats_, now_nanos());
  }
  Connector& connector() const noexcept { return *connector_; }

 private:
  friend void intrusive_ptr_add_ref(PoolShell* shell) noexcept;
  friend void intrusive_ptr_release(PoolShell* shell) noexcept;
  friend class Lease;
  friend struct LeaseWaiter;
  class Running;
  ~PoolShell();

  void start_connect(PoolEntry& entry, Deadline deadline) override;
  void start_ping(PoolEntry& entry, Deadline deadline) override;
  void start_reset(PoolEntry& entry, Deadline deadline) override;
  void start_close(PoolEntry& entry, Deadline deadline) override;
  void serve(Waiter& waiter, PoolEntry& entry) override;
  void serve_all(Waiter& waiter) override;
  void interrupt(PoolEntry& entry) noexcept override;
  bool may_reclaim(const PoolEntry& entry) noexcept override;
  void suspect(const Event& event) override;
  void refuse(Waiter& waiter, PoolError error) override;
  void changed() noexcept override;
  void wake_at(TimePoint when) override;

  static awaitable<Lease> take(ShellRef self, Wish wish, std::uint32_t call_site);
  awaitable<Lease> wait(const Wish& wish, std::uint32_t call_site, TimePoint now);
  awaitable<Lease> prepared(awaitable<Lease> lease) { return prepared(ShellRef(this), std::move(lease)); }
  static awaitable<Lease> prepared(ShellRef self, awaitable<Lease> lease);
  void set_hooks(Hooks hooks);
  void before_lease(Lease& lease);
  bool after_return(PoolEntry& entry) noexcept;
  void before_close(Connection& connection, std::uint64_t id) noexcept;
  void hook_failed(std::uint64_t id, const std::string& error);
  std::string at(std::uint32_t call_site) const;
  void watch(bool always = false);
  TimePoint deadline_of(const Wish& wish, TimePoint now) const noexcept;
  void begin_wait(LeaseWaiter& waiter);
  void answer(LeaseWaiter& waiter);
  void deliver_soon();
  void deliver();
  void wake();
  void stop_when_done() noexcept;
  void run(PoolEntry& entry, awaitable<void> operation);
  static awaitable<void> run_connect(ShellRef self, PoolEntry* entry, Deadline deadline);
  static awaitable<void> run_check(ShellRef self, PoolEntry* entry, Deadline deadline, bool reset);
  static awaitable<void> run_close(ShellRef self, PoolEntry* entry, std::unique_ptr<Connection> connection, Deadline deadline);
  static awaitable<bool> close_quietly(ShellRef self, std::unique_ptr<Connection> connection, Deadline deadline);
  static awaitable<bool> open(ShellRef self, std::uint32_t wish, Deadline deadline);
  static awaitable<void> wait_for_change(ShellRef self, Deadline deadline);
  [[noreturn]] void throw_foreign() const;
  void turns_here() noexcept { loop_thread_.store(std::this_thread::get_id(), std::memory_order_relaxed); }

  std::size_t references_ = 0;
  asio::io_context& loop_;
  ForkGuard process_;
  std::atomic<std::thread::id> loop_thread_{};  // where the loop was seen to turn last
  bool leases_hooked_ = false, returns_hooked_ = false;  // hooks_.before_lease, hooks_.after_return are set
  std::unique_ptr<Connector> connector_;   // outlives the core's connections
  std::shared_ptr<budget::Share> share_;
  Hooks hooks_;
  std::unique_ptr<shm::PoolStats> own_stats_;
  const shm::PoolStats& stats_;  // the pool's own or the segment's
  shm::HealthWindow health_;
  CallSites call_sites_;
  EventHub events_;
  PoolCore core_;
  std::optional<asio::steady_timer> timer_;  // none once the loop is gone
  TimePoint armed_for_ = TimePoint::max();
  boost::intrusive::list<Waiter> answered_;    // served and out of the queue, to be resumed
  bool delivery_comes_ = false;                // posted, or under way
  std::vector<asio::steady_timer*> watchers_;  // of close() and warm_up()
};

inline Lease::Lease(PoolEntry* entry, TimePoint request_since) noexcept : entry_(entry), request_since_(request_since) {
  if (entry) ++entry->shell->references_;
}

}  // namespace sluice::pool
