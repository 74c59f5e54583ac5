// Runs a blocking function (name resolution, PQcancel) on a detachable thread of its own, so that it never blocks a loop
// and never holds up another caller. The awaiting coroutine resumes on its own executor with the result or the exception.
// Past the deadline it throws TimedOut at once and the thread is left to end by itself; what it produced is destroyed there.
//
// The function must own everything it uses (it may outlive the caller), and must not touch the event loop.
// g++ 12: name the function object before the co_await and move it in:  auto f = [host] {…}; co_await offload(std::move(f), d);
#pragma once

#include <sluice/core/asio.hpp>
#include <sluice/core/clock.hpp>
#include <sluice/core/error.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>

namespace sluice {

template <class F>
awaitable<std::invoke_result_t<F&>> offload(F function, Deadline deadline) {
  using Result = std::invoke_result_t<F&>;
  struct Nothing {};
  using Stored = std::conditional_t<std::is_void_v<Result>, Nothing, Result>;
  // The timer belongs to the loop: the thread only posts to the loop while the waiter is still there (`abandoned` under the mutex).
  struct State {
    std::mutex mutex;
    bool abandoned = false;
    std::shared_ptr<asio::steady_timer> done;
    std::optional<Stored> value;
    std::exception_ptr error;
  };
  auto executor = co_await asio::this_coro::executor;
  auto state = std::make_shared<State>();
  state->done = std::make_shared<asio::steady_timer>(executor, TimePoint::max());
  if (!deadline.is_never()) state->done->expires_at(deadline.at);

  std::thread thread([state, executor, function = std::move(function)]() mutable {
    std::optional<Stored> value;
    std::exception_ptr error;
    try {
      if constexpr (std::is_void_v<Result>) {
        function();
        value.emplace();
      } else {
        value.emplace(function());
      }
    } catch (...) {
      error = std::current_exception();
    }
    std::lock_guard lock(state->mutex);
    if (state->abandoned) return;
    state->value = std::move(value);
    state->error = std::move(error);
    asio::post(executor, [timer = state->done] { timer->expires_at(TimePoint::min()); });
  });
  thread.detach();

  struct Abandon {
    std::shared_ptr<State> state;
    explicit Abandon(std::shared_ptr<State> s) : state(std::move(s)) {}
    ~Abandon() {
      std::lock_guard lock(state->mutex);
      state->abandoned = true;
      state->done.reset();  // here, on the loop: the thread may outlive it
    }
  } abandon(state);

  error_code ignored;
  co_await state->done->async_wait(asio::redirect_error(use_awaitable, ignored));
  std::lock_guard lock(state->mutex);
  // Moved out: the thread must not be the one that destroys what the caller's handler looks at.
  if (state->error) std::rethrow_exception(std::exchange(state->error, nullptr));
  if (!state->value) throw TimedOut("a blocking call did not end before its deadline");
  if constexpr (!std::is_void_v<Result>) co_return std::move(*state->value);
}

}  // namespace sluice
