#include <sluice/pool/loop_pools.hpp>
#include <sluice/pool/shell.hpp>

namespace sluice::pool {

std::shared_ptr<Siblings> LoopPools::join(PoolShell& shell, const budget::Share& share) {
  shells_.push_back(&shell);
  std::erase_if(siblings_, [](const auto& known) { return known.second.expired(); });
  for (const auto& [known, siblings] : siblings_) {
    if (known == &share) return siblings.lock();
  }
  auto siblings = std::make_shared<Siblings>();
  siblings_.emplace_back(&share, siblings);
  return siblings;
}

void LoopPools::shutdown() {
  // A shell may go away while it drops what it holds: keep each for the time of its call.
  std::vector<ShellRef> shells;
  for (PoolShell* shell : shells_) shells.emplace_back(shell);
  shells_.clear();
  for (const ShellRef& shell : shells) shell->loop_ended();
}

}  // namespace sluice::pool
