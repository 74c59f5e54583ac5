#include "manual_clock.hpp"

#include <time.h>

namespace {

thread_local std::chrono::steady_clock::duration told{};  // zero: the kernel's

// It measures the counter against the kernel's clock, and would trust what it measured before.
void forget_counter() {
#if defined(__x86_64__)
  sluice::cycle_clock = sluice::CycleClock{};
#endif
}

}  // namespace

// In the place of the standard library's own: the linker takes a program's definition before that of a shared library.
std::chrono::steady_clock::time_point std::chrono::steady_clock::now() noexcept {
  if (told != duration::zero()) return time_point(told);
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return time_point(std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec));
}

namespace sluice::test {

ManualClock::ManualClock() {
  told = std::chrono::steady_clock::now().time_since_epoch();
  forget_counter();
}

ManualClock::~ManualClock() {
  told = {};
  forget_counter();
}

void ManualClock::step(asio::io_context& loop) {
  for (loop.restart(); loop.poll_one() == 0; loop.restart()) pass(loop);
}

void ManualClock::settle(asio::io_context& loop) {
  for (loop.restart(); loop.poll_one() > 0; loop.restart()) {
  }
}

// The loop looks at its timers when the kernel's timer says so, which knows nothing of this clock. One that is due since long makes
// it look; it comes before all others.
void ManualClock::pass(asio::io_context& loop) {
  told += tick;
  forget_counter();
  bool looked = false;
  asio::steady_timer look(loop, TimePoint{});
  look.async_wait([&looked](error_code) { looked = true; });
  while (!looked) {
    loop.restart();
    loop.poll_one();
  }
}

}  // namespace sluice::test
