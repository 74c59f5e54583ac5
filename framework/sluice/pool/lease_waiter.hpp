// A caller of acquire() that waits. It is what use_awaitable initiates, and so lives in the frame of that wait: waiting
// allocates nothing beside the frame. Each of its words is there as many times as callers wait.
#pragma once

#include <sluice/core/task.hpp>
#include <sluice/pool/shell.hpp>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <exception>
#include <memory>
#include <utility>
#include <vector>

namespace sluice::pool {

// What acquire_many() waits for: in the frame that waits for this one.
struct SeveralLeases : Several {
  std::vector<Lease> leases;
};

struct LeaseWaiter final : Waiter {
  using Signature = void(std::exception_ptr, Lease);
  using Handler = asio::async_result<asio::use_awaitable_t<>, Signature>::handler_type;

  LeaseWaiter(PoolShell& s, TimePoint now, TimePoint until, std::uint32_t site, Priority wish) noexcept : shell(&s) {
    intrusive_ptr_add_ref(shell);
    since = now;
    deadline = until;
    task = current_task();
    call_site = static_cast<std::uint8_t>(site);
    priority = wish;
  }
  // Until it is initiated.
  LeaseWaiter(LeaseWaiter&& other) noexcept : Waiter(std::move(other)), shell(std::exchange(other.shell, nullptr)) {}
  ~LeaseWaiter() {
    if (shell) intrusive_ptr_release(shell);
  }

  // The wait begins: from the queue on it stays where it is.
  void operator()(Handler&& h) && {
    std::construct_at(&handler, std::move(h));
    // Any kind of cancellation ends the wait: nothing has happened yet that could be half done.
    if (auto slot = asio::get_associated_cancellation_slot(handler); slot.is_connected())
      slot.assign([this](asio::cancellation_type) { shell->core_.cancel(*this, Clock::now()); });
    shell->begin_wait(*this);
  }

  // From here on a cancellation comes too late.
  void disarm() noexcept {
    if (auto slot = asio::get_associated_cancellation_slot(handler); slot.is_connected()) slot.clear();
  }
  // REQUIRES: it has left the queue. Whatever becomes of the handler ends this object.
  Handler take_handler() noexcept {
    Handler taken = std::move(handler);
    std::destroy_at(&handler);
    return taken;
  }
  // REQUIRES: it was served. What wants several finds them in `several`.
  Lease take_lease() noexcept {
    if (several) return Lease();
    PoolEntry* mine = entry;
    shell = nullptr;  // its count goes with the lease
    return Lease::adopt(mine, shared ? Clock::now() : TimePoint{});
  }

  union {
    PoolShell* shell;  // that it waits for, counted
    PoolEntry* entry;  // … or what it waited for, if that is one connection: of the same shell
  };
  union {
    Handler handler;  // from its initiation until it is taken
  };
};

}  // namespace sluice::pool
