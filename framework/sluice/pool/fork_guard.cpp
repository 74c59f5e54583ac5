#include <sluice/pool/fork_guard.hpp>

#include <pthread.h>

namespace sluice::pool {

void ForkGuard::count_fork() noexcept { forks_.fetch_add(1, std::memory_order_relaxed); }

ForkGuard::ForkGuard() noexcept {
  // Once per process image; a forked child inherits the registration.
  static const int registered = ::pthread_atfork(nullptr, nullptr, &ForkGuard::count_fork);
  static_cast<void>(registered);
  made_in_ = forks_.load(std::memory_order_relaxed);
}

}  // namespace sluice::pool
