// Tells whether an object is used in the process that made it, without a system call.
#pragma once

#include <atomic>
#include <cstdint>

namespace sluice::pool {

class ForkGuard {
 public:
  ForkGuard() noexcept;
  // True in any process forked since. (Raw clone() goes unnoticed.)
  bool foreign() const noexcept { return made_in_ != forks_.load(std::memory_order_relaxed); }

 private:
  static void count_fork() noexcept;
  inline static std::atomic<std::uint32_t> forks_{0};
  std::uint32_t made_in_;
};

}  // namespace sluice::pool
