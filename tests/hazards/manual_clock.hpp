// Time that stands still until a test moves it. While a ManualClock is alive, std::chrono::steady_clock tells its time, and with it
// sluice::Clock and every Asio timer: a pool on a real loop meets its deadlines without waiting for them, the same way each time.
// One at a time, in the thread that uses it.
#pragma once

#include <sluice/core/asio.hpp>
#include <sluice/core/clock.hpp>

namespace sluice::test {

class ManualClock {
 public:
  ManualClock();
  ManualClock(const ManualClock&) = delete;
  ManualClock& operator=(const ManualClock&) = delete;
  ~ManualClock();

  // Runs one handler of the loop. Where none is ready time passes, a millisecond after the other, until a timer is due.
  // REQUIRES: the loop has work.
  void step(asio::io_context& loop);
  // Runs what is ready without time passing.
  static void settle(asio::io_context& loop);

  static constexpr Duration tick = 1ms;

 private:
  static void pass(asio::io_context& loop);
};

}  // namespace sluice::test
