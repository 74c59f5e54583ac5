#include <sluice/drivers/postgres/wire.hpp>

#include <sluice/core/offload.hpp>
#include <sluice/core/text.hpp>

#include <libpq-fe.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace sluice::postgres {
namespace {

constexpr std::size_t largest_step = 1 << 30;  // lengths of TLS are int

}  // namespace

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

std::optional<std::size_t> Wire::send(std::string_view bytes) noexcept {
  if (auto* const tls = static_cast<SSL*>(PQgetssl(connection_))) {
    ::ERR_clear_error();
    const int n = ::SSL_write(tls, bytes.data(), static_cast<int>(std::min<std::size_t>(bytes.size(), largest_step)));
    if (n > 0) return static_cast<std::size_t>(n);
    const int why = ::SSL_get_error(tls, n);
    if (why == SSL_ERROR_WANT_WRITE || why == SSL_ERROR_WANT_READ) return std::nullopt;
    return bytes.size();
  }
  for (;;) {
    const ssize_t n = ::send(PQsocket(connection_), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return std::nullopt;
    return bytes.size();
  }
}

std::optional<std::size_t> Wire::receive(std::span<char> room) {
  constexpr const char* closed = "server closed the connection unexpectedly";
  if (auto* const tls = static_cast<SSL*>(PQgetssl(connection_))) {
    ::ERR_clear_error();
    errno = 0;
    const int n = ::SSL_read(tls, room.data(), static_cast<int>(std::min<std::size_t>(room.size(), largest_step)));
    if (n > 0) return static_cast<std::size_t>(n);
    const int why = ::SSL_get_error(tls, n);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return std::nullopt;
    if (why == SSL_ERROR_ZERO_RETURN) throw ConnectionGone(closed);
    if (why == SSL_ERROR_SYSCALL) throw ConnectionGone(errno != 0 ? std::strerror(errno) : closed);
    std::array<char, 256> reason{};
    ::ERR_error_string_n(::ERR_get_error(), reason.data(), reason.size());
    throw ConnectionGone(text("TLS: ", reason.data()));
  }
  for (;;) {
    const ssize_t n = ::recv(PQsocket(connection_), room.data(), room.size(), 0);
    if (n > 0) return static_cast<std::size_t>(n);
    if (n == 0) throw ConnectionGone(closed);
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return std::nullopt;
    throw ConnectionGone(std::strerror(errno));
  }
}

bool Wire::has_more() const noexcept {
  const auto* const tls = static_cast<const SSL*>(PQgetssl(connection_));
  return tls && ::SSL_pending(tls) > 0;
}

awaitable<bool> Wire::farewell(Deadline deadline) {
  const bool through = connected();
  // TLS: the server's process ends at our goodbye and would leave our close_notify unread, which turns its end of stream into a reset.
  if (auto* tls = static_cast<SSL*>(PQgetssl(connection_))) ::SSL_set_quiet_shutdown(tls, 1);
  const bool reset = ended_by_server_ && was_reset();
  if (ended_by_server_) ::shutdown(PQsocket(connection_), SHUT_WR);  // before libpq's goodbye, which then goes nowhere
  PQfinish(std::exchange(connection_, nullptr));
  if (!through) {
    watched_.close();
    co_return !lost_track_;
  }
  const int socket = watched_.native();
  if (ended_by_server_ ? reset : was_reset()) co_return false;  // two orderly ends look like a reset, too
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
