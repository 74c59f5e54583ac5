// Lets one coroutine wait for one event on another thread. The thread touches the loop only while the waiter is still there,
// so neither a cancelled coroutine nor a destroyed loop leaves it anything to stumble over.
#pragma once

#include <sluice/core/asio.hpp>
#include <sluice/core/clock.hpp>

#include <memory>
#include <mutex>

namespace sluice::sqlite {

class ThreadEvent {
 public:
  // On the loop. The waiter gives up at `give_up`.
  ThreadEvent(const asio::any_io_executor& executor, TimePoint give_up)
      : executor_(executor), timer_(std::make_shared<asio::steady_timer>(executor, give_up)) {}

  // On the other thread; what it wrote before is visible to the waiter.
  void happened() {
    std::lock_guard lock(mutex_);
    happened_ = true;
    if (timer_) asio::post(executor_, [timer = timer_] { timer->expires_at(TimePoint::min()); });
  }

  // On the loop. True: it happened; false: given up or cancelled. The waiter keeps the event alive.
  awaitable<bool> wait() {
    const std::shared_ptr<asio::steady_timer> timer = timer_;
    error_code ignored;
    co_await timer->async_wait(asio::redirect_error(use_awaitable, ignored));
    co_return has_happened();
  }

  bool has_happened() {
    std::lock_guard lock(mutex_);
    return happened_;
  }

  // On the loop, when nobody will wait any more.
  void forget() noexcept {
    std::lock_guard lock(mutex_);
    timer_.reset();
    executor_ = {};
  }

 private:
  std::mutex mutex_;
  bool happened_ = false;
  asio::any_io_executor executor_;
  std::shared_ptr<asio::steady_timer> timer_;
};

}  // namespace sluice::sqlite
