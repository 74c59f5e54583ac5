// Code of the user at the turning points of a connection's life, once per pool. Called on the pool's loop; must not block it.
//
// Any of them may throw. No connection and no permit is lost by that: the connection is closed (before_connect: not opened), the
// event hook_failed is told and the error reaches whom it concerns:
//   before_connect, after_connect   the connect has failed: retried with backoff, and the cause that waiters are told
//   before_lease                    the caller of acquire() gets a PoolError of phase hook
//   after_return, before_close      nobody waits for them: the event and a line in the log
#pragma once

#include <sluice/core/asio.hpp>
#include <sluice/core/clock.hpp>
#include <sluice/pool/connection.hpp>

#include <functional>

namespace sluice::pool {

struct Hooks {
  std::function<void()> before_connect;
  // Prepares a new connection, e.g. with `SET …`; has until the deadline of the connect.
  std::function<awaitable<void>(Connection&, Deadline)> after_connect;
  // Each time before somebody gets the connection. Shared leases: for each request.
  std::function<void(Connection&)> before_lease;
  // Each time after it came back, before the pool looks at it: setting `dirty` makes the pool reset it.
  std::function<void(Connection&)> after_return;
  // Before it is closed, for whatever reason. Not called when the loop ends first.
  std::function<void(Connection&)> before_close;
};

}  // namespace sluice::pool
