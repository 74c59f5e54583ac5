// An HTTP/1.1 server on inherited listening sockets: keep-alive, limits, deadlines, graceful drain. One loop's own.
#pragma once

#include <sluice/core/asio.hpp>
#include <sluice/core/clock.hpp>
#include <sluice/core/descriptor.hpp>
#include <sluice/http/message.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace sluice::http {

struct Limits {
  std::uint64_t max_body = 1 << 20;  // bytes; larger: 413 and the connection is closed
  std::uint32_t max_header = 16 << 10;
  std::uint32_t max_connections = 10000;
  Duration header_timeout = 10s;   // from the first byte of a request
  Duration body_timeout = 30s;
  Duration request_timeout = 30s;  // handler; past it 503. 0: none
  Duration keep_alive_timeout = 75s;
  Duration drain_idle = 1s;
};

// Deadlines are kept to within 100 ms (an eighth of the shortest limit, if that is less).

// Numbers of one server; the callbacks are called inline on the loop.
struct Observer {
  std::function<void(unsigned status, std::int64_t nanos)> finished;  // a response was written
  std::function<void(int delta)> in_flight;                             // +1 / -1
  std::function<void(int delta)> connections;                           // +1 / -1
};

struct ServerState;

// Destroy it before its loop. Destruction closes every connection at once.
class Server {
 public:
  // Malformed requests get 400 (413, 431, 408, …) and a closed connection; nothing else is disturbed.
  Server(asio::io_context& loop, std::function<awaitable<Response>(Request)> handler, Limits limits, Observer observer = {});
  ~Server();
  Server(Server&&) noexcept;

  // Accepts on a duplicate of this listening socket (TCP or Unix) until drained. May be called for several.
  void listen(int listening_socket);
  // Stops accepting; every connection answers its current or next request with "Connection: close"; idle ones are closed
  // after `drain_idle`. True: all are gone by the deadline; what is left is closed then.
  awaitable<bool> drain(Deadline deadline);
  std::size_t connections() const noexcept;

 private:
  using State = ServerState;
  std::shared_ptr<State> state_;
};

// Binds and listens on "host:port", "[v6]:port", ":port" or "unix:/path"; non-blocking, close-on-exec, SO_REUSEADDR. A stale Unix
// socket file is replaced only if nobody answers on it. `mode` is the file mode of a Unix socket. Throws ExitError naming
// `option`, the address, the cause and the remedy: `config` for a malformed address, else `unavailable`.
Descriptor bind_listener(const std::string& address, const std::string& option, unsigned mode = 0600);
// What is bound, for display: "127.0.0.1:8080".
std::string local_address(int listening_socket);

}  // namespace sluice::http
