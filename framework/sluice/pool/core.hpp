// The pool as a state machine: it decides who gets which connection, what to open, check, reset and close, and when.
// No I/O, no clock, no Asio: instants come in as `now`, work goes out through PoolEffects. One loop's own; not thread-safe.
//
// Invariants:
//  - a connection in any state but `abandoned` owns a row of the permit table;
//  - while somebody waits, no idle connection is fresh (so a fresh one may be leased without asking the queue);
//  - every running operation has an end: past its deadline it is cancelled, and if that does not help, abandoned.
#pragma once

#include <sluice/budget/permit_table.hpp>
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

// How often claims are tried again while waiters want permits: wake-ups are hints, this is the guarantee.
inline constexpr Duration rescan_interval = 50ms;

enum class PoolState : std::uint8_t { paused, ready, closed };

struct CoreSettings {
  config::Pool options;
  std::uint32_t default_max = 0;  // the connector's opinion; 0: none
  std::uint64_t seed = 1;
  bool background = true;  // ageing, keepalive and min_idle happen by themselves
  bool fail_fast = false;  // a failed connect fails the longest waiter at once
};

class PoolCore {
 public:
  PoolCore(CoreSettings settings, PoolEffects& effects, std::shared_ptr<budget::Share> share, std::shared_ptr<Siblings> siblings, shm::PoolStats& stats);
  PoolCore(const PoolCore&) = delete;
  PoolCore& operator=(const PoolCore&) = delete;
  // Connections that are left lose their row to quarantine: nobody will prove their end.
  ~PoolCore();

  // ---- the lease path

  // An idle connection that needs no check, leased; or null.
  PoolEntry* try_lease(TimePoint now, std::uint32_t call_site);
  // REQUIRES: entry is leased.
  void give_back(PoolEntry& entry, TimePoint now);
  // Gives it back as unusable.
  void discard(PoolEntry& entry, TimePoint now);

  // ---- waiting. First start_checkout(), then try_lease(), then refusal(), then enqueue(), in one go.

  void start_checkout();
  // Why nobody may wait now; counted and told to the observer.
  std::optional<PoolError> refusal();
  // The waiter is answered later, by serve() or refuse().
  void enqueue(Waiter& waiter, TimePoint now);
  // The caller gave up. REQUIRES: the waiter is in the queue.
  void cancel(Waiter& waiter);

  // ---- life

  void ready(TimePoint now);
  void pause();
  void clear(TimePoint now, Pending pending = Pending::finish);
  void close(TimePoint now);
  // Opens this many connections whatever min_idle says, until set back to 0.
  void warm_up(std::uint32_t target, TimePoint now);
  // To be called when wake_at() asked for it; too early or too often does no harm.
  void tick(TimePoint now);
  // The loop is gone: nothing can be awaited any more. Waiters must have been taken away with take_waiter() before.
  void loop_ended() noexcept;
  Waiter* take_waiter() noexcept { return queue_.empty() ? nullptr : &queue_.pop(); }

  // ---- answers to what was started

  void connected(PoolEntry& entry, std::unique_ptr<Connection> connection, TimePoint now);
  void connect_failed(PoolEntry& entry, std::string_view error, bool released, TimePoint now);
  // The ping or reset succeeded, or failed with `error`.
  void checked(PoolEntry& entry, bool alive, std::string_view error, TimePoint now);
  void closed(PoolEntry& entry, CloseResult result, TimePoint now);
  // The operation will never be answered (its coroutine was destroyed).
  void lost(PoolEntry& entry) noexcept;

  // ---- for siblings

  bool starving() const noexcept { return wanted_ > 0 && at_limit_ && open() == 0; }
  bool wants_permits() const noexcept { return wanted_ > 0; }
  std::uint32_t closing() const noexcept { return of(EntryState::closing); }
  // Closes one idle connection above min_idle (`in_need`: any). False: there is none.
  bool yield_idle(bool in_need, TimePoint now);
  // Serves waiters from idle connections and opens what is missing.
  void pump(TimePoint now);

  // ---- views

  void on_event(std::function<void(const Event&)> observer);
  PoolState state() const noexcept { return state_; }
  Numbers numbers() const noexcept;
  const std::string& last_connect_error() const noexcept { return last_connect_error_; }
  const config::Pool& options() const noexcept { return settings_.options; }
  // Established connections.
  std::uint32_t established() const noexcept { return of(EntryState::idle) + of(EntryState::leased) + of(EntryState::checking) + of(EntryState::resetting); }
  // Established ones and those on their way.
  std::uint32_t open() const noexcept { return established() + of(EntryState::connecting); }
  // Nothing is left that owns a permit.
  bool empty() const noexcept { return entries_.size() == of(EntryState::abandoned); }
  // The pool's own maximum, whatever the limit says.
  std::uint32_t max() const noexcept;
  // `waited`: of a waiter that ran out of time.
  PoolError error(Phase phase, std::optional<Duration> waited = {}) const;

 private:
  std::uint32_t of(EntryState s) const noexcept { return counts_[static_cast<unsigned>(s)]; }
  void enter(PoolEntry& entry, EntryState s) noexcept {
    --counts_[static_cast<unsigned>(entry.state)];
    ++counts_[static_cast<unsigned>(s)];
    entry.state = s;
  }
  void emit(Event event) {
    if (observer_) [[unlikely]]
      observer_(event);
  }
  void lease(PoolEntry& entry, std::uint32_t call_site, Duration waited, TimePoint now);
  void park(PoolEntry& entry, TimePoint now);
  PoolEntry& next_idle() noexcept { return settings_.options.reuse == config::Reuse::lifo ? idle_.back() : idle_.front(); }
  void take_idle(PoolEntry& entry) noexcept { idle_.erase(idle_.iterator_to(entry)); }
  bool needs_reset(const Connection& c) const noexcept {
    if (settings_.options.reset_on_return == config::ResetOnReturn::automatic) [[likely]]
      return c.dirty;
    return settings_.options.reset_on_return == config::ResetOnReturn::always;
  }
  PoolEntry* next_fresh(TimePoint now);
  CloseReason perished(const PoolEntry& entry, TimePoint now) const noexcept;
  CloseReason retirement(const PoolEntry& entry, TimePoint now) const noexcept;
  void settle(PoolEntry& entry, TimePoint now);
  void serve_front(PoolEntry& entry, TimePoint now);
  void give_back_slowly(PoolEntry& entry, TimePoint now);
  void start_check(PoolEntry& entry, EntryState how, TimePoint now);
  void close_entry(PoolEntry& entry, CloseReason reason, std::string_view detail, TimePoint now);
  void close_idle(PoolEntry& entry, CloseReason reason, TimePoint now);
  void start_close(PoolEntry& entry, TimePoint now);
  void interrupt_connects(TimePoint now);
  void count_lost() noexcept;
  void fail_connect(PoolEntry& entry, std::string_view error, TimePoint now);
  void grow(TimePoint now);
  void set_wanted(std::uint32_t permits, bool at_limit) noexcept;
  void refuse_all(Phase phase);
  void refuse(Waiter& waiter, Phase phase, std::optional<Duration> waited = {});
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

  CoreSettings settings_;
  Ages ages_;
  PoolEffects& effects_;
  std::shared_ptr<budget::Share> share_;
  std::shared_ptr<Siblings> siblings_;
  shm::PoolStats& stats_;
  std::function<void(const Event&)> observer_;

  PoolState state_ = PoolState::paused;
  bool cleared_ = false;     // paused by clear()
  bool loop_gone_ = false;
  std::uint32_t generation_ = 1;
  std::list<PoolEntry> entries_;
  boost::intrusive::list<PoolEntry> idle_;  // by idle_since: the longest idle first
  WaitQueue queue_;
  std::array<std::uint32_t, entry_states> counts_{};
  std::uint64_t last_id_ = 0;
  std::uint32_t wanted_ = 0;       // permits that waiters need and that could not be claimed
  bool at_limit_ = false;          // … because the share is at its limit
  std::uint32_t warm_target_ = 0;
  std::uint32_t failures_ = 0;     // connects failed in a row
  bool doubtful_ = false;          // a connection was lost, and none has worked since
  TimePoint failed_at_{};
  TimePoint connect_not_before_{};
  TimePoint next_rescan_{};
  TimePoint next_maintenance_{};
  std::string last_connect_error_;
  std::minstd_rand random_;
};

// ---- the lease path, inlined into the calls of Pool

inline void PoolCore::lease(PoolEntry& entry, std::uint32_t call_site, Duration waited, TimePoint now) {
  enter(entry, EntryState::leased);
  entry.leased_at = now;
  entry.call_site = call_site;
  ++entry.uses;
  share_->leased(entry.row, call_site, to_nanos(now));
  stats_.acquires.add();
  stats_.leased.set(of(EntryState::leased));
  stats_.idle.set(idle_.size());
  stats_.acquire_wait_seconds.record(static_cast<std::uint64_t>(waited.count()));
  emit({EventType::leased, entry.id});
}

// Puts it into the idle list by its idle_since, mostly at the end.
inline void PoolCore::park(PoolEntry& entry, TimePoint now) {
  enter(entry, EntryState::idle);
  entry.alive_at = now;
  entry.fresh_until = std::min({now + ages_.validate_after, entry.idle_since + ages_.idle, entry.expires_at});
  auto place = idle_.end();
  while (place != idle_.begin() && std::prev(place)->idle_since > entry.idle_since) --place;
  idle_.insert(place, entry);
  share_->returned(entry.row, to_nanos(now));
  stats_.leased.set(of(EntryState::leased));
  stats_.idle.set(idle_.size());
}

inline PoolEntry* PoolCore::try_lease(TimePoint now, std::uint32_t call_site) {
  if (idle_.empty() || state_ != PoolState::ready) return nullptr;
  PoolEntry* entry = &next_idle();
  if (entry->generation != generation_ || now >= entry->fresh_until) [[unlikely]] {
    entry = next_fresh(now);
    if (!entry) return nullptr;
  }
  take_idle(*entry);
  lease(*entry, call_site, Duration::zero(), now);
  return entry;
}

inline void PoolCore::give_back(PoolEntry& entry, TimePoint now) {
  stats_.use_seconds.record(static_cast<std::uint64_t>((now - entry.leased_at).count()));
  emit({EventType::returned, entry.id});
  const Connection& c = *entry.connection;
  const bool good = !c.broken && !needs_reset(c) && entry.generation == generation_ && now < entry.expires_at &&
                    (settings_.options.max_uses == 0 || entry.uses < settings_.options.max_uses) && share_->excess() == 0 && siblings_->wanting() == 0 &&
                    queue_.empty() && state_ != PoolState::closed;
  if (good) [[likely]] {
    entry.idle_since = now;
    park(entry, now);
  } else {
    give_back_slowly(entry, now);
  }
}

}  // namespace sluice::pool
