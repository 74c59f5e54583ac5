#include <sluice/drivers/postgres/wire.hpp>

#include <sluice/core/offload.hpp>

#include <libpq-fe.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace sluice::postgres {

Wire::Wire(const asio::any_io_executor& executor, PGconn* connection) : connection_(connection), watched_(executor) {}

Wire::~Wire() {
  if (connection_) PQfinish(connection_);
}

bool Wire::follow() {
  const int socket = PQsocket(connection_);
  if (socket < 0) return false;
  struct stat status = {};
  if (::fstat(socket, &status) != 0) throw_errno("fstat");
  if (watched_.is_open() && socket_id_ == status.st_ino) return true;
  if (watched_.is_open() && ever_connected_) lost_track_ = true;
  watched_.watch(duplicate(socket));
  socket_id_ = status.st_ino;
  return true;
}

bool Wire::connected() {
  sockaddr_storage peer = {};
  socklen_t size = sizeof peer;
  if (watched_.is_open() && ::getpeername(watched_.native(), reinterpret_cast<sockaddr*>(&peer), &size) == 0) ever_connected_ = true;
  return ever_connected_;
}

// A reset that libpq met first is not seen again by read(), which then returns 0 like an orderly end.
bool Wire::was_reset() const noexcept {
  tcp_info info = {};
  socklen_t size = sizeof info;
  const int socket = watched_.native();
  return ::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && info.tcpi_state == TCP_CLOSE;
}

awaitable<bool> Wire::farewell(Deadline deadline) {
  const bool through = connected();
  // TLS: the server's process ends at our goodbye and would leave our close_notify unread, which turns its end of stream into a reset.
  if (auto* tls = static_cast<SSL*>(PQgetssl(connection_))) ::SSL_set_quiet_shutdown(tls, 1);
  PQfinish(std::exchange(connection_, nullptr));
  if (!through) {
    watched_.close();
    co_return !lost_track_;
  }
  const int socket = watched_.native();
  if (was_reset()) co_return false;
  ::shutdown(socket, SHUT_WR);
  // What the server still had to say is drained, one buffer per turn of the loop.
  auto buffer = std::make_unique<std::array<char, 65536>>();
  for (;;) {
    const ssize_t n = ::recv(socket, buffer->data(), buffer->size(), MSG_DONTWAIT);
    if (n == 0) co_return !lost_track_;
    if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) co_return false;
    if (deadline.passed(Clock::now())) co_return false;
    co_await wait(true, false, deadline);
  }
}

awaitable<bool> cancel_on_server(PGconn* connection, Deadline deadline) {
  const std::shared_ptr<PGcancel> handle(PQgetCancel(connection), PQfreeCancel);
  if (!handle) co_return false;
  auto ask = [handle] {
    // libpq writes to a socket of its own here; a server that is gone must not end the process.
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    std::array<char, 256> error;
    return PQcancel(handle.get(), error.data(), static_cast<int>(error.size())) == 1;
  };
  bool asked = false;
  try {
    asked = co_await offload(std::move(ask), deadline);
  } catch (const std::exception&) {
    asked = false;
  }
  co_return asked;
}

}  // namespace sluice::postgres
