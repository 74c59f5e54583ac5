// The pools of one loop that draw on the same share of a server's permits. It makes them fair to each other: idle permits go
// to the pool that has waiters, and a pool with waiters and no connection at all gets the next permit that comes back.
#pragma once

#include <sluice/budget/share.hpp>
#include <sluice/core/clock.hpp>

#include <cstdint>
#include <vector>

namespace sluice::pool {

class PoolCore;

class Siblings {
 public:
  void join(PoolCore& pool) { pools_.push_back(&pool); }
  void leave(PoolCore& pool) noexcept { std::erase(pools_, &pool); }

  // `asker` could not claim `permits` of them: others close idle connections, beyond what is closing already.
  void ask(PoolCore& asker, std::uint32_t permits, TimePoint now);
  // A permit has come back: whoever wants one tries again, the starving first.
  void permit_freed(TimePoint now);
  // Tells the other workers how many permits the pools of this one would borrow.
  void publish_wants(budget::Share& share, TimePoint now) const;
  // True if another pool has waiters, no connection, and no permit to open one.
  bool other_starves(const PoolCore& pool) const noexcept;
  // Connections being closed, in all pools: permits that are about to come back.
  std::uint32_t closing() const noexcept;

  // How many pools could not claim what they want; the lease path looks at nothing else.
  std::uint32_t wanting() const noexcept { return wanting_; }
  void want(bool before, bool after) noexcept { wanting_ += static_cast<std::uint32_t>(after) - static_cast<std::uint32_t>(before); }

 private:
  std::vector<PoolCore*> pools_;
  std::vector<PoolCore*> in_turn_;  // permit_freed()'s own
  std::uint32_t wanting_ = 0;
};

}  // namespace sluice::pool
