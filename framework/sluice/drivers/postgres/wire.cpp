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
#include <boost/asio/error.hpp>

#include <array>
#include <cerrno>
#include <utility>

namespace sluice::postgres {

// One timer per wire is what waits; handlers of the socket and the deadline both end it. Shared with handlers that may
// still be queued when the wire is gone.
struct Wire::Signal {
  explicit Signal(const asio::any_io_executor& executor) : timer(executor) {}
  asio::steady_timer timer;
  bool ready = false;
};

Wire::Wire(const asio::any_io_executor& executor, PGconn* connection)
    : connection_(connection), watched_(executor), signal_(std::make_shared<Signal>(executor)) {}

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
  Descriptor copy = duplicate(socket);
  error_code ignored;
  watched_.close(ignored);
  watched_.assign(copy.get());
  copy.release();
  socket_id_ = status.st_ino;
  return true;
}

bool Wire::connected() {
  sockaddr_storage peer = {};
  socklen_t size = sizeof peer;
  if (watched_.is_open() && ::getpeername(watched_.native_handle(), reinterpret_cast<sockaddr*>(&peer), &size) == 0) ever_connected_ = true;
  return ever_connected_;
}

awaitable<Wake> Wire::wait(bool read, bool write, Deadline deadline) {
  const std::shared_ptr<Signal> signal = signal_;
  signal->ready = false;
  if (!write && writes_watched_) stop_watching_writes();
  writes_watched_ = write || writes_watched_;
  signal->timer.expires_at(deadline.at);
  const auto wake = [signal](const error_code& error) {
    if (error == asio::error::operation_aborted) return;
    signal->ready = true;
    signal->timer.cancel();
  };
  if (read) watched_.async_wait(asio::posix::descriptor_base::wait_read, wake);
  if (write) watched_.async_wait(asio::posix::descriptor_base::wait_write, wake);
  error_code ignored;
  co_await signal->timer.async_wait(asio::redirect_error(use_awaitable, ignored));
  if (!signal->ready || (read && write)) watched_.cancel(ignored);
  const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none) co_return Wake::cancelled;
  if (!signal->ready && deadline.passed(Clock::now())) co_return Wake::expired;
  co_return Wake::ready;
}

// Once asked for, the reactor has writability in its set for good, and every later wait for an answer would wake for it first.
void Wire::stop_watching_writes() {
  Descriptor socket(watched_.release());
  watched_.assign(socket.get());
  socket.release();
  writes_watched_ = false;
}

void Wire::wake() noexcept { signal_->timer.cancel(); }

// A reset that libpq met first is not seen again by read(), which then returns 0 like an orderly end.
bool Wire::was_reset() const noexcept {
  tcp_info info = {};
  socklen_t size = sizeof info;
  const int socket = const_cast<Wire*>(this)->watched_.native_handle();
  return ::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && info.tcpi_state == TCP_CLOSE;
}

awaitable<bool> Wire::farewell(Deadline deadline) {
  const bool through = connected();
  // TLS: the server's process ends at our goodbye and would leave our close_notify unread, which turns its end of stream into a reset.
  if (auto* tls = static_cast<SSL*>(PQgetssl(connection_))) ::SSL_set_quiet_shutdown(tls, 1);
  PQfinish(std::exchange(connection_, nullptr));
  if (!through) {
    error_code ignored;
    watched_.close(ignored);
    co_return !lost_track_;
  }
  const int socket = watched_.native_handle();
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
