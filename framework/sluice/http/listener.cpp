#include <sluice/http/address.hpp>
#include <sluice/http/server.hpp>

#include <sluice/core/text.hpp>

#include <cerrno>
#include <cstring>
#include <memory>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace sluice::http {
namespace {

struct Naming {
  const std::string& address;
  const std::string& option;
};

[[noreturn]] void refuse(const Naming& naming, std::string_view cause, std::string_view remedy) {
  throw ExitError(ExitCode::unavailable, text(naming.option, ": cannot listen on ", naming.address, ": ", cause, "; ", remedy));
}

[[noreturn]] void refuse_errno(const Naming& naming, int error) {
  const std::string other = text("choose another address with --", naming.option);
  switch (error) {
    case EADDRINUSE: refuse(naming, "the address is in use", text("stop the program that listens there, or ", other));
    case EACCES: refuse(naming, "permission denied", text("ports below 1024 and foreign directories need privileges; ", other));
    case EADDRNOTAVAIL: refuse(naming, "this machine has no such address", other);
    case ENOENT: refuse(naming, "the directory does not exist", "create it, or " + other);
    default: refuse(naming, std::strerror(error), other);
  }
}

sockaddr_un unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);  // parse_address() has checked its length
  return address;
}

// Removes the file of a socket on which nobody answers. False: somebody does.
bool remove_stale_socket(const sockaddr_un& address) {
  const Descriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) throw_errno("socket");
  if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 || errno == EAGAIN) return false;
  if (errno == ECONNREFUSED) ::unlink(address.sun_path);
  return true;
}

Descriptor bind_unix(const Address& where, const Naming& naming, unsigned mode) {
  const sockaddr_un address = unix_address(where.host);
  struct stat found {};
  if (::lstat(address.sun_path, &found) == 0) {
    if (!S_ISSOCK(found.st_mode)) refuse(naming, "a file that is no socket has this name", "remove it or choose another path");
    if (!remove_stale_socket(address)) refuse_errno(naming, EADDRINUSE);
  }
  Descriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) throw_errno("socket");
  ::fchmod(fd.get(), mode);  // Linux gives it to the file that bind() makes: never wider, not for a moment
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) refuse_errno(naming, errno);
  ::chmod(address.sun_path, mode);  // what the umask took away
  return fd;
}

Descriptor bind_tcp(const Address& where, const Naming& naming) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* raw = nullptr;
  const int failed = ::getaddrinfo(where.host.empty() ? nullptr : where.host.c_str(), where.port.c_str(), &hints, &raw);
  if (failed) refuse(naming, ::gai_strerror(failed), text("name an address of this machine with --", naming.option));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> found(raw, ::freeaddrinfo);
  int first_error = 0;
  for (const addrinfo* one = raw; one; one = one->ai_next) {
    Descriptor fd(::socket(one->ai_family, one->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, one->ai_protocol));
    const int on = 1;
    if (fd && ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 && ::bind(fd.get(), one->ai_addr, one->ai_addrlen) == 0)
      return fd;
    if (!first_error) first_error = errno;
  }
  refuse_errno(naming, first_error);
}

}  // namespace

Descriptor bind_listener(const std::string& address, const std::string& option, unsigned mode) {
  const auto where = parse_address(address);
  if (!where) {
    throw ExitError(ExitCode::config, text(option, ": \"", address, "\" is no address to listen on; write host:port, [v6 address]:port, :port or unix:/path",
                                           " (at most ", sizeof(sockaddr_un::sun_path) - 1, " bytes)"));
  }
  const Naming naming{address, option};
  Descriptor fd = where->is_unix ? bind_unix(*where, naming, mode) : bind_tcp(*where, naming);
  if (::listen(fd.get(), SOMAXCONN) != 0) refuse_errno(naming, errno);  // EADDRINUSE: two bound with SO_REUSEADDR, one listens
  return fd;
}

std::string local_address(int listening_socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(listening_socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) throw_errno("getsockname");
  return display(address, size);
}

}  // namespace sluice::http
