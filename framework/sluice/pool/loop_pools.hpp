// The pools of one event loop. Finds those that draw on the same share, and tells them when the loop goes away: from then on
// nothing can be awaited, so what they hold is dropped at once and their permits are left to quarantine.
#pragma once

#include <sluice/budget/share.hpp>
#include <sluice/core/asio.hpp>
#include <sluice/pool/siblings.hpp>

#include <boost/asio/execution_context.hpp>
#include <memory>
#include <utility>
#include <vector>

namespace sluice::pool {

class PoolShell;

class LoopPools : public asio::execution_context::service {
 public:
  inline static asio::execution_context::id id;
  explicit LoopPools(asio::execution_context& loop) : service(loop) {}

  std::shared_ptr<Siblings> join(PoolShell& shell, const budget::Share& share);
  void leave(PoolShell& shell) noexcept { std::erase(shells_, &shell); }

 private:
  void shutdown() override;

  std::vector<PoolShell*> shells_;
  std::vector<std::pair<const budget::Share*, std::weak_ptr<Siblings>>> siblings_;
};

}  // namespace sluice::pool
