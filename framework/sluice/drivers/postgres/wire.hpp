// A PGconn and its socket on the event loop. One loop's own.
//
// libpq may replace its socket under the same descriptor number while it connects, and closes it by itself when a connection
// is lost. So the loop watches a *duplicate*, renewed by follow() whenever the socket has changed; the duplicate also outlives
// the PGconn and shows when the server has let go.
#pragma once

#include <sluice/core/error.hpp>
#include <sluice/core/watched_socket.hpp>

#include <optional>
#include <span>
#include <string_view>

struct pg_conn;

namespace sluice::postgres {

// The server has ended the connection, or it broke.
class ConnectionGone : public Error {
 public:
  using Error::Error;
};

class Wire {
 public:
  // Owns `connection`.
  Wire(const asio::any_io_executor& executor, pg_conn* connection);
  ~Wire();  // closes without waiting
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  pg_conn* get() const noexcept { return connection_; }

  // Watches the socket that libpq has now. Call after each step of a connect. False: libpq has none.
  bool follow();
  // The connect has gone through (not only started): the server may hold a session from now on.
  bool connected();

  // As WatchedSocket says.
  awaitable<Wake> wait(bool read, bool write, Deadline deadline) { return watched_.wait(read, write, deadline); }
  WatchedSocket::Readiness begin_wait(bool read, bool write, Deadline deadline) { return watched_.begin_wait(read, write, deadline); }
  Wake end_wait(const WatchedSocket::Woken& woken, const asio::cancellation_state& cancellation, Deadline deadline) noexcept {
    return watched_.end_wait(woken, cancellation, deadline);
  }
  void wake() noexcept { watched_.wake(); }

  // Past libpq, through its TLS where there is one. REQUIRES: libpq is in no exchange. Nothing: not now.
  std::optional<std::size_t> send(std::string_view bytes) noexcept;  // all of them, if the connection takes no more for ever
  std::optional<std::size_t> receive(std::span<char> room);          // throws ConnectionGone
  // The server has said that it ends the connection, or has ended it. A goodbye to it would turn its end of stream into a reset.
  void ended_by_server() noexcept { ended_by_server_ = true; }
  bool has_more() const noexcept;                                    // received and decrypted already, the socket will not tell of it

  // Says goodbye, frees the PGconn, and waits for the server's orderly end of stream. True: seen, so the server's process is
  // gone; or no connect ever went through. False: reset, error or deadline. Goes on even if the coroutine is cancelled
  // (REQUIRES: throw_if_cancelled is off).
  awaitable<bool> farewell(Deadline deadline);

 private:
  bool was_reset() const noexcept;

  pg_conn* connection_;
  WatchedSocket watched_;
  unsigned long socket_id_ = 0;  // inode of the watched socket
  bool ever_connected_ = false;
  bool ended_by_server_ = false;
  bool lost_track_ = false;  // a connected socket was replaced before its end was seen
};

// Asks the server to cancel what the connection runs, on a thread of its own. Returns when the server has passed the request
// on, so that it cannot hit a later statement. False: could not ask, or not by the deadline.
awaitable<bool> cancel_on_server(pg_conn* connection, Deadline deadline);

}  // namespace sluice::postgres
