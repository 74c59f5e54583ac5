#include <sluice/drivers/mysql/wire.hpp>

#include <sluice/core/descriptor.hpp>
#include <sluice/core/error.hpp>

#include <fcntl.h>
#include <mysql.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

namespace sluice::mysql {

Wire::Wire(const asio::any_io_executor& executor, MYSQL* connection)
    : connection_(connection), watched_(executor), tls_(mysql_get_ssl_cipher(connection) != nullptr) {
  const int socket = static_cast<int>(mysql_get_socket(connection_));
  ::fcntl(socket, F_SETFD, FD_CLOEXEC);
  set_nonblocking(socket, true);  // without it the TLS layer blocks inside a suspended call
  watched_.watch(duplicate(socket));
}

Wire::~Wire() {
  if (!connection_) return;
  shut_down();
  mysql_close(connection_);
  ::ERR_clear_error();
}

void Wire::hold_back(bool on) noexcept {
  const int value = on ? 1 : 0;
  ::setsockopt(watched_.native(), IPPROTO_TCP, TCP_CORK, &value, sizeof value);  // a Unix socket has none, and sends at once
}

void Wire::shut_down() noexcept {
  if (watched_.is_open()) ::shutdown(watched_.native(), SHUT_RDWR);
}

awaitable<Wake> Wire::wait(int status, Deadline deadline) {
  return watched_.wait((status & MYSQL_WAIT_READ) != 0, (status & MYSQL_WAIT_WRITE) != 0, deadline);
}

awaitable<bool> Wire::farewell(Deadline deadline) {
  if (!connection_) co_return false;
  auto step = [this](int ready) { return ready ? mysql_close_cont(connection_, ready) : mysql_close_start(connection_); };
  {
    Call call(*this, step);
    while (!call.done()) {
      const Wake wake = co_await call.finish(deadline);
      if (wake != Wake::ready) break;
    }
  }
  connection_ = nullptr;
  const int socket = watched_.native();
  ::shutdown(socket, SHUT_WR);
  std::array<char, 4096> unread;
  for (;;) {
    const ssize_t n = ::recv(socket, unread.data(), unread.size(), MSG_DONTWAIT);
    if (n == 0) co_return true;
    if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) co_return false;
    if (deadline.passed(Clock::now())) co_return false;
    const Wake wake = co_await wait(MYSQL_WAIT_READ, deadline);
    if (wake == Wake::cancelled) co_return false;
  }
}

void Call::start() {
  if (wire_.busy_) throw Error("a call of the MySQL library started while another one was suspended");
  advance(0);
}

// Under TLS the library asks OpenSSL what became of a call by the thread's queue of errors, where another connection's may still lie.
void Call::advance(int ready) {
  if (wire_.tls_) ::ERR_clear_error();
  status_ = step_(state_, ready);
  wire_.busy_ = status_ != 0;
}

awaitable<Wake> Call::wait(Deadline deadline) { return wire_.wait(status_, deadline); }

void Call::go_on() { advance(status_ & (MYSQL_WAIT_READ | MYSQL_WAIT_WRITE)); }

awaitable<Wake> Call::finish(Deadline deadline) {
  while (status_ != 0) {
    const Wake wake = co_await wait(deadline);
    if (wake != Wake::ready) co_return wake;
    go_on();
  }
  co_return Wake::ready;
}

void Call::abandon() noexcept {
  if (status_ == 0) return;
  wire_.shut_down();
  while (status_ != 0) go_on();
  ::ERR_clear_error();
}

}  // namespace sluice::mysql
