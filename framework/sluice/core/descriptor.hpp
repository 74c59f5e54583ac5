// RAII for a file descriptor, and the few descriptor operations that the framework needs. Every descriptor made here is
// close-on-exec. Functions throw std::system_error naming the call.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

namespace sluice {

class Descriptor {
 public:
  Descriptor() noexcept = default;
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Descriptor() { reset(); }

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  int release() noexcept { return std::exchange(fd_, -1); }
  void reset() noexcept;

 private:
  int fd_ = -1;
};

// A duplicate with close-on-exec (F_DUPFD_CLOEXEC).
Descriptor duplicate(int fd);

// A connected pair of SOCK_SEQPACKET sockets, non-blocking: message boundaries are kept, end of stream shows the peer's death.
std::pair<Descriptor, Descriptor> message_socket_pair();

void set_nonblocking(int fd, bool on);

// Throws std::system_error with errno and `what`.
[[noreturn]] void throw_errno(const std::string& what);

}  // namespace sluice
