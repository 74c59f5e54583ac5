// What goes wrong outside the pool and is noticed here: leases that never end, tasks that wait for themselves, connections that
// come back twice. And connections that leave the pool on purpose.
#include <sluice/pool/core.hpp>

#include <cstdio>
#include <cstdlib>
#include <vector>

namespace sluice::pool {

void PoolCore::give_back_other(PoolEntry& entry, TimePoint now) {
  if (entry.state == EntryState::abandoned) {  // reclaimed: its connection has been closed long since
    remove(entry);
    return effects_.changed();
  }
  static_cast<void>(now);
  std::fprintf(stderr, "sluice: pool '%s': connection %llu is %s and was returned a second time; two callers may have used it at once\n",
               settings_.options.name.c_str(), static_cast<unsigned long long>(entry.id), to_text(entry.state));
  std::abort();
}

void PoolCore::detach(PoolEntry& entry, TimePoint now) {
  stats_.use_seconds.record(static_cast<std::uint64_t>((now - entry.leased_at).count()));
  enter(entry, EntryState::detached);
  emit({EventType::detached, entry.id});
  effects_.changed();
  pump(now);
  arm(now);
}

void PoolCore::end_detached(PoolEntry& entry, TimePoint now) {
  close_entry(entry, CloseReason::detached, {}, now);
  pump(now);
  arm(now);
}

// ---- deadlocks

// Nothing is free, nothing is on its way, and the pool cannot have more. (What a server that is away keeps back is another matter.)
bool PoolCore::exhausted() const noexcept { return promised() == 0 && failures_ == 0 && idle_.empty() && leased() > 0; }

// A task that waits for the pool's last connection while it holds one itself waits for itself, or for another such task. It may
// still be served (others return theirs), so this is a suspicion.
void PoolCore::judge(Waiter& waiter) {
  if (!exhausted()) {
    unjudged_ = true;
    return;
  }
  for (const PoolEntry& entry : entries_) {
    if (entry.state == EntryState::leased && entry.task == waiter.task) return suspect(waiter, entry);
  }
}

// Who began to wait while connections were on their way is judged once these have come.
void PoolCore::look_for_deadlocks() {
  unjudged_ = unjudged_ && !queue_.empty();
  if (!unjudged_ || !exhausted()) return;
  unjudged_ = false;
  std::vector<const PoolEntry*> held;
  for (const PoolEntry& entry : entries_) {
    if (entry.state == EntryState::leased && entry.task != 0) held.push_back(&entry);
  }
  std::stable_sort(held.begin(), held.end(), [](const PoolEntry* a, const PoolEntry* b) { return a->task < b->task; });
  queue_.for_each([&](Waiter& waiter) {
    if (waiter.task == 0 || waiter.held != 0) return;
    const auto first = std::lower_bound(held.begin(), held.end(), waiter.task, [](const PoolEntry* e, std::uint32_t task) { return e->task < task; });
    if (first != held.end() && (*first)->task == waiter.task) suspect(waiter, **first);
  });
}

void PoolCore::suspect(Waiter& waiter, const PoolEntry& entry) {
  waiter.held = static_cast<std::uint8_t>(entry.call_site + 1);
  ++deadlocks_;
  stats_.deadlocks.add();
  Event event{.type = EventType::deadlock_suspected, .connection = entry.id};
  event.call_site = waiter.call_site;
  event.held_call_site = entry.call_site;
  emit(event);
  effects_.suspect(event);
}

// ---- leaks

// The requests of a shared connection have no instants of their own: that would cost each of them. But as long as none begins or ends,
// all of them are at least so old.
TimePoint PoolCore::same_requests_since(PoolEntry& entry, TimePoint now) noexcept {
  if (entry.seen_uses != entry.uses || entry.seen_in_flight != entry.in_flight) {
    entry.seen_uses = entry.uses;
    entry.seen_in_flight = entry.in_flight;
    entry.seen_at = now;
  }
  return entry.seen_at;
}

void PoolCore::look_for_leaks(TimePoint now) {
  const Duration limit = settings_.options.leak_after;
  if (limit <= Duration::zero() || now < next_leak_look_) return;
  next_leak_look_ = now + std::clamp(limit / 8, Duration(20ms), Duration(10s));
  if (leased() == 0) return;
  for (auto next = entries_.begin(); next != entries_.end();) {
    PoolEntry& entry = *next++;
    const bool shared = entry.state == EntryState::shared;
    if (!shared && entry.state != EntryState::leased) continue;
    const TimePoint since = shared ? same_requests_since(entry, now) : entry.leased_at;
    if (now - since < limit || entry.leak_told == since) continue;
    entry.leak_told = since;
    ++leaks_;
    stats_.leaks.add();
    Event event{.type = EventType::leak_suspected, .connection = entry.id};
    event.call_site = entry.call_site;
    event.age = now - since;
    emit(event);
    effects_.suspect(event);
    if (settings_.options.leak_reclaim && !shared && effects_.may_reclaim(entry)) reclaim(entry, now);
  }
}

// The connection and its permit go on in an entry of their own; the old one stays for the lease that points to it, empty.
void PoolCore::reclaim(PoolEntry& entry, TimePoint now) {
  PoolEntry& closing = entries_.emplace_back();
  closing.self = std::prev(entries_.end());
  closing.state = EntryState::closing;
  ++counts_[static_cast<unsigned>(EntryState::closing)];
  closing.id = entry.id;
  closing.row = entry.row;
  closing.generation = entry.generation;
  closing.started_at = entry.started_at;
  closing.checked_at = closing.idle_since = now;
  closing.connection = std::move(entry.connection);
  enter(entry, EntryState::abandoned);
  emit({EventType::closed, closing.id, CloseReason::leaked});
  start_close(closing, now);
}

}  // namespace sluice::pool
