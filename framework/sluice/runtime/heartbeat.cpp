#include <sluice/runtime/heartbeat.hpp>

namespace sluice::runtime {

Heartbeat::Heartbeat(asio::io_context& loop, shm::Slot& slot, Duration interval) : timer_(loop), slot_(slot), interval_(interval) {}

void Heartbeat::start() {
  running_ = true;
  slot_.heartbeat_max_gap_nanos.set(0);
  beat();
}

void Heartbeat::stop() {
  running_ = false;
  timer_.cancel();
}

void Heartbeat::beat() {
  const TimePoint now = Clock::now();
  if (last_ != TimePoint{}) {
    const Duration late = now - last_ - interval_;
    if (late > Duration::zero()) slot_.heartbeat_max_gap_nanos.raise_to(static_cast<std::uint64_t>(std::chrono::nanoseconds(late).count()));
  }
  last_ = now;
  slot_.heartbeat_nanos.set_signed(to_nanos(now));
  arm();
}

void Heartbeat::arm() {
  timer_.expires_at(last_ + interval_);
  timer_.async_wait([this](const error_code& error) {
    if (!error && running_) beat();
  });
}

}  // namespace sluice::runtime
