// The loop's own pulse: a timer on the loop writes the time into the slot's block, so a blocked or spinning loop shows.
// One loop's own.
#pragma once

#include <sluice/core/asio.hpp>
#include <sluice/core/clock.hpp>
#include <sluice/shm/layout.hpp>

namespace sluice::runtime {

class Heartbeat {
 public:
  Heartbeat(asio::io_context& loop, shm::Slot& slot, Duration interval);
  void start();
  void stop();

 private:
  void beat();
  void arm();

  asio::steady_timer timer_;
  shm::Slot& slot_;
  Duration interval_;
  TimePoint last_{};
  bool running_ = false;
};

}  // namespace sluice::runtime
