// Several requests on one connection, where the connector can do that. The connection is leased in the permit table while any of
// them is in flight. Requests go to the connection that has the fewest; another is opened only when none has room.
//
// Exclusive and shared callers wait in one queue: while an exclusive one is first, no further request starts, so that some
// connection runs empty for it.
#include <sluice/pool/core.hpp>

namespace sluice::pool {

bool PoolCore::can_carry(const PoolEntry& entry, TimePoint now) const noexcept {
  const std::uint64_t max_uses = settings_.options.max_uses;
  return entry.in_flight < settings_.capacity && !entry.retired && !entry.connection->broken && entry.generation == generation_ && now < entry.expires_at &&
         (max_uses == 0 || entry.uses < max_uses);
}

PoolEntry* PoolCore::least_busy(TimePoint now) {
  PoolEntry* best = nullptr;
  for (PoolEntry& entry : shared_) {
    if (can_carry(entry, now) && (!best || entry.in_flight < best->in_flight)) best = &entry;
  }
  return best;
}

PoolEntry* PoolCore::try_share(TimePoint now, std::uint32_t call_site) {
  if (state_ != PoolState::ready || !queue_.empty()) return nullptr;
  PoolEntry* entry = next_fresh(now);
  if (entry)
    take_idle(*entry);
  else
    entry = least_busy(now);
  if (entry) begin_request(*entry, call_site, Duration::zero(), now);
  return entry;
}

// REQUIRES: the entry is in no list, or shared with room.
void PoolCore::begin_request(PoolEntry& entry, std::uint32_t call_site, Duration waited, TimePoint now) {
  if (entry.state != EntryState::shared) {
    enter(entry, EntryState::shared);
    shared_.push_back(entry);
    entry.leased_at = now;
    entry.call_site = call_site;
    entry.task = 0;
    share_->leased(entry.row, call_site, to_nanos(now));
    stats_.leased.set(leased());
    stats_.idle.set(of(EntryState::idle));
  }
  ++entry.in_flight;
  ++entry.uses;
  ++in_flight_;
  stats_.multiplexed.set(in_flight_ - of(EntryState::shared));
  stats_.acquires.add();
  stats_.acquire_wait_seconds.record(static_cast<std::uint64_t>(waited.count()));
  emit({EventType::leased, entry.id});
}

void PoolCore::serve_shared(PoolEntry& entry, TimePoint now) {
  Waiter& waiter = queue_.pop();
  begin_request(entry, waiter.call_site, now - waiter.since, now);
  stats_.waiting.set(queue_.size());
  effects_.serve(waiter, entry);
}

void PoolCore::end_request(PoolEntry& entry, TimePoint since, bool retire, TimePoint now) {
  if (entry.state != EntryState::shared) [[unlikely]]
    return give_back_other(entry, now);
  stats_.use_seconds.record(static_cast<std::uint64_t>((now - since).count()));
  emit({EventType::returned, entry.id});
  entry.retired = entry.retired || retire;
  --entry.in_flight;
  --in_flight_;
  if (entry.in_flight > 0) {
    pump(now);
    return arm(now);
  }
  shared_.erase(shared_.iterator_to(entry));
  if (entry.retired && !entry.connection->broken) return discard_now(entry, now);
  give_back_slowly(entry, now);
}

}  // namespace sluice::pool
