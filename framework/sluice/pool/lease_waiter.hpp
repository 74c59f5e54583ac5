// A caller of acquire() that waits. It lives in the coroutine's own frame, so that waiting allocates nothing of its own.
#pragma once

#include <sluice/pool/shell.hpp>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <exception>
#include <optional>
#include <utility>

namespace sluice::pool {

struct LeaseWaiter final : Waiter {
  using Signature = void(std::exception_ptr, Lease);
  using Handler = asio::async_result<asio::use_awaitable_t<>, Signature>::handler_type;

  LeaseWaiter(PoolShell& s, TimePoint now, TimePoint until, std::uint32_t site) noexcept : shell(s) {
    since = now;
    deadline = until;
    call_site = site;
  }
  LeaseWaiter(const LeaseWaiter&) = delete;
  LeaseWaiter& operator=(const LeaseWaiter&) = delete;

  // Any kind of cancellation ends the wait: nothing has happened yet that could be half done.
  void arm(Handler&& h) {
    handler.emplace(std::move(h));
    if (auto slot = asio::get_associated_cancellation_slot(*handler); slot.is_connected()) {
      slot.assign([this](asio::cancellation_type) { shell.core_.cancel(*this); });
    }
  }

  // REQUIRES: out of the queue. From here on a cancellation comes too late.
  Handler take_handler() {
    if (auto slot = asio::get_associated_cancellation_slot(*handler); slot.is_connected()) slot.clear();
    Handler taken = std::move(*handler);
    handler.reset();
    return taken;
  }

  // Posted, never inline. If the loop ends before the handler runs, the lease inside returns the connection.
  void complete(std::exception_ptr error, Lease lease) {
    Handler taken = take_handler();
    auto executor = asio::get_associated_executor(taken, shell.loop_.get_executor());
    asio::post(executor, [taken = std::move(taken), error = std::move(error), lease = std::move(lease)]() mutable {
      std::move(taken)(std::move(error), std::move(lease));
    });
  }

  PoolShell& shell;
  std::optional<Handler> handler;
};

}  // namespace sluice::pool
