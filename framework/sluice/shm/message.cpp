#include <sluice/shm/message.hpp>

#include <sys/socket.h>

#include <cerrno>

namespace sluice::shm {

bool send(int socket, const Message& message) noexcept {
  ssize_t n;
  do {
    n = ::send(socket, &message, sizeof message, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  return n == static_cast<ssize_t>(sizeof message);
}

Received receive(int socket, Message& message) noexcept {
  ssize_t n;
  do {
    n = ::recv(socket, &message, sizeof message, MSG_DONTWAIT | MSG_TRUNC);
  } while (n < 0 && errno == EINTR);
  if (n == 0) return Received::closed;
  if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? Received::none : Received::closed;
  if (n != static_cast<ssize_t>(sizeof message)) return Received::malformed;
  message.text[sizeof message.text - 1] = 0;
  return Received::message;
}

}  // namespace sluice::shm
