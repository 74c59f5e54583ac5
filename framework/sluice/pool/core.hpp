// The pool as a state machine: it decides who gets which connection, what to open, check, reset and close, and when.
// No I/O, no clock, no Asio: instants come in as `now`, work goes out through PoolEffects. One loop's own; not thread-safe.
// core.cpp: the pool's own states. core_connecting.cpp: opening. core_connections.cpp: idle, coming back, closing. core_waiting.cpp:
// the queue. core_sharing.cpp: several requests on one connection. core_safety.cpp: leaks, deadlocks, what leaves the pool.
// core_maintenance.cpp: what happens as time passes.
//
// Invariants:
//  - a connection in any state but `abandoned` owns a row of the permit table;
//  - an idle connection of an older generation is in stale_, all others are in idle_;
//  - while somebody waits, no idle connection is fresh (so a fresh one may be leased without asking the queue);
//  - every running operation has an end: past its deadline it is cancelled, and if that does not help, abandoned.
#pragma once

#include <sluice/budget/share.hpp>
#include <sluice/config/config.hpp>
#include <sluice/pool/effects.hpp>
#include <sluice/pool/entry.hpp>
#include <sluice/pool/error.hpp>
#include <sluice/pool/events.hpp>
#include <sluice/pool/siblings.hpp>
#include <sluice/pool/waiter.hpp>

#include <algorithm>
#include <array>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>

namespace sluice::pool {

using budget::rescan_interval;

enum class PoolState : std::uint8_t { paused, ready, closed };

struct CoreSettings {
  config::Pool options;
  std::uint32_t default_max = 0;  // the connector's opinion; 0: none
  std::uint32_t capacity = 1;     // requests that one connection carries at once
  std::uint64_t seed = 1;
  bool background = true;  // ageing, keepalive and min_idle happen by themselves
  bool fail_fast = false;  // a failed connect fails the longest waiter at once
  Duration ageing_every = 100ms;
};

class PoolCore {
 public:
  PoolCore(CoreSettings settings, PoolEffects& effects, std::shared_ptr<budget::Share> share, std::shared_ptr<Siblings> siblings, shm::PoolStats& stats);
  PoolCore(const PoolCore&) = delete;
  PoolCore& operator=(const PoolCore&) = delete;
  // Connections that are left lose their row to quarantine: nobody will prove their end.
  ~PoolCore();

  // ---- the lease path

  // Is it worth a try_lease()?
  bool may_lease() const noexcept { return !idle_.empty() && state_ == PoolState::ready; }
  // An idle connection that needs no check, leased; or null.
  PoolEntry* try_lease(TimePoint now, std::uint32_t call_site);
  // REQUIRES: entry is leased, once. A second return ends the process: two callers would share a connection from here on.
  void give_back(PoolEntry& entry, TimePoint now);
  // Gives it back as unusable.
  void discard(PoolEntry& entry, TimePoint now);

  // The same for one request of several: the connection with the fewest requests in flight that needs no check; or null.
  PoolEntry* try_share(TimePoint now, std::uint32_t call_site);
  // REQUIRES: entry is shared. `retire`: the connection takes no further request and is closed after its last one. One end more
  // than requests began ends the process, as soon as the last of the others has ended.
  void end_request(PoolEntry& entry, TimePoint since, bool retire, TimePoint now);

  // It leaves the pool, but keeps its permit. REQUIRES: entry is leased.
  void detach(PoolEntry& entry, TimePoint now);
  // REQUIRES: entry is detached.
  void end_detached(PoolEntry& entry, TimePoint now);

  // ---- waiting. First start_checkout(), then try_lease(), then refusal(), then enqueue(), in one go.

  void start_checkout() {
    if (observer_) [[unlikely]]
      emit({EventType::checkout_started});
  }
  // Why nobody may wait for so many connections now; counted and told to the observer.
  std::optional<PoolError> refusal(std::uint32_t wants = 1);
  // The waiter is answered later, by serve(), serve_all() or refuse().
  void enqueue(Waiter& waiter, TimePoint now);
  // The caller gave up. REQUIRES: the waiter is in the queue.
  void cancel(Waiter& waiter, TimePoint now);

  // ---- life

  void ready(TimePoint now);
  void pause(TimePoint now);
  void clear(TimePoint now, Pending pending = Pending::finish);
  // Every present connection is replaced when nobody uses it, without a pause.
  void refresh(TimePoint now);
  void close(TimePoint now);
  // Opens this many connections whatever min_idle says, until set back to 0.
  void warm_up(std::uint32_t target, TimePoint now);
  // To be called when wake_at() asked for it; too early or too often does no harm.
  void tick(TimePoint now);
  // The loop is gone: nothing can be awaited any more. Waiters must have been taken away with take_waiter() before.
  void loop_ended() noexcept;
  Waiter* take_waiter() noexcept;

  // ---- answers to what was started

  void connected(PoolEntry& entry, std::unique_ptr<Connection> connection, TimePoint now);
  // `permanent`: it is not the server's fault as a whole (a wrong password), so other pools need not wait.
  void connect_failed(PoolEntry& entry, std::string_view error, bool released, TimePoint now, bool permanent = false);
  // The ping or reset succeeded, or failed with `error`.
  void checked(PoolEntry& entry, bool alive, std::string_view error, TimePoint now);
  void closed(PoolEntry& entry, CloseResult result, TimePoint now);
  // The operation will never be answered (its coroutine was destroyed).
  void lost(PoolEntry& entry) noexcept;

  // ---- for siblings

  bool starving() const noexcept { return wanted_ > 0 && at_limit_ && open() == 0; }
  bool wants_permits() const noexcept { return wanted_ > 0; }
  TimePoint claimed_at() const noexcept { return claimed_at_; }
  // What this pool would borrow: what waiters have wanted for a while, or the first connection below the floor.
  std::uint32_t permits_to_borrow(TimePoint now) const noexcept;
  // Other workers want permits, or have granted some.
  void rung(TimePoint now);
  std::uint32_t closing() const noexcept { return of(EntryState::closing); }
  // Closes one idle connection above min_idle (`in_need`: any). False: there is none.
  bool yield_idle(bool in_need, TimePoint now);
  // Serves waiters from idle connections and opens what is missing.
  void pump(TimePoint now);

  // ---- views

  void on_event(std::function<void(const Event&)> observer);
  bool observed() const noexcept { return static_cast<bool>(observer_); }
  // Tells an event that only the surroundings know of.
  void tell(const Event& event) { emit(event); }
  PoolState state() const noexcept { return state_; }
  Numbers numbers() const noexcept;
  const std::string& last_connect_error() const noexcept { return last_connect_error_; }
  const config::Pool& options() const noexcept { return settings_.options; }
  // Established connections.
  std::uint32_t established() const noexcept { return of(EntryState::idle) + leased() + of(EntryState::checking) + of(EntryState::resetting); }
  // Established ones and those on their way.
  std::uint32_t open() const noexcept { return established() + of(EntryState::connecting); }
  // A leased connection could be leased again as it is.
  bool usable(const PoolEntry& entry, TimePoint now) const noexcept {
    return !entry.connection->broken && entry.generation == generation_ && now < entry.expires_at;
  }
  // Nothing is left that owns a permit.
  bool empty() const noexcept { return entries_.size() == of(EntryState::abandoned); }
  // The pool's own maximum, whatever the limit says.
  std::uint32_t max() const noexcept;
  const std::list<PoolEntry>& entries() const noexcept { return entries_; }
  // `waited`: of a waiter that ran out of time.
  PoolError error(Phase phase, std::optional<Duration> waited = {}) const;

 private:
  std::uint32_t of(EntryState s) const noexcept { return counts_[static_cast<unsigned>(s)]; }
  std::uint32_t leased() const noexcept { return of(EntryState::leased) + of(EntryState::shared); }
  void enter(PoolEntry& entry, EntryState s) noexcept { enter(entry, entry.state, s); }
  // REQUIRES: entry.state is `from`. For the lease path, which knows it.
  void enter(PoolEntry& entry, EntryState from, EntryState s) noexcept {
    --counts_[static_cast<unsigned>(from)];
    ++counts_[static_cast<unsigned>(s)];
    entry.state = s;
  }
  void emit(const Event& event) {
    if (observer_) [[unlikely]]
      observer_(event);
  }
  void lease(PoolEntry& entry, EntryState from, std::uint32_t call_site, Duration waited, TimePoint now);
  void park(PoolEntry& entry, EntryState from, TimePoint now);
  void tell_of(EventType type, const PoolEntry& entry);
  void show_leases() noexcept {
    shm::PoolStats& stats = stats_;
    stats.leased.set(leased());
    stats.idle.set(of(EntryState::idle));
  }
  PoolEntry& next_idle() noexcept { return lifo_ ? idle_.back() : idle_.front(); }
  void take_idle(PoolEntry& entry) noexcept { idle_.erase(idle_.iterator_to(entry)); }
  bool needs_reset(const Connection& c) const noexcept {
    return always_reset_ || (c.dirty && settings_.options.reset_on_return == config::ResetOnReturn::automatic);
  }
  PoolEntry* next_fresh(TimePoint now);
  bool has_idle(std::uint32_t connections) const noexcept;
  CloseReason perished(const PoolEntry& entry, TimePoint now) const noexcept;
  CloseReason retirement(const PoolEntry& entry, TimePoint now) const noexcept;
  void settle(PoolEntry& entry, TimePoint now);
  void place(PoolEntry& entry, TimePoint now);
  bool all_taken() const noexcept;
  void hand_over(PoolEntry& entry, TimePoint now);
  void give_back_all(Gathered& entries, TimePoint now);
  void give_back_other(PoolEntry& entry, TimePoint now);
  void discard_now(PoolEntry& entry, TimePoint now);
  bool can_carry(const PoolEntry& entry, TimePoint now) const noexcept;
  PoolEntry* least_busy(TimePoint now);
  void begin_request(PoolEntry& entry, std::uint32_t call_site, Duration waited, TimePoint now);
  void serve_shared(PoolEntry& entry, TimePoint now);
  bool exhausted() const noexcept;
  void judge(Waiter& waiter);
  void look_for_deadlocks();
  void suspect(Waiter& waiter, const PoolEntry& entry);
  void look_for_leaks(TimePoint now);
  TimePoint same_requests_since(PoolEntry& entry, TimePoint now) noexcept;
  void reclaim(PoolEntry& entry, TimePoint now);
  void adapt(TimePoint now);
  void close_stale(TimePoint now);
  void give_back_slowly(PoolEntry& entry, TimePoint now);
  void start_check(PoolEntry& entry, EntryState how, TimePoint now);
  void close_entry(PoolEntry& entry, CloseReason reason, std::string_view detail, TimePoint now);
  void close_idle(PoolEntry& entry, CloseReason reason, TimePoint now);
  void start_close(PoolEntry& entry, TimePoint now);
  void interrupt_connects(TimePoint now);
  void interrupt_leases();
  void count_lost() noexcept;
  void check_failed(std::string_view error, TimePoint now);
  void fail_connect(PoolEntry& entry, std::string_view error, bool permanent, TimePoint now);
  void grow(TimePoint now);
  TimePoint connect_not_before() const noexcept;
  void note_outage();
  bool lend(PoolEntry& entry, bool idle_long);
  void lend_idle(TimePoint now);
  void set_wanted(std::uint32_t permits, bool at_limit) noexcept;
  void refuse_all(Phase phase, TimePoint now);
  void refuse_surplus(Phase phase, TimePoint now);
  void refuse_impossible(TimePoint now);
  std::uint32_t obtainable() const noexcept;
  std::uint32_t promised() const noexcept;
  bool overfull(std::uint32_t limit) const noexcept;
  bool has_room(std::uint32_t limit) const noexcept;
  void refuse(Waiter& waiter, Phase phase, TimePoint now, std::optional<Duration> waited = {});
  Phase why_late(const Waiter& waiter) const noexcept;
  void expire_waiters(TimePoint now);
  void end_overdue(TimePoint now);
  void shrink(TimePoint now);
  void age(TimePoint now);
  void arm(TimePoint now);
  bool has_operations() const noexcept;
  std::uint32_t minimum() const noexcept;
  void abandon(PoolEntry& entry, TimePoint now);
  void remove(PoolEntry& entry) noexcept;
  bool finish(PoolEntry& entry) noexcept;
  void publish() noexcept;
  double random() { return std::uniform_real_distribution<double>(0.0, 1.0)(random_); }

  // The options' ages without special values: never is very long.
  struct Ages {
    Duration idle, soft_idle, lifetime, keepalive, validate_after;
  };
  using Entries = boost::intrusive::list<PoolEntry, boost::intrusive::constant_time_size<false>>;

  CoreSettings settings_;
  Ages ages_;
  PoolEffects& effects_;
  // What the lease path touches stands together.
  const Duration fresh_for_;       // how long a returned connection may be leased without a look
  const std::uint64_t most_uses_;  // max_uses; very many where there is none
  const bool lifo_, always_reset_;
  PoolState state_ = PoolState::paused;
  bool cleared_ = false;     // paused by clear()
  bool loop_gone_ = false;
  std::uint32_t generation_ = 1;
  Entries idle_;  // by idle_since: the longest idle first
  std::array<std::uint32_t, entry_states> counts_{};
  std::shared_ptr<budget::Share> share_;
  std::shared_ptr<Siblings> siblings_;
  shm::PoolStats& stats_;
  std::function<void(const Event&)> observer_;
  WaitQueue queue_;

  std::list<PoolEntry> entries_;
  Entries stale_;   // idle, of older generations: closed in batches
  Entries shared_;  // that carry requests
  std::uint64_t last_id_ = 0;
  std::uint32_t wanted_ = 0;       // permits that waiters need and that could not be claimed
  bool at_limit_ = false;          // … because none is to be had now
  bool below_floor_ = false;       // … not even the first ones
  TimePoint claimed_at_{};         // the last permit
  std::uint32_t warm_target_ = 0;
  std::uint32_t failures_ = 0;     // connects failed in a row
  bool doubtful_ = false;          // a connection was lost, and none has worked since
  TimePoint failed_at_{};
  std::uint32_t refusals_ = 0;     // of those: refused for this pool's own reasons, not because the server is down
  TimePoint connect_not_before_{}; // … and then it is this pool's own pause
  TimePoint next_rescan_{};
  TimePoint next_maintenance_{};
  std::string last_connect_error_;
  std::string last_check_error_;   // of a ping or reset; "" once a connection has worked since
  TimePoint check_failed_at_{};
  std::minstd_rand random_;
  // adaptive sizing
  std::uint32_t adapted_ = 0;      // what the last period asks to keep open
  std::uint64_t busy_samples_ = 0, busy_sum_ = 0;
  TimePoint next_adaption_{};
  // safety
  bool unjudged_ = false;          // somebody began to wait while connections were on their way: see look_for_deadlocks()
  TimePoint next_leak_look_{};
  TimePoint next_ageing_{};
  std::uint32_t in_flight_ = 0;    // requests of shared connections
  std::uint64_t leaks_ = 0, deadlocks_ = 0;
};

// ---- the lease path, inlined into the calls of Pool

// Events are made only where somebody looks, and elsewhere: code that is here takes registers from the lease path.
[[gnu::always_inline]] inline void PoolCore::lease(PoolEntry& entry, EntryState from, std::uint32_t call_site, Duration waited, TimePoint now) {
  enter(entry, from, EntryState::leased);
  entry.leased_at = now;
  entry.call_site = call_site;
  ++entry.uses;
  share_->leased(entry.row, call_site, to_nanos(now));
  shm::PoolStats& stats = stats_;
  stats.acquires.add();
  stats.acquire_wait_seconds.record(static_cast<std::uint64_t>(waited.count()));
  show_leases();
  if (observer_) [[unlikely]]
    tell_of(EventType::leased, entry);
}

// REQUIRES: its fresh_until and its place in the idle list are known.
[[gnu::always_inline]] inline void PoolCore::park(PoolEntry& entry, EntryState from, TimePoint now) {
  enter(entry, from, EntryState::idle);
  share_->returned(entry.row, to_nanos(now));
  show_leases();
}

[[gnu::always_inline]] inline PoolEntry* PoolCore::try_lease(TimePoint now, std::uint32_t call_site) {
  if (!may_lease()) return nullptr;
  PoolEntry* entry = &next_idle();
  if (now >= entry->fresh_until) [[unlikely]] {
    entry = next_fresh(now);
    if (!entry) return nullptr;
  }
  take_idle(*entry);
  lease(*entry, EntryState::idle, call_site, Duration::zero(), now);
  return entry;
}

[[gnu::always_inline]] inline void PoolCore::give_back(PoolEntry& entry, TimePoint now) {
  if (entry.state != EntryState::leased) [[unlikely]]
    return give_back_other(entry, now);
  stats_.use_seconds.record(static_cast<std::uint64_t>((now - entry.leased_at).count()));
  if (observer_) [[unlikely]]
    tell_of(EventType::returned, entry);
  const Connection& c = *entry.connection;
  const bool plain = !(c.broken | c.dirty | always_reset_) && entry.generation == generation_ && now < entry.expires_at && entry.uses < most_uses_ &&
                     !share_->wanted_elsewhere() && siblings_->wanting() == 0 && queue_.empty();
  if (!plain) [[unlikely]]
    return give_back_slowly(entry, now);
  entry.idle_since = now;
  const TimePoint doubted = now + fresh_for_;
  entry.fresh_until = doubted < entry.expires_at ? doubted : entry.expires_at;
  idle_.push_back(entry);
  park(entry, EntryState::leased, now);
}

}  // namespace sluice::pool
