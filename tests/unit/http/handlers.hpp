// Handlers for the tests of the server.
#pragma once

#include <sluice/core/asio.hpp>
#include <sluice/core/clock.hpp>
#include <sluice/http/message.hpp>

#include <atomic>
#include <boost/asio/cancellation_state.hpp>
#include <memory>
#include <set>

namespace sluice::http::testing {

// Answers with what came.
inline awaitable<Response> echo(Request request) { co_return Response::text(request.method + " " + request.target + " " + request.body); }

// Handlers wait at it until it is opened; it counts those that came, were cancelled while waiting, and went.
struct Barrier {
  std::set<asio::steady_timer*> waiting;  // each lives in its handler, and so no longer than the loop
  bool opened = false;
  bool stubborn = false;  // handlers ignore cancellation
  std::atomic<int> entered{0}, cancelled{0}, left{0};

  void open() {  // on the loop
    opened = true;
    for (asio::steady_timer* timer : waiting) timer->cancel();
  }
};

inline awaitable<Response> wait_at(std::shared_ptr<Barrier> barrier) {
  auto executor = co_await asio::this_coro::executor;
  if (barrier->stubborn) co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  asio::steady_timer timer(executor, TimePoint::max());
  struct Stay {
    Stay(Barrier& b, asio::steady_timer& t) : barrier(b), timer(t) {
      barrier.waiting.insert(&timer);
      ++barrier.entered;
    }
    Stay(const Stay&) = delete;
    ~Stay() {
      barrier.waiting.erase(&timer);
      ++barrier.left;
    }
    Barrier& barrier;
    asio::steady_timer& timer;
  } stay(*barrier, timer);
  error_code error;
  if (!barrier->opened) co_await timer.async_wait(asio::redirect_error(use_awaitable, error));
  const auto state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none) ++barrier->cancelled;
  co_return Response::text("through");
}

}  // namespace sluice::http::testing
