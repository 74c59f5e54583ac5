// What a resource must know to be pooled: connect, ping and close; the rest has defaults. Everything else (waiting, timeouts,
// ageing, validation, events, statistics) is the pool's. One object per pool, used on the pool's loop only; no call may block the
// loop. A call that is past its deadline is cancelled, so plain Asio operations need no timer. docs/guides/own-resource.md builds one.
#pragma once

#include <sluice/core/asio.hpp>
#include <sluice/core/clock.hpp>
#include <sluice/core/error.hpp>
#include <sluice/pool/connection.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace sluice::pool {

// Thrown by connect(). `released`: the server is proven to hold nothing of the attempt (refused, or confirmed closed).
class ConnectFailed : public Error {
 public:
  ConnectFailed(const std::string& cause, bool released, bool permanent = false)
      : Error(cause), released_(released), permanent_(permanent) {}
  bool released() const noexcept { return released_; }
  // Will not get better by itself (wrong password, unknown database); retried all the same, but shown as such.
  bool permanent() const noexcept { return permanent_; }

 private:
  bool released_;
  bool permanent_;
};

class Connector {
 public:
  virtual ~Connector() = default;

  // Connects or throws ConnectFailed. Gives up by `deadline`, plus the pool's close_timeout to make sure that the server let go.
  virtual awaitable<std::unique_ptr<Connection>> connect(Deadline deadline) = 0;
  // Is it alive? Throws if not.
  virtual awaitable<void> ping(Connection& connection, Deadline deadline) = 0;
  // Makes it as new (no transaction, no session state). Throws if that fails: the connection is closed. Not needed where a
  // connection has no state that outlives a lease.
  virtual awaitable<void> reset(Connection&, Deadline) { co_return; }
  // Ends it, first cancelling on the server what still runs, and waits for the proof. Never throws.
  virtual awaitable<CloseResult> close(std::unique_ptr<Connection> connection, Deadline deadline) noexcept = 0;

  // How many connections one worker should hold at most where neither `max` nor the limit is smaller; 0: no opinion.
  virtual std::uint32_t default_max() const noexcept { return 0; }
  // How many requests one connection carries at once (shared leases).
  virtual std::uint32_t max_requests_per_connection() const noexcept { return 1; }
  // The connection will not be used again, but somebody holds it: what runs on it should fail soon (shut its socket down). The
  // close comes later, when the holder lets go. Must not wait and must not complete anything inside the call.
  virtual void interrupt(Connection&) noexcept {}
  // May it be taken away from somebody who has held it for too long (leak.reclaim)? True only if nothing runs on it and whoever
  // still refers to it goes through the lease.
  virtual bool may_reclaim(const Connection&) const noexcept { return false; }
};

}  // namespace sluice::pool
