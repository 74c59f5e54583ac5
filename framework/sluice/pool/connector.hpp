// What a resource must know to be pooled. Everything else (waiting, timeouts, ageing, validation, events, statistics) is
// the pool's. One object per pool, used on the pool's loop only; no call may block the loop.
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
  // Makes it as new (no transaction, no session state). Throws if that fails: the connection is closed.
  virtual awaitable<void> reset(Connection& connection, Deadline deadline) = 0;
  // Ends it, first cancelling on the server what still runs, and waits for the proof. Never throws.
  virtual awaitable<CloseResult> close(std::unique_ptr<Connection> connection, Deadline deadline) noexcept = 0;

  // How many connections one worker should hold at most where neither `max` nor the limit is smaller; 0: no opinion.
  virtual std::uint32_t default_max() const noexcept { return 0; }
};

}  // namespace sluice::pool
