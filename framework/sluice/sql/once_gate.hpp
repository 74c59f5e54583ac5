// Run something once, on whoever comes first; the others wait for the outcome. After a failure the next one tries again.
// One loop's own; the waiters' timers are woken when the attempt ends, whether it succeeded, failed or was abandoned.
#pragma once

#include <sluice/core/asio.hpp>
#include <sluice/core/clock.hpp>
#include <sluice/core/error.hpp>

#include <list>
#include <memory>

namespace sluice::sql {

class OnceGate {
 public:
  // Held by the one who does the work; its end wakes the waiters.
  class Turn {
   public:
    explicit Turn(std::shared_ptr<OnceGate> gate) noexcept : gate_(std::move(gate)) { gate_->running_ = true; }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() {
      gate_->running_ = false;
      for (asio::steady_timer* waiter : gate_->waiting_) waiter->cancel();
    }
    void succeeded() noexcept { gate_->done_ = true; }

   private:
    std::shared_ptr<OnceGate> gate_;
  };

  bool done() const noexcept { return done_; }
  bool running() const noexcept { return running_; }

  // Waits while somebody else has the turn. Throws TimedOut(what) at the deadline.
  static awaitable<void> wait(std::shared_ptr<OnceGate> gate, Deadline deadline, const char* what) {
    const auto executor = co_await asio::this_coro::executor;
    while (gate->running_) {
      if (deadline.passed(Clock::now())) throw TimedOut(what);
      asio::steady_timer timer(executor, deadline.at);
      const Entry entry(*gate, timer);
      error_code ignored;
      co_await timer.async_wait(asio::redirect_error(use_awaitable, ignored));
    }
  }

 private:
  struct Entry {
    Entry(OnceGate& gate, asio::steady_timer& timer) : list(&gate.waiting_), at(list->insert(list->end(), &timer)) {}
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    ~Entry() { list->erase(at); }
    std::list<asio::steady_timer*>* list;
    std::list<asio::steady_timer*>::iterator at;
  };

  bool done_ = false;
  bool running_ = false;
  std::list<asio::steady_timer*> waiting_;
};

}  // namespace sluice::sql
