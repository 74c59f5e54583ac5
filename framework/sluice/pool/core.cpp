// The pool's own states, from its start to its end, and what it shows of itself.
#include <sluice/config/in_force.hpp>
#include <sluice/core/text.hpp>
#include <sluice/pool/core.hpp>
#include <sluice/pool/durations.hpp>

#include <utility>

namespace sluice::pool {
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
      fresh_for_(std::min(ages_.validate_after, ages_.idle)),
      most_uses_(settings_.options.max_uses > 0 ? settings_.options.max_uses : ~std::uint64_t{0}),
      lifo_(settings_.options.reuse == config::Reuse::lifo),
      always_reset_(settings_.options.reset_on_return == config::ResetOnReturn::always),
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
  while (!queue_.empty()) {
    const Waiter& waiter = queue_.pop();
    if (waiter.several) waiter.several->gathered.clear();
  }
  idle_.clear();
  stale_.clear();
  shared_.clear();
  for (const PoolEntry& entry : entries_) {
    if (entry.state != EntryState::abandoned) share_->quarantined(entry.row, to_nanos(entry.alive_at()));
  }
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
  ++generation_;  // whatever comes back is of an older one
  idle_.splice(idle_.begin(), stale_);
  while (!idle_.empty()) close_idle(idle_.front(), CloseReason::pool_closed, now);
  emit({EventType::pool_closed});
  refuse_all(Phase::closed, now);
  arm(now);
}

void PoolCore::loop_ended() noexcept {
  state_ = PoolState::closed;
  ++generation_;
  loop_gone_ = true;
  observer_ = nullptr;
  set_wanted(0, false);
  idle_.splice(idle_.begin(), stale_);
  while (!idle_.empty()) close_idle(idle_.front(), CloseReason::pool_closed, idle_.front().alive_at());
  publish();
}

// ---- views

// Not inline: making an event costs as much as a statistic.
void PoolCore::tell_of(EventType type, const PoolEntry& entry) { emit({type, entry.id}); }

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
    case Phase::too_many: message += text(": so many connections at once cannot be had, the maximum is now ", obtainable()); break;
    case Phase::validation:
      message += ": no connection passed its check";
      if (waited) message += text(" within ", to_millis(*waited), " ms");
      break;
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
  if (!last_check_error_.empty()) message += text("; last check error: ", last_check_error_);
  return PoolError(phase, message, n, last_connect_error_, last_check_error_);
}

}  // namespace sluice::pool
