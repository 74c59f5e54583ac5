// One client's connection: reads requests, has them handled one after the other, writes the responses. It knows nothing of
// listening sockets. Deadlines are not timers of its own (no timer is set on the request path): the server calls
// check_deadline() every few milliseconds.
#pragma once

#include <sluice/core/asio.hpp>
#include <sluice/core/clock.hpp>
#include <sluice/core/gate.hpp>
#include <sluice/http/request_reader.hpp>
#include <sluice/http/server_state.hpp>

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <exception>
#include <memory>
#include <optional>
#include <string>

namespace sluice::http {

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Socket = asio::generic::stream_protocol::socket;

  Connection(std::shared_ptr<ServerState> server, Gate::Pass pass, Socket socket, std::string peer);
  ~Connection();

  // Serves until either side closes. By value: the coroutine keeps the connection alive.
  static awaitable<void> serve(std::shared_ptr<Connection> self);

  void check_deadline(TimePoint now);
  // The server drains: a connection that is idle has until `idle_deadline` to send a next request.
  void drain(TimePoint idle_deadline);
  // At once: cancels the handler and closes the socket.
  void abort();

 private:
  enum class Phase { idle, header, body, handling, writing, lingering };
  enum class Input { request, refused, closed };
  struct Departure;
  class Hold;
  struct Answered;
  struct Wait;
  using Waiting = asio::async_result<asio::use_awaitable_t<>, void()>::handler_type;

  void enter(Phase phase, TimePoint deadline);
  awaitable<Input> read_request();
  awaitable<bool> receive();
  awaitable<void> refuse();
  // False: the connection is over.
  awaitable<bool> exchange();
  awaitable<Response> answer();
  void begin_handling();
  awaitable<bool> write(const Response& response, bool with_body, bool close);
  awaitable<void> linger();
  bool last_response(const Response& response, TimePoint now) const;
  void leave() noexcept;
  // Resumes answer() if it waits. Soon: from the loop.
  void proceed();
  void proceed_soon();

  std::shared_ptr<ServerState> server_;
  Gate::Pass pass_;  // given back after everything below is gone, a handler that was left behind included
  Socket socket_;
  std::string peer_;
  RequestReader reader_;
  std::string head_;  // of the response being written
  Phase phase_ = Phase::idle;
  TimePoint deadline_ = TimePoint::max();
  bool expired_ = false;     // the deadline of this phase has passed
  bool timed_out_ = false;   // a request was given up
  bool with_body_ = true;    // the response to the request that is handled has one
  bool registered_ = true;   // the server counts this connection

  // The rendezvous with the handler, which runs as a coroutine of its own so that it can be left behind.
  std::optional<Waiting> waiting_;  // answer() does
  asio::cancellation_signal cancel_handler_;
  std::optional<Response> answer_;
};

}  // namespace sluice::http
