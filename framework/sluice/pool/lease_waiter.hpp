// A caller of acquire() that waits. It is what use_awaitable initiates, and so lives in the frame of that wait: waiting
// allocates nothing beside the frame.
#pragma once

#include <sluice/core/task.hpp>
#include <sluice/pool/shell.hpp>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/dispatch.hpp>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

namespace sluice::pool {

struct LeaseWaiter final : Waiter {
  using Signature = void(std::exception_ptr, Lease);
  using Handler = asio::async_result<asio::use_awaitable_t<>, Signature>::handler_type;

  LeaseWaiter(PoolShell& s, TimePoint now, TimePoint until, std::uint32_t site, Priority wish) noexcept : shell(&s) {
    since = now;
    deadline = until;
    call_site = site;
    priority = wish;
    task = current_task();
  }
  LeaseWaiter(LeaseWaiter&&) noexcept = default;  // until it is initiated

  // The wait begins: from the queue on it stays where it is.
  void operator()(Handler&& h) && {
    handler.emplace(std::move(h));
    // Any kind of cancellation ends the wait: nothing has happened yet that could be half done.
    if (auto slot = asio::get_associated_cancellation_slot(*handler); slot.is_connected())
      slot.assign([this](asio::cancellation_type) { shell->core_.cancel(*this, Clock::now()); });
    shell->begin_wait(*this);
  }

  // From here on a cancellation comes too late.
  void disarm() noexcept {
    if (auto slot = asio::get_associated_cancellation_slot(*handler); slot.is_connected()) slot.clear();
  }

  // REQUIRES: answered, and in no list any more. Runs the waiting coroutine, which ends this object.
  void resume() {
    Handler taken = take_handler();
    std::exception_ptr failed = std::move(error);
    Lease lease = take_lease();
    const asio::any_io_executor executor = taken.get_executor();
    const auto* own = executor.target<asio::io_context::executor_type>();
    if (own && *own == shell->loop_.get_executor()) return std::move(taken)(std::move(failed), std::move(lease));
    asio::dispatch(executor, [taken = std::move(taken), failed = std::move(failed), lease = std::move(lease)]() mutable {
      std::move(taken)(std::move(failed), std::move(lease));
    });
  }

  // The loop is gone: ends the waiting coroutine, which ends this object, and gives back what it was to get.
  void drop() {
    const Lease lease = take_lease();
    const Handler taken = take_handler();
  }

  Handler take_handler() {
    Handler taken = std::move(*handler);
    handler.reset();
    return taken;
  }
  Lease take_lease() noexcept {
    if (!entry) return Lease();
    PoolEntry& mine = *std::exchange(entry, nullptr);
    return Lease(&mine, shared ? Clock::now() : TimePoint{});
  }

  ShellRef shell;
  std::optional<Handler> handler;
  PoolEntry* entry = nullptr;  // the answer
  std::exception_ptr error;    // … or why there is none
  std::vector<Lease>* leases = nullptr;  // … or where they go, if it wants several: in the frame that waits for this one
};

}  // namespace sluice::pool
