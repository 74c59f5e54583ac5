#include <sluice/http/client.hpp>

#include <sluice/core/descriptor.hpp>
#include <sluice/core/text.hpp>
#include <sluice/http/address.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cerrno>
#include <cstring>
#include <memory>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

namespace sluice::http {
namespace {

namespace beast = boost::beast;

constexpr std::uint64_t max_response = 64 << 20;

class Exchange {
 public:
  Exchange(const std::string& address, Deadline deadline) : address_(address), deadline_(deadline) {}

  void connect() {
    auto where = parse_address(address_);
    if (!where) throw Error(text("\"", address_, "\" is no address; write host:port or unix:/path"));
    if (where->is_unix) return connect_unix(where->host);
    if (where->host.empty()) where->host = "localhost";
    connect_tcp(*where);
  }

  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent > 0) {
        bytes.remove_prefix(static_cast<std::size_t>(sent));
      } else if (errno == EAGAIN) {
        wait(POLLOUT);
      } else if (errno == EPIPE || errno == ECONNRESET) {
        return;  // the server has refused in the middle; its response may be there
      } else if (errno != EINTR) {
        throw Error(text("cannot send to ", address_, ": ", std::strerror(errno)));
      }
    }
  }

  Response receive(bool head_only) {
    beast::http::response_parser<beast::http::string_body> parser;
    parser.body_limit(max_response);
    parser.header_limit(64 << 10);
    parser.eager(true);
    parser.skip(head_only);
    beast::flat_buffer buffer;
    while (!parser.is_done()) {
      const std::size_t bytes = read_some(buffer);
      boost::system::error_code error;
      if (bytes == 0) {
        if (!parser.got_some()) throw Error(text(address_, " closed the connection without a response"));
        parser.put_eof(error);
      } else {
        buffer.consume(parser.put(buffer.data(), error));
        if (error == beast::http::error::need_more) error = {};
      }
      if (error) throw Error(text(address_, " does not speak HTTP: ", error.message()));
    }
    return convert(parser.get());
  }

 private:
  void connect_unix(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    const int error = try_connect(AF_UNIX, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    if (error) nobody(error);
  }

  void connect_tcp(const Address& where) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;
    addrinfo* raw = nullptr;
    const int failed = ::getaddrinfo(where.host.c_str(), where.port.c_str(), &hints, &raw);
    if (failed) throw ExitError(ExitCode::unavailable, text("cannot resolve ", where.host, ": ", ::gai_strerror(failed)));
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> found(raw, ::freeaddrinfo);
    int error = EHOSTUNREACH;
    for (const addrinfo* one = raw; one && error; one = one->ai_next) error = try_connect(one->ai_family, one->ai_addr, one->ai_addrlen);
    if (error) nobody(error);
  }

  int try_connect(int family, const sockaddr* address, socklen_t size) {
    socket_ = Descriptor(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket_) throw_errno("socket");
    if (::connect(socket_.get(), address, size) == 0) return 0;
    if (errno != EINPROGRESS) return errno;
    wait(POLLOUT);
    int error = 0;
    socklen_t length = sizeof error;
    ::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &length);
    return error;
  }

  [[noreturn]] void nobody(int error) const { throw ExitError(ExitCode::unavailable, text("nobody answers on ", address_, ": ", std::strerror(error))); }

  std::size_t read_some(beast::flat_buffer& buffer) {
    const auto room = buffer.prepare(16 << 10);
    for (;;) {
      const ssize_t bytes = ::recv(socket_.get(), room.data(), room.size(), 0);
      if (bytes >= 0) {
        buffer.commit(static_cast<std::size_t>(bytes));
        return static_cast<std::size_t>(bytes);
      }
      if (errno == EAGAIN) wait(POLLIN);
      else if (errno != EINTR) throw Error(text("cannot read from ", address_, ": ", std::strerror(errno)));
    }
  }

  void wait(short events) const {
    for (;;) {
      const TimePoint now = Clock::now();
      if (deadline_.passed(now)) throw TimedOut(text("no response from ", address_, " in time"));
      const auto millis = deadline_.is_never() ? -1 : static_cast<int>(to_millis(deadline_.remaining(now))) + 1;
      pollfd waiting{socket_.get(), events, 0};
      if (::poll(&waiting, 1, millis) > 0) return;
    }
  }

  static Response convert(beast::http::response<beast::http::string_body>& message) {
    Response response;
    response.status = message.result_int();
    for (const auto& field : message) {
      auto name = field.name_string();
      auto value = field.value();
      const auto [it, inserted] = response.headers.try_emplace(std::string(name.data(), name.size()), value.data(), value.size());
      if (!inserted) it->second.append(", ").append(value.data(), value.size());
    }
    response.body = std::move(message.body());
    return response;
  }

  const std::string& address_;
  Deadline deadline_;
  Descriptor socket_;
};

}  // namespace

Response fetch(const std::string& address, const std::string& method, const std::string& target, const std::string& body, Duration timeout,
               const Headers& headers) {
  std::string request = text(method, " ", target, " HTTP/1.1\r\n");
  if (!headers.contains("Host")) request += text("Host: ", address.starts_with("unix:") ? std::string("localhost") : address, "\r\n");
  for (const auto& [name, value] : headers) request += text(name, ": ", value, "\r\n");
  if (!body.empty() || method == "POST" || method == "PUT") request += text("Content-Length: ", body.size(), "\r\n");
  request += "Connection: close\r\n\r\n";
  request += body;

  Exchange exchange(address, Deadline::after(timeout));
  exchange.connect();
  exchange.send(request);
  return exchange.receive(method == "HEAD");
}

}  // namespace sluice::http
