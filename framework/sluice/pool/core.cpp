// Leases, waiters and the life of one connection. What happens by itself as time passes is in core_maintenance.cpp.
#include <sluice/config/in_force.hpp>
#include <sluice/core/text.hpp>
#include <sluice/pool/core.hpp>
#include <sluice/pool/sizing.hpp>

#include <utility>

namespace sluice::pool {
namespace {

constexpr Duration forever = std::chrono::hours(24 * 3650);  // can be added to any instant of this machine
Duration bounded(Duration d) { return std::clamp(d, Duration::zero(), forever); }
Duration or_forever(Duration d) { return d > Duration::zero() ? bounded(d) : forever; }

// A dead server must be noticed well before the caller's patience ends, so that another connection can still be tried.
constexpr Duration ping_timeout = 1s;
// How long past its deadline an operation may end by itself, and how long after that its cancellation may take.
constexpr Duration patience = 250ms;

}  // namespace

namespace {

CoreSettings in_force(CoreSettings settings) {
  settings.options = config::in_force(std::move(settings.options));
  return settings;
}

}  // namespace

PoolCore::PoolCore(CoreSettings settings, PoolEffects& effects, std::shared_ptr<budget::Share> share, std::shared_ptr<Siblings> siblings, shm::PoolStats& stats)
    : settings_(in_force(std::move(settings))),
      ages_{or_forever(settings_.options.idle_timeout), or_forever(settings_.options.soft_idle_timeout), or_forever(settings_.options.max_lifetime),
            or_forever(settings_.options.keepalive), bounded(settings_.options.validate_after)},
      effects_(effects),
      share_(std::move(share)),
      siblings_(std::move(siblings)),
      stats_(stats),
      random_(static_cast<std::minstd_rand::result_type>(settings_.seed % std::minstd_rand::modulus)) {
  siblings_->join(*this);
  stats_.reachable.set(0);
  publish();
}

PoolCore::~PoolCore() {
  set_wanted(0, false);
  siblings_->leave(*this);
  while (!queue_.empty()) queue_.pop().gathered.clear();
  idle_.clear();
  stale_.clear();
  shared_.clear();
  for (const PoolEntry& entry : entries_) {
    if (entry.state != EntryState::abandoned) share_->quarantined(entry.row, to_nanos(entry.alive_at));
  }
}

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
  if (share_->excess() > siblings_->closing() || siblings_->other_starves(*this)) return CloseReason::shrink;
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
    settle(entry, now);
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
  else if (!queue_.empty() && state_ == PoolState::ready)
    hand_over(entry, now);
  else
    park(entry, now);
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
    stats_.reachable.set(1);
    settle(entry, now);
  } else {
    if (connection.broken || entry.state == EntryState::checking) count_lost();
    close_entry(entry, CloseReason::error, error, now);
  }
  pump(now);
  arm(now);
}

// One lost connection makes the others suspect: they are checked before anybody gets them.
void PoolCore::count_lost() noexcept {
  stats_.lost.add();
  doubtful_ = true;
  for (PoolEntry& entry : idle_) entry.fresh_until = TimePoint::min();
}

// ---- opening

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
    const auto row = share_->claim(to_nanos(now));
    if (!row) break;
    if (share_->borrowed()) stats_.borrowed.add();
    PoolEntry& entry = entries_.emplace_back();
    entry.self = std::prev(entries_.end());
    ++counts_[static_cast<unsigned>(EntryState::connecting)];
    entry.id = ++last_id_;
    entry.row = *row;
    entry.generation = generation_;
    entry.started_at = entry.alive_at = entry.idle_since = now;
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
  if (wanted_ == 0) wanted_since_ = now;
  set_wanted(wanted, none_left);
  if (wanted == 0 && !below_floor_) return;
  next_rescan_ = now + (now - wanted_since_ < share_->borrow_after() ? share_->borrow_after() : rescan_interval);
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
  if (wanted_ == 0 || !at_limit_ || now - wanted_since_ < share_->borrow_after()) return 0;
  return std::min(wanted_, share_->held() + 1);  // twice as many at most, then look again
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
  entry.idle_since = entry.alive_at = now;
  const Duration shortened = std::chrono::duration_cast<Duration>(ages_.lifetime * std::clamp(settings_.options.lifetime_jitter, 0.0, 1.0) * random());
  entry.expires_at = now + ages_.lifetime - shortened;
  failures_ = refusals_ = 0;
  doubtful_ = false;
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
  if (released)
    share_->released(entry.row, to_nanos(now));
  else
    share_->quarantined(entry.row, to_nanos(now));
  if (!interrupted) {
    emit({EventType::closed, entry.id, CloseReason::error, error});
    fail_connect(entry, error, permanent, now);
  }
  remove(entry);
  effects_.changed();
  siblings_->permit_freed(now);
  pump(now);
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
  arm(now);
}

void PoolCore::lost(PoolEntry& entry) noexcept {
  if (entry.state != EntryState::abandoned) share_->quarantined(entry.row, to_nanos(entry.alive_at));
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

// ---- states

void PoolCore::ready(TimePoint now) {
  if (state_ != PoolState::paused) return;
  state_ = PoolState::ready;
  cleared_ = false;
  failures_ = refusals_ = 0;
  emit({EventType::pool_ready});
  pump(now);
  arm(now);
}

void PoolCore::pause(TimePoint now) {
  if (state_ != PoolState::ready) return;
  state_ = PoolState::paused;
  emit({EventType::pool_paused});
  refuse_all(Phase::paused, now);
  publish();
}

// What is idle now is closed by ticks, some at a time: however many there are, this call and each tick take no time.
void PoolCore::refresh(TimePoint now) {
  if (state_ == PoolState::closed) return;
  ++generation_;
  stale_.splice(stale_.end(), idle_);
  next_maintenance_ = next_ageing_ = now;
  arm(now);
}

void PoolCore::clear(TimePoint now, Pending pending) {
  if (state_ == PoolState::closed) return;
  refresh(now);
  const bool was_ready = state_ == PoolState::ready;
  if (was_ready) {
    state_ = PoolState::paused;
    cleared_ = true;
    stats_.cleared.add();
    emit({.type = EventType::pool_cleared, .detail = last_connect_error_});
  }
  if (pending == Pending::interrupt) {
    interrupt_connects(now);
    interrupt_leases();
  }
  if (was_ready) refuse_all(Phase::connect, now);
  arm(now);
}

// For everybody who looks they are closed now. Their permits, and their rows as connecting ones, stay until the driver has
// answered: the server may be at work on them.
void PoolCore::interrupt_connects(TimePoint now) {
  if (of(EntryState::connecting) == 0) return;
  for (PoolEntry& entry : entries_) {
    if (entry.state != EntryState::connecting) continue;
    enter(entry, EntryState::closing);
    emit({EventType::closed, entry.id, CloseReason::stale});
    if (entry.overdue) continue;  // cancelled before
    entry.give_up_at = now + bounded(settings_.options.close_timeout) + patience;
    if (entry.operation) entry.operation->cancel();
  }
}

// Their holders keep them until they give them back, but nothing that they do with them succeeds any more.
void PoolCore::interrupt_leases() {
  if (leased() == 0) return;
  for (PoolEntry& entry : entries_) {
    if (entry.state != EntryState::leased && entry.state != EntryState::shared) continue;
    entry.connection->broken = true;
    effects_.interrupt(entry);
  }
}

void PoolCore::close(TimePoint now) {
  if (state_ == PoolState::closed) return;
  state_ = PoolState::closed;
  idle_.splice(idle_.begin(), stale_);
  while (!idle_.empty()) close_idle(idle_.front(), CloseReason::pool_closed, now);
  emit({EventType::pool_closed});
  refuse_all(Phase::closed, now);
  arm(now);
}

void PoolCore::loop_ended() noexcept {
  state_ = PoolState::closed;
  loop_gone_ = true;
  observer_ = nullptr;
  set_wanted(0, false);
  idle_.splice(idle_.begin(), stale_);
  while (!idle_.empty()) close_idle(idle_.front(), CloseReason::pool_closed, idle_.front().alive_at);
  publish();
}

// ---- views

void PoolCore::on_event(std::function<void(const Event&)> observer) {
  const bool first = !observer_;
  observer_ = std::move(observer);
  if (first) emit({EventType::pool_created});
}

std::uint32_t PoolCore::max() const noexcept {
  if (settings_.options.max) return *settings_.options.max;
  return settings_.default_max > 0 ? settings_.default_max : ~0u;
}

Numbers PoolCore::numbers() const noexcept {
  Numbers n;
  n.idle = of(EntryState::idle);
  n.leased = leased();
  n.connecting = of(EntryState::connecting);
  n.closing = of(EntryState::closing);
  n.waiting = queue_.size();
  n.held = share_->held();
  n.limit = std::min(max(), share_->limit());
  n.checking = of(EntryState::checking) + of(EntryState::resetting);
  n.in_flight = of(EntryState::leased) + in_flight_;
  n.detached = of(EntryState::detached);
  n.suspected_leaks = leaks_;
  n.suspected_deadlocks = deadlocks_;
  return n;
}

PoolError PoolCore::error(Phase phase, std::optional<Duration> waited) const {
  const Numbers n = numbers();
  std::string message = text("pool '", settings_.options.name, "'");
  switch (phase) {
    case Phase::queue_full: message += text(": no idle connection and queue_limit ", settings_.options.queue_limit.value_or(0), " is reached"); break;
    case Phase::closed: message += " is closed"; break;
    case Phase::paused: message += " is paused"; break;
    case Phase::cancelled: message += ": the wait for a connection was cancelled"; break;
    case Phase::hook: message += ": a hook failed"; break;
    case Phase::too_many: message += text(": so many connections at once can never be had, the maximum is ", max()); break;
    case Phase::validation: message += ": no connection passed its check"; break;
    case Phase::wait_timeout:
    case Phase::connect:
      if (waited)
        message += text(": no connection within ", to_millis(*waited), " ms");
      else
        message += state_ == PoolState::ready ? ": a connect failed" : " was cleared";
      break;
  }
  message += text(" (", to_text(phase), "): ", n.leased, " leased, ", n.idle, " idle, ", n.connecting, " connecting, ");
  if (n.checking > 0) message += text(n.checking, " being checked, ");
  if (n.closing > 0) message += text(n.closing, " closing, ");
  message += text(n.waiting, " waiting, limit ", n.limit, ", held ", n.held);
  if (!last_connect_error_.empty()) message += text("; last connect error: ", last_connect_error_);
  return PoolError(phase, message, n, last_connect_error_);
}

}  // namespace sluice::pool
