#include <sluice/pool/core.hpp>
#include <sluice/pool/siblings.hpp>

#include <algorithm>
#include <utility>

namespace sluice::pool {

void Siblings::ask(PoolCore& asker, std::uint32_t permits, TimePoint now) {
  std::uint32_t coming = closing();
  for (PoolCore* pool : pools_) {
    while (pool != &asker && coming < permits && pool->yield_idle(asker.starving(), now)) ++coming;
  }
}

void Siblings::permit_freed(TimePoint now) {
  if (wanting_ == 0) return;
  // The starving first, and among equals the one that got a permit longest ago: in a fixed order the first pool would take every one
  // for as long as it has waiters. A pump may neither add nor remove pools: effects start later.
  in_turn_ = pools_;
  std::stable_sort(in_turn_.begin(), in_turn_.end(), [](const PoolCore* a, const PoolCore* b) {
    return std::make_pair(!a->starving(), a->claimed_at()) < std::make_pair(!b->starving(), b->claimed_at());
  });
  for (PoolCore* pool : in_turn_) {
    if (pool->wants_permits()) pool->pump(now);
  }
}

void Siblings::publish_wants(budget::Share& share, TimePoint now) const {
  std::uint32_t wants = 0;
  for (const PoolCore* pool : pools_) wants += pool->permits_to_borrow(now);
  share.want(wants, now);
}

bool Siblings::other_starves(const PoolCore& pool) const noexcept {
  // One returned permit helps one pool: what is closing already may be on its way to it.
  std::uint32_t starving = 0;
  for (const PoolCore* other : pools_) starving += other != &pool && other->starving();
  return starving > closing();
}

std::uint32_t Siblings::closing() const noexcept {
  std::uint32_t n = 0;
  for (const PoolCore* pool : pools_) n += pool->closing();
  return n;
}

}  // namespace sluice::pool
