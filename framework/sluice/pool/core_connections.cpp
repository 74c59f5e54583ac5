// The life of one connection after it was opened: idle, checked, coming back, closing.
#include <sluice/pool/core.hpp>
#include <sluice/pool/durations.hpp>

namespace sluice::pool {

// ---- idle connections

CloseReason PoolCore::perished(const PoolEntry& entry, TimePoint now) const noexcept {
  if (entry.generation != generation_) return CloseReason::stale;
  if (now >= entry.expires_at) return CloseReason::lifetime;
  if (entry.state == EntryState::idle && now - entry.idle_since >= ages_.idle) return CloseReason::idle;
  return CloseReason::none;
}

// The next idle connection if it may be leased without a check. Closes those that may not be leased at all.
PoolEntry* PoolCore::next_fresh(TimePoint now) {
  while (!idle_.empty()) {
    PoolEntry& entry = next_idle();
    const CloseReason reason = perished(entry, now);
    if (reason == CloseReason::none) return now < entry.fresh_until ? &entry : nullptr;
    close_idle(entry, reason, now);
  }
  return nullptr;
}

void PoolCore::close_idle(PoolEntry& entry, CloseReason reason, TimePoint now) {
  take_idle(entry);
  close_entry(entry, reason, {}, now);
}

bool PoolCore::yield_idle(bool in_need, TimePoint now) {
  if (idle_.empty() || (!in_need && open() <= settings_.options.min_idle)) return false;
  close_idle(idle_.front(), CloseReason::shrink, now);
  arm(now);
  return true;
}

// ---- coming back

// Why a connection that has just become free may not be used again.
CloseReason PoolCore::retirement(const PoolEntry& entry, TimePoint now) const noexcept {
  if (state_ == PoolState::closed) return CloseReason::pool_closed;
  const std::uint64_t max_uses = settings_.options.max_uses;
  if (max_uses > 0 && entry.uses >= max_uses) return CloseReason::uses;
  if (const CloseReason reason = perished(entry, now); reason != CloseReason::none) return reason;
  if (share_->excess() > siblings_->closing()) return CloseReason::shrink;
  // A new connection serves somebody before it yields: else two pools with one permit give it to each other for ever, and nobody uses it.
  if ((entry.uses > 0 || queue_.empty()) && siblings_->other_starves(*this)) return CloseReason::shrink;
  return CloseReason::none;
}

void PoolCore::give_back_slowly(PoolEntry& entry, TimePoint now) {
  entry.idle_since = now;
  if (entry.connection->broken && entry.generation == generation_) {  // that one of an older generation broke says nothing new
    count_lost();
    close_entry(entry, CloseReason::error, "broken when it was returned", now);
  } else if (const CloseReason reason = retirement(entry, now); reason != CloseReason::none) {
    close_entry(entry, reason, {}, now);
  } else if (lend(entry, false)) {
    close_entry(entry, CloseReason::lent, {}, now);
  } else if (needs_reset(*entry.connection)) {
    share_->returned(entry.row, to_nanos(now));
    start_check(entry, EntryState::resetting, now);
  } else {
    place(entry, now);
    if (all_taken()) return;  // another one has it: all else is as it was
  }
  pump(now);
  arm(now);
}

void PoolCore::discard(PoolEntry& entry, TimePoint now) {
  if (entry.state != EntryState::leased) return give_back_other(entry, now);
  stats_.use_seconds.record(static_cast<std::uint64_t>((now - entry.leased_at).count()));
  emit({EventType::returned, entry.id});
  discard_now(entry, now);
}

void PoolCore::discard_now(PoolEntry& entry, TimePoint now) {
  if (entry.connection->broken) count_lost();
  close_entry(entry, entry.connection->broken ? CloseReason::error : CloseReason::discarded, {}, now);
  pump(now);
  arm(now);
}

// A connection that works and belongs to nobody: to the first waiter, to the idle ones, or away.
void PoolCore::settle(PoolEntry& entry, TimePoint now) {
  if (const CloseReason reason = retirement(entry, now); reason != CloseReason::none)
    close_entry(entry, reason, {}, now);
  else
    place(entry, now);
}

// REQUIRES: it need not retire.
void PoolCore::place(PoolEntry& entry, TimePoint now) {
  if (!queue_.empty() && state_ == PoolState::ready) {
    hand_over(entry, now);
  } else {
    entry.fresh_until = std::min({now + ages_.validate_after, entry.idle_since + ages_.idle, entry.expires_at});
    auto place = idle_.end();  // by its idle_since, mostly the last one
    while (place != idle_.begin() && std::prev(place)->idle_since > entry.idle_since) --place;
    idle_.insert(place, entry);
    park(entry, entry.state, now);
  }
}

void PoolCore::start_check(PoolEntry& entry, EntryState how, TimePoint now) {
  enter(entry, how);
  const Duration connect_timeout = bounded(settings_.options.connect_timeout);
  const TimePoint deadline = now + (how == EntryState::checking ? std::min(connect_timeout, ping_timeout) : connect_timeout);
  entry.give_up_at = deadline + patience;
  if (how == EntryState::checking)
    effects_.start_ping(entry, Deadline{deadline});
  else
    effects_.start_reset(entry, Deadline{deadline});
}

void PoolCore::checked(PoolEntry& entry, bool alive, std::string_view error, TimePoint now) {
  if (finish(entry)) return;
  Connection& connection = *entry.connection;
  if (alive && !connection.broken) {
    connection.dirty = false;
    doubtful_ = false;
    last_check_error_.clear();
    entry.checked_at = now;
    stats_.reachable.set(1);
    settle(entry, now);
  } else {
    if (connection.broken || entry.state == EntryState::checking) count_lost();
    check_failed(error.empty() ? "the connection broke" : error, now);
    close_entry(entry, CloseReason::error, error, now);
  }
  pump(now);
  arm(now);
}

void PoolCore::check_failed(std::string_view error, TimePoint now) {
  last_check_error_ = error;
  check_failed_at_ = now;
}

// One lost connection makes the others suspect: they are checked before anybody gets them.
void PoolCore::count_lost() noexcept {
  stats_.lost.add();
  doubtful_ = true;
  for (PoolEntry& entry : idle_) entry.fresh_until = TimePoint::min();
}

// ---- closing

void PoolCore::close_entry(PoolEntry& entry, CloseReason reason, std::string_view detail, TimePoint now) {
  enter(entry, EntryState::closing);
  emit({EventType::closed, entry.id, reason, detail});
  start_close(entry, now);
}

void PoolCore::start_close(PoolEntry& entry, TimePoint now) {
  share_->closing(entry.row, to_nanos(now));
  stats_.closes.add();
  if (loop_gone_) {
    share_->quarantined(entry.row, to_nanos(now));
    return remove(entry);
  }
  const TimePoint deadline = now + bounded(settings_.options.close_timeout);
  entry.give_up_at = deadline + patience;
  effects_.start_close(entry, Deadline{deadline});
}

void PoolCore::closed(PoolEntry& entry, CloseResult result, TimePoint now) {
  if (finish(entry)) return;
  if (result != CloseResult::confirmed) {
    share_->quarantined(entry.row, to_nanos(now));  // what was promised is asked for again
  } else if (entry.promised.generation != 0) {
    share_->grant(entry.row, entry.promised, to_nanos(now));
    stats_.lent.add();
    emit({EventType::lent, entry.id});
  } else {
    share_->released(entry.row, to_nanos(now));
  }
  remove(entry);
  effects_.changed();
  siblings_->permit_freed(now);
  pump(now);
  refuse_surplus(Phase::queue_full, now);  // the permit may have gone elsewhere
  arm(now);
}

void PoolCore::lost(PoolEntry& entry) noexcept {
  if (entry.state != EntryState::abandoned) share_->quarantined(entry.row, to_nanos(entry.alive_at()));
  remove(entry);
  effects_.changed();
}

// The entry's operation has ended. True: too late, the entry had been given up and is gone now.
bool PoolCore::finish(PoolEntry& entry) noexcept {
  entry.operation.reset();
  entry.give_up_at = TimePoint::max();
  entry.overdue = false;
  if (entry.state != EntryState::abandoned) return false;
  remove(entry);
  effects_.changed();
  return true;
}

void PoolCore::remove(PoolEntry& entry) noexcept {
  --counts_[static_cast<unsigned>(entry.state)];
  entries_.erase(entry.self);
}

}  // namespace sluice::pool
