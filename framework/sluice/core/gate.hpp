// Drain as an object: count what is in flight, then close and wait until nothing is. One loop's own; not thread-safe.
#pragma once

#include <sluice/core/asio.hpp>
#include <sluice/core/clock.hpp>

#include <cstddef>
#include <memory>

namespace sluice {

class Gate {
 public:
  // Holding one keeps the gate from becoming empty. Empty when the gate was closed.
  class Pass {
   public:
    Pass() noexcept = default;
    Pass(Pass&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
    Pass& operator=(Pass&& other) noexcept {
      std::swap(gate_, other.gate_);
      return *this;
    }
    ~Pass() {
      if (gate_) gate_->leave();
    }
    explicit operator bool() const noexcept { return gate_ != nullptr; }

   private:
    friend class Gate;
    explicit Pass(Gate* gate) noexcept : gate_(gate) {}
    Gate* gate_ = nullptr;
  };

  explicit Gate(asio::any_io_executor executor) : timer_(std::move(executor), TimePoint::max()) {}

  Pass enter() noexcept {
    if (closed_) return {};
    ++inside_;
    return Pass(this);
  }
  std::size_t inside() const noexcept { return inside_; }
  bool closed() const noexcept { return closed_; }
  void close() noexcept { closed_ = true; }

  // Closes, then waits until everything has left or the deadline passes. True: empty.
  awaitable<bool> drain(Deadline deadline) {
    closed_ = true;
    while (inside_ > 0 && !deadline.passed(Clock::now())) {
      timer_.expires_at(deadline.at);
      error_code ignored;
      co_await timer_.async_wait(asio::redirect_error(use_awaitable, ignored));
    }
    co_return inside_ == 0;
  }

 private:
  void leave() noexcept {
    if (--inside_ == 0) timer_.cancel();
  }

  std::size_t inside_ = 0;
  bool closed_ = false;
  asio::steady_timer timer_;
};

}  // namespace sluice
