// What happens in a pool as time passes: waiters run out of time, operations are overdue, limits shrink, connections age.
#include <sluice/pool/adaptive.hpp>
#include <sluice/pool/core.hpp>

namespace sluice::pool {
namespace {

// One cheap timer for limits, ages and overdue operations; they need no better resolution.
constexpr Duration maintenance_interval = 100ms;
// Connections of an older generation that are closed in one go.
constexpr unsigned batch = 64;

}  // namespace

void PoolCore::tick(TimePoint now) {
  expire_waiters(now);
  if (share_->expected() > 0 && siblings_->wanting() == 0 && !below_floor_) share_->decline(to_nanos(now));
  if (state_ == PoolState::ready) lend_idle(now);
  if (now >= next_maintenance_) {
    next_maintenance_ = now + maintenance_interval;
    end_overdue(now);
    refuse_impossible(now);
    look_for_leaks(now);
    look_for_deadlocks();
    if (settings_.background && state_ != PoolState::closed && now >= next_ageing_) {
      next_ageing_ = now + settings_.ageing_every;
      adapt(now);
      shrink(now);
      age(now);
    }
  }
  pump(now);
  refuse_surplus(Phase::queue_full, now);
  arm(now);
}

// What kept a caller waiting until its time was over.
Phase PoolCore::why_late(const Waiter& waiter) const noexcept {
  if (failures_ > 0 ? failed_at_ >= waiter.since : share_->outage()) return Phase::connect;
  return !last_check_error_.empty() && check_failed_at_ >= waiter.since ? Phase::validation : Phase::wait_timeout;
}

void PoolCore::expire_waiters(TimePoint now) {
  while (Waiter* waiter = queue_.pop_expired(now)) {
    stats_.timeouts.add();
    emit({EventType::timed_out});
    refuse(*waiter, why_late(*waiter), now, now - waiter->since);
  }
}

void PoolCore::end_overdue(TimePoint now) {
  if (!has_operations()) return;
  for (PoolEntry& entry : entries_) {
    if (entry.state == EntryState::connecting && !entry.late && now >= entry.late_at) fail_connect(entry, "no connection within connect_timeout", false, now);
    if (entry.give_up_at > now) continue;
    if (entry.overdue) {
      abandon(entry, now);
    } else {
      entry.overdue = true;
      entry.give_up_at = now + maintenance_interval;
      if (entry.operation) entry.operation->cancel();
    }
  }
}

// Its operation hears neither its deadline nor a cancellation. The permit goes to quarantine, where somebody else asks the
// server; the entry stays until the operation ends.
void PoolCore::abandon(PoolEntry& entry, TimePoint now) {
  constexpr std::string_view why = "an operation of the driver does not end";
  share_->quarantined(entry.row, to_nanos(now));
  entry.give_up_at = TimePoint::max();
  const EntryState was = entry.state;
  enter(entry, EntryState::abandoned);
  if (was != EntryState::closing) emit({EventType::closed, entry.id, CloseReason::error, why});
  if (was == EntryState::connecting) fail_connect(entry, why, false, now);
  if (was == EntryState::checking || was == EntryState::resetting) {
    count_lost();
    check_failed(why, now);
  }
  effects_.changed();
  siblings_->permit_freed(now);
}

void PoolCore::close_stale(TimePoint now) {
  for (unsigned n = 0; n < batch && !stale_.empty(); ++n) {
    PoolEntry& entry = stale_.front();
    stale_.pop_front();
    close_entry(entry, CloseReason::stale, {}, now);
  }
}

// Follows the load of the last period; between the periods connections come as callers need them.
void PoolCore::adapt(TimePoint now) {
  const config::Pool& o = settings_.options;
  if (!o.adaptive || state_ != PoolState::ready) return;
  busy_sum_ += of(EntryState::leased) + (in_flight_ + settings_.capacity - 1) / settings_.capacity + queue_.demand(settings_.capacity);
  ++busy_samples_;
  if (now < next_adaption_) return;
  const bool first = next_adaption_ == TimePoint{};
  next_adaption_ = now + o.adaptive_every;
  if (!first) {
    const double busy = static_cast<double>(busy_sum_) / static_cast<double>(busy_samples_);
    const std::uint32_t most = std::min(max(), share_->limit());
    adapted_ = adapted_size({busy, open()}, o.min_idle, most, {o.adaptive_target, o.adaptive_up, o.adaptive_down});
    for (std::uint32_t n = open(); n > adapted_ && !idle_.empty(); --n) close_idle(idle_.front(), CloseReason::idle, now);
  }
  busy_sum_ = busy_samples_ = 0;
}

void PoolCore::shrink(TimePoint now) {
  const std::uint32_t excess = share_->excess();
  for (std::uint32_t coming = siblings_->closing(); coming < excess && !idle_.empty(); ++coming) close_idle(idle_.front(), CloseReason::shrink, now);
}

void PoolCore::age(TimePoint now) {
  // After a loss, one of the idle connections at a time shows how the server is.
  if (doubtful_ && !idle_.empty() && of(EntryState::checking) == 0) {
    PoolEntry& entry = idle_.back();
    take_idle(entry);
    start_check(entry, EntryState::checking, now);
  }
  for (auto next = idle_.begin(); next != idle_.end();) {
    PoolEntry& entry = *next++;
    CloseReason reason = perished(entry, now);
    if (reason == CloseReason::none && now - entry.idle_since >= ages_.soft_idle && open() > settings_.options.min_idle) reason = CloseReason::idle;
    if (reason != CloseReason::none) {
      close_idle(entry, reason, now);
    } else if (now - entry.alive_at() >= ages_.keepalive) {
      take_idle(entry);
      start_check(entry, EntryState::checking, now);
    }
  }
}

void PoolCore::warm_up(std::uint32_t target, TimePoint now) {
  warm_target_ = target;
  if (target == 0) return;  // nothing opens for it
  pump(now);
  arm(now);
}

// While the server is known or feared to be away the pool wants one connection even if nobody asks: whoever looks at
// readiness must see the outage, and its end, also without traffic.
std::uint32_t PoolCore::minimum() const noexcept {
  if (!settings_.background) return warm_target_;
  const std::uint32_t probe = !settings_.fail_fast && (failures_ > 0 || doubtful_) ? 1 : 0;
  return std::max({settings_.options.min_idle, settings_.options.adaptive ? adapted_ : 0, warm_target_, probe});
}

bool PoolCore::has_operations() const noexcept {
  return of(EntryState::connecting) + of(EntryState::checking) + of(EntryState::resetting) + of(EntryState::closing) > 0;
}

// Asks for the next tick, and brings the published gauges up to date: the end of everything that is not the lease path.
void PoolCore::arm(TimePoint now) {
  publish();
  if (loop_gone_) return;
  TimePoint due = queue_.next_deadline();
  if (share_->elastic()) siblings_->publish_wants(*share_, now);
  if (wanted_ > 0 || below_floor_ || share_->expected() > 0) {
    if (next_rescan_ <= now) next_rescan_ = now + rescan_interval;
    due = std::min(due, next_rescan_);
  }
  const bool wishes = !queue_.empty() || open() < minimum();
  // The end of an outage that another worker has seen must not go unnoticed.
  if (state_ == PoolState::ready && wishes && now < connect_not_before()) due = std::min({due, connect_not_before(), now + rescan_interval});
  if (settings_.background && !stale_.empty()) due = std::min(due, now);
  if ((settings_.background && state_ != PoolState::closed) || has_operations() || unjudged_) due = std::min(due, next_maintenance_);
  if (due != TimePoint::max()) effects_.wake_at(due);
}

void PoolCore::publish() noexcept {
  stats_.idle.set(of(EntryState::idle) + of(EntryState::checking) + of(EntryState::resetting));
  stats_.leased.set(leased());
  stats_.multiplexed.set(in_flight_ - of(EntryState::shared));
  stats_.connecting.set(of(EntryState::connecting));
  stats_.closing.set(of(EntryState::closing));
  stats_.waiting.set(queue_.size());
  stats_.limit.set(std::min(max(), share_->limit()));
}

}  // namespace sluice::pool
