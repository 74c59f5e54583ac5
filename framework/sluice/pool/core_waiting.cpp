// The wait queue of a pool: who waits, who is served next with what, and who is refused.
#include <sluice/pool/core.hpp>

#include <utility>

namespace sluice::pool {

bool PoolCore::has_idle(std::uint32_t connections) const noexcept {
  for (auto next = idle_.begin(); connections > 0; --connections, ++next) {
    if (next == idle_.end()) return false;
  }
  return true;
}

// Connections that one caller can ever have at once.
std::uint32_t PoolCore::obtainable() const noexcept {
  const std::uint32_t permits = share_->most();
  return permits > 0 ? std::min(max(), permits) : max();  // 0: the limit is not known yet
}

// Connections that come without a caller's giving one back: they are being opened, checked, reset or closed, or wait only for their
// turn to be opened (max_connecting).
std::uint32_t PoolCore::promised() const noexcept {
  const std::uint32_t in_turn = at_limit_ || share_->outage() ? 0 : wanted_;
  return of(EntryState::connecting) + of(EntryState::checking) + of(EntryState::resetting) + of(EntryState::closing) + in_turn;
}

// queue_limit bounds those who wait for other callers; whoever can have a connection that is promised does not count.
bool PoolCore::overfull(std::uint32_t limit) const noexcept {
  return queue_.size() > limit && queue_.left_by(promised(), settings_.capacity) > limit;
}

// May one more be put to the test of the queue? As far as this pool can tell without claiming a permit.
bool PoolCore::has_room(std::uint32_t limit) const noexcept {
  if (queue_.demand(settings_.capacity) < promised() || queue_.left_by(promised(), settings_.capacity) < limit) return true;
  if (wanted_ > 0 && at_limit_) return false;  // those who wait have asked in vain; each rescan asks again
  return open() + closing() < max() && (share_->held() < share_->limit() || share_->may_borrow());
}

std::optional<PoolError> PoolCore::refusal(std::uint32_t wants) {
  const auto& limit = settings_.options.queue_limit;
  std::optional<Phase> phase;
  if (state_ == PoolState::closed) {
    phase = Phase::closed;
  } else if (state_ == PoolState::paused) {
    phase = cleared_ ? Phase::connect : Phase::paused;
  } else if (wants == 0 || (wants > 1 && wants > obtainable())) {
    phase = Phase::too_many;
  } else if (limit && queue_.size() >= *limit && !has_idle(wants) && !has_room(*limit)) {
    phase = Phase::queue_full;
    stats_.queue_full.add();
  }
  if (!phase) return std::nullopt;
  emit({.type = EventType::checkout_failed, .detail = to_text(*phase), .phase = *phase});
  return error(*phase);
}

void PoolCore::enqueue(Waiter& waiter, TimePoint now) {
  queue_.push(waiter);
  emit({EventType::enqueued});
  const bool in_vain = all_taken();
  const bool alarm_is_set = in_vain && queue_.size() > 1 && waiter.deadline > queue_.next_deadline();  // for those before it
  if (!in_vain) pump(now);
  if (const auto& limit = settings_.options.queue_limit; limit && waiter.waiting() && overfull(*limit)) {
    queue_.remove(waiter);
    stats_.queue_full.add();
    refuse(waiter, Phase::queue_full, now);
    grow(now);  // without it: what it wanted is not wanted any more
  } else if (waiter.task != 0 && waiter.waiting() && settings_.options.deadlock_detection) {
    judge(waiter);
  }
  if (alarm_is_set)
    stats_.waiting.set(queue_.size());
  else
    arm(now);
}

// Every connection that this pool may ever have is with somebody, and nothing is under way that could change what those who wait can
// get: until one comes back there is nothing to serve, to open, to borrow or to tell.
bool PoolCore::all_taken() const noexcept {
  return leased() == max() && idle_.empty() && stale_.empty() && wanted_ == 0 && !below_floor_ && !unjudged_ && settings_.capacity == 1 &&
         state_ == PoolState::ready;
}

void PoolCore::cancel(Waiter& waiter, TimePoint now) {
  queue_.remove(waiter);
  refuse(waiter, Phase::cancelled, now);
  if (queue_.empty()) set_wanted(0, false);
  publish();
}

void PoolCore::refuse(Waiter& waiter, Phase phase, TimePoint now, std::optional<Duration> waited) {
  emit({.type = EventType::checkout_failed, .detail = to_text(phase), .phase = phase});
  PoolError why = error(phase, waited);
  // Out of the waiter before it is answered: it may not exist any more then.
  Gathered gathered;
  if (waiter.several) gathered.swap(waiter.several->gathered);
  effects_.refuse(waiter, std::move(why));
  give_back_all(gathered, now);
}

// Fewer connections are promised than were: the last in the queue have lost their places.
void PoolCore::refuse_surplus(Phase phase, TimePoint now) {
  const auto& limit = settings_.options.queue_limit;
  if (!limit || !overfull(*limit)) return;
  do {
    Waiter& last = queue_.last();
    queue_.remove(last);
    if (phase == Phase::queue_full) stats_.queue_full.add();
    refuse(last, phase, now);
  } while (overfull(*limit));
  grow(now);
}

// A limit may fall while somebody collects: who can never have them all must not hold up the others.
void PoolCore::refuse_impossible(TimePoint now) {
  while (!queue_.empty() && queue_.next().wants() > 1 && queue_.next().wants() > obtainable()) {
    Waiter& waiter = queue_.next();
    queue_.remove(waiter);
    refuse(waiter, Phase::too_many, now);
  }
}

void PoolCore::give_back_all(Gathered& entries, TimePoint now) {
  while (!entries.empty()) {
    PoolEntry& entry = entries.front();
    entries.pop_front();
    give_back(entry, now);
  }
}

void PoolCore::refuse_all(Phase phase, TimePoint now) {
  while (!queue_.empty()) refuse(queue_.pop(), phase, now);
  set_wanted(0, false);
}

Waiter* PoolCore::take_waiter() noexcept {
  if (queue_.empty()) return nullptr;
  Waiter& waiter = queue_.pop();
  while (waiter.several && !waiter.several->gathered.empty()) {
    PoolEntry& entry = waiter.several->gathered.front();
    waiter.several->gathered.pop_front();
    enter(entry, EntryState::idle);
    idle_.push_back(entry);
  }
  return &waiter;
}

void PoolCore::pump(TimePoint now) {
  if (settings_.background || !queue_.empty()) close_stale(now);
  while (state_ == PoolState::ready && !queue_.empty()) {
    PoolEntry* usable = next_fresh(now);
    if (usable)
      take_idle(*usable);
    else if (queue_.next().shared)
      usable = least_busy(now);
    if (usable) {
      hand_over(*usable, now);
    } else if (!idle_.empty() && queue_.demand(settings_.capacity) > of(EntryState::checking)) {
      PoolEntry& entry = next_idle();
      take_idle(entry);
      start_check(entry, EntryState::checking, now);
    } else {
      break;
    }
  }
  grow(now);
}

// To the one whose turn it is. REQUIRES: somebody waits; the entry is in no list, or shared with room for a request.
void PoolCore::hand_over(PoolEntry& entry, TimePoint now) {
  Waiter& waiter = queue_.next();
  if (waiter.shared) return serve_shared(entry, now);
  lease(entry, entry.state, waiter.call_site, now - waiter.since, now);
  if (waiter.wants() > 1) {
    entry.task = 0;  // nobody's yet: the one who collects does not wait for itself
    if (queue_.collect(waiter, entry)) {
      for (PoolEntry& mine : waiter.several->gathered) mine.task = waiter.task;
      effects_.serve_all(waiter);
    }
  } else {
    entry.task = waiter.task;
    queue_.pop();
    effects_.serve(waiter, entry);
  }
  stats_.waiting.set(queue_.size());
}

}  // namespace sluice::pool
