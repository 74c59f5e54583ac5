// Opening connections: how many, when, with which permit; and what a failure means for those who wait.
#include <sluice/pool/core.hpp>
#include <sluice/pool/durations.hpp>
#include <sluice/pool/sizing.hpp>

#include <utility>

namespace sluice::pool {

void PoolCore::grow(TimePoint now) {
  below_floor_ = false;
  if (state_ != PoolState::ready) return;
  const bool failing = share_->outage() || refusals_ > 0;
  if (now < connect_not_before()) {
    note_outage();
    return set_wanted(0, false);
  }
  const std::uint32_t coming = of(EntryState::connecting) + of(EntryState::checking) + of(EntryState::resetting);
  const std::uint32_t demand = queue_.demand(settings_.capacity);
  std::uint32_t missing = connects_to_start({.waiting = demand,
                                             .settled = of(EntryState::idle) + leased(),
                                             .coming = coming,
                                             .closing = of(EntryState::closing),
                                             .minimum = minimum(),
                                             .maximum = max(),
                                             .connecting = of(EntryState::connecting),
                                             .failing = failing});
  std::uint32_t unserved = demand > coming ? demand - coming : 0;
  for (; missing > 0; --missing, unserved -= unserved > 0) {
    const auto row = share_->claim(to_nanos(now), unserved > 0);
    if (!row) break;
    claimed_at_ = now;
    if (share_->borrowed()) stats_.borrowed.add();
    PoolEntry& entry = entries_.emplace_back();
    entry.self = std::prev(entries_.end());
    ++counts_[static_cast<unsigned>(EntryState::connecting)];
    entry.id = ++last_id_;
    entry.row = *row;
    entry.generation = generation_;
    entry.started_at = entry.checked_at = entry.idle_since = now;
    const Duration connect_timeout = bounded(settings_.options.connect_timeout);
    entry.late_at = now + connect_timeout + patience;
    entry.give_up_at = now + connect_timeout + bounded(settings_.options.close_timeout) + patience;
    emit({EventType::created, entry.id});
    if (share_->borrowed()) emit({EventType::borrowed, entry.id});
    effects_.start_connect(entry, Deadline{now + connect_timeout});
  }
  const std::uint32_t wanted = std::min(missing, unserved);
  const budget::Refusal why = missing > 0 ? share_->refusal() : budget::Refusal::none;
  if (why == budget::Refusal::outage) note_outage();
  const bool none_left = why == budget::Refusal::limit || why == budget::Refusal::no_row || why == budget::Refusal::owed;
  below_floor_ = none_left && share_->held() < share_->floor();
  set_wanted(wanted, none_left);
  if (wanted == 0 && !below_floor_) return;
  const TimePoint patient_until = queue_.empty() ? now : queue_.waiting_since() + share_->borrow_after();
  next_rescan_ = patient_until > now ? patient_until : now + rescan_interval;
  if (wanted > 0 && none_left) siblings_->ask(*this, wanted, now);
}

// While the server is down one worker of all probes it; a connect that was refused for our own reasons is only our own pause.
TimePoint PoolCore::connect_not_before() const noexcept {
  const TimePoint probe = share_->outage() ? share_->probe_at() : TimePoint::min();
  return refusals_ > 0 ? std::max(probe, connect_not_before_) : probe;
}

// Who looks at this pool must see the outage, although another worker does the probing.
void PoolCore::note_outage() {
  if (!share_->outage() || !last_connect_error_.empty()) return;
  last_connect_error_ = "the server does not answer (another worker is probing it)";
  stats_.last_error.set(last_connect_error_);
  stats_.reachable.set(2);
}

std::uint32_t PoolCore::permits_to_borrow(TimePoint now) const noexcept {
  if (below_floor_) return std::max(wanted_, 1u);
  if (wanted_ == 0 || !at_limit_ || queue_.empty() || now - queue_.waiting_since() < share_->borrow_after()) return 0;
  // Then look again. What is taken back from one that is busy with it is taken in smaller steps than what lies idle.
  const std::uint32_t held = share_->held();
  return std::min(wanted_, held < share_->limit() ? std::max(held / 2, 1u) : held + 1);
}

// True: a worker that needs it more gets this connection's permit once it is closed.
bool PoolCore::lend(PoolEntry& entry, bool idle_long) {
  if (!share_->wanted_elsewhere()) return false;
  const std::optional<budget::Life> to = share_->promise(idle_long);
  if (to) entry.promised = *to;
  return to.has_value();
}

void PoolCore::lend_idle(TimePoint now) {
  while (!idle_.empty()) {
    PoolEntry& entry = idle_.front();
    const bool idle_long = now - entry.idle_since >= share_->lend_idle() && open() > settings_.options.min_idle;
    if (!lend(entry, idle_long)) return;
    close_idle(entry, CloseReason::lent, now);
  }
}

void PoolCore::rung(TimePoint now) {
  lend_idle(now);
  pump(now);
  if (siblings_->wanting() == 0 && !below_floor_) share_->decline(to_nanos(now));
  arm(now);
}

void PoolCore::set_wanted(std::uint32_t permits, bool at_limit) noexcept {
  siblings_->want(wanted_ > 0, permits > 0);
  wanted_ = permits;
  at_limit_ = at_limit;
}

void PoolCore::connected(PoolEntry& entry, std::unique_ptr<Connection> connection, TimePoint now) {
  if (finish(entry)) return;
  share_->connected(entry.row, connection->session, connection->session_birth, to_nanos(now));
  connection->cancel = &share_->cancel_word(entry.row);
  entry.connection = std::move(connection);
  if (entry.state == EntryState::closing) {  // interrupted, but it was faster
    start_close(entry, now);
    siblings_->permit_freed(now);
    pump(now);
    return arm(now);
  }
  entry.idle_since = entry.checked_at = now;
  const Duration shortened = std::chrono::duration_cast<Duration>(ages_.lifetime * std::clamp(settings_.options.lifetime_jitter, 0.0, 1.0) * random());
  entry.expires_at = now + ages_.lifetime - shortened;
  failures_ = refusals_ = 0;
  doubtful_ = false;
  last_check_error_.clear();
  share_->server_answered();
  if (!last_connect_error_.empty()) {
    last_connect_error_.clear();
    stats_.last_error.set({});
  }
  stats_.connects.add();
  stats_.create_seconds.record(static_cast<std::uint64_t>((now - entry.started_at).count()));
  stats_.reachable.set(1);
  emit({EventType::connected, entry.id});
  settle(entry, now);
  effects_.changed();
  siblings_->permit_freed(now);  // the server's connecting rows are one fewer
  pump(now);
  arm(now);
}

void PoolCore::connect_failed(PoolEntry& entry, std::string_view error, bool released, TimePoint now, bool permanent) {
  if (finish(entry)) return;
  const bool interrupted = entry.state == EntryState::closing;
  if (!interrupted) {
    emit({EventType::closed, entry.id, CloseReason::error, error});
    fail_connect(entry, error, permanent, now);
  }
  // After the failure is told: whoever sees that nobody connects any more sees the outage, too, and waits its turn.
  if (released)
    share_->released(entry.row, to_nanos(now));
  else
    share_->quarantined(entry.row, to_nanos(now));
  remove(entry);
  effects_.changed();
  siblings_->permit_freed(now);
  pump(now);
  refuse_surplus(Phase::connect, now);
  arm(now);
}

// Counted once for each attempt; one that was late already only tells its cause.
void PoolCore::fail_connect(PoolEntry& entry, std::string_view error, bool permanent, TimePoint now) {
  last_connect_error_ = error;
  stats_.last_error.set(last_connect_error_);
  if (std::exchange(entry.late, true)) return;
  ++failures_;
  failed_at_ = now;
  const config::Pool& o = settings_.options;
  const Duration least = bounded(o.connect_backoff_min), most = bounded(o.connect_backoff_max);
  if (permanent)
    connect_not_before_ = now + budget::connect_backoff(++refusals_, least, most, random());
  else
    share_->server_failed(to_nanos(now), least, most, random());
  stats_.connect_errors.add();
  stats_.reachable.set(2);
  if (settings_.fail_fast && !queue_.empty()) refuse(queue_.pop(), Phase::connect, now);
}

}  // namespace sluice::pool
