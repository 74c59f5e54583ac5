#include <sluice/http/connection.hpp>

#include <sluice/core/log.hpp>
#include <sluice/core/resume.hpp>
#include <sluice/core/task.hpp>
#include <sluice/core/text.hpp>
#include <sluice/http/response_head.hpp>

#include <algorithm>
#include <array>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/system_error.hpp>

namespace sluice::http {
namespace {

constexpr Duration linger_time = 1s;
constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";

Response failure(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const HttpError& e) {
    return Response::error(e.status(), e.what(), e.field());
  } catch (const std::exception& e) {
    log::error(text("http: a handler failed: ", e.what()));
  } catch (...) {
    log::error("http: a handler failed with an exception of unknown type");
  }
  return Response::error(500, "internal error");
}

}  // namespace

// However serve() ends, even with its loop: the socket is closed and the server counts one less.
struct Connection::Departure {
  explicit Departure(Connection& c) noexcept : connection(c) {}
  Departure(const Departure&) = delete;
  ~Departure() {
    error_code ignored;
    connection.socket_.close(ignored);
    connection.leave();
  }
  Connection& connection;
};

// Whoever is to let answer() go on. If the loop drops it instead, it drops the connection's coroutine, too: that one holds itself.
class Connection::Hold {
 public:
  explicit Hold(std::shared_ptr<Connection> connection) noexcept : connection_(std::move(connection)) {}
  Hold(Hold&&) noexcept = default;
  Hold& operator=(Hold&&) = delete;
  ~Hold() {
    if (connection_) const std::optional<Waiting> dropped = std::exchange(connection_->waiting_, std::nullopt);
  }
  std::shared_ptr<Connection> take() noexcept { return std::move(connection_); }

 private:
  std::shared_ptr<Connection> connection_;
};

// Completion of the handler's coroutine.
struct Connection::Answered {
  Hold hold;

  void operator()(const std::exception_ptr& error, Response response) {
    const std::shared_ptr<Connection> connection = hold.take();
    if (connection->timed_out_ || !connection->socket_.is_open()) return connection->proceed_soon();  // it was left behind
    connection->answer_ = error ? failure(error) : std::move(response);
    connection->proceed();
  }
};

// What answer() awaits, until somebody lets it go on.
struct Connection::Wait {
  Connection* connection;
  void operator()(Waiting&& waiting) const { connection->waiting_.emplace(std::move(waiting)); }
};

void Connection::proceed() {
  if (!waiting_) return;
  Waiting waiting = std::move(*waiting_);
  waiting_.reset();
  resume(server_->loop, std::move(waiting));
}

void Connection::proceed_soon() {
  if (!waiting_) return;
  asio::post(server_->loop, [hold = Hold(shared_from_this())]() mutable { hold.take()->proceed(); });
}

Connection::Connection(std::shared_ptr<ServerState> server, Gate::Pass pass, Socket socket, std::string peer)
    : server_(std::move(server)),
      pass_(std::move(pass)),
      socket_(std::move(socket)),
      peer_(std::move(peer)),
      reader_(server_->limits.max_header, server_->limits.max_body) {
  server_->add(*this);
}

Connection::~Connection() { leave(); }

void Connection::leave() noexcept {
  if (std::exchange(registered_, false)) server_->remove(*this);
}

void Connection::enter(Phase phase, TimePoint deadline) {
  phase_ = phase;
  deadline_ = deadline;
  expired_ = false;
}

void Connection::check_deadline(TimePoint now) {
  if (now < deadline_) return;
  expired_ = true;
  error_code ignored;
  if (phase_ == Phase::handling) proceed_soon();
  else socket_.cancel(ignored);
}

void Connection::drain(TimePoint idle_deadline) {
  if (phase_ == Phase::idle) deadline_ = std::min(deadline_, idle_deadline);
}

void Connection::abort() {
  error_code ignored;
  socket_.close(ignored);
  proceed_soon();
  cancel_handler_.emit(asio::cancellation_type::terminal);
}

awaitable<void> Connection::serve(std::shared_ptr<Connection> self) {
  const Departure departure(*self);
  while (self->socket_.is_open()) {
    const Input input = co_await self->read_request();
    if (input == Input::closed) co_return;
    if (input == Input::refused) {
      co_await self->refuse();
      co_return;
    }
    const bool goes_on = co_await self->exchange();
    if (!goes_on) co_return;
  }
}

awaitable<Connection::Input> Connection::read_request() {
  const TimePoint now = Clock::now();
  enter(Phase::idle, now + (server_->draining ? server_->limits.drain_idle : server_->limits.keep_alive_timeout));
  for (;;) {
    switch (reader_.parse()) {
      case RequestReader::Progress::complete: co_return Input::request;
      case RequestReader::Progress::refused: co_return Input::refused;
      case RequestReader::Progress::empty: break;
      case RequestReader::Progress::header:
        if (phase_ == Phase::idle) enter(Phase::header, Clock::now() + server_->limits.header_timeout);
        break;
      case RequestReader::Progress::body:
        if (phase_ != Phase::body) enter(Phase::body, Clock::now() + server_->limits.body_timeout);
        if (reader_.wants_continue()) {
          error_code error;
          co_await asio::async_write(socket_, asio::buffer(go_on), asio::redirect_error(use_awaitable, error));
          if (error) co_return Input::closed;
        }
        break;
    }
    const bool received = co_await receive();
    if (received) continue;
    if (!expired_ || !socket_.is_open() || phase_ == Phase::idle) co_return Input::closed;
    timed_out_ = true;
    co_return Input::refused;
  }
}

// False: end of stream, an error, or the deadline.
awaitable<bool> Connection::receive() {
  for (;;) {
    error_code error;
    try {
      auto reading = socket_.async_read_some(reader_.prepare(), asio::deferred);
      const std::size_t bytes = co_await std::move(reading);  // in this frame: use_awaitable would take another
      reader_.commit(bytes);
      co_return true;
    } catch (const boost::system::system_error& e) {
      error = e.code();
    }
    // A request that came together with the end of the idle time is served.
    if (error != asio::error::operation_aborted || phase_ != Phase::idle || !socket_.is_open()) co_return false;
    error_code failed;
    if (socket_.available(failed) == 0 || failed) co_return false;
  }
}

awaitable<void> Connection::refuse() {
  const Response response = timed_out_ ? Response::error(408, phase_ == Phase::body ? "the body took too long" : "the header took too long")
                                       : reader_.refusal();
  const bool written = co_await write(response, true, true);
  if (!written) co_return;
  if (server_->observer.finished) server_->observer.finished(response.status, 0);
  co_await linger();
}

awaitable<bool> Connection::exchange() {
  const TimePoint began = Clock::now();
  const Response response = co_await answer();
  if (!socket_.is_open()) co_return false;
  const bool close = last_response(response, Clock::now());
  const bool written = co_await write(response, with_body_, close);
  if (!written) co_return false;
  if (server_->observer.finished) server_->observer.finished(response.status, to_nanos(Clock::now()) - to_nanos(began));
  if (close) co_await linger();
  co_return !close;
}

// No part of a coroutine, whose frame would keep the request.
void Connection::begin_handling() {
  Request request = reader_.take();
  request.peer = peer_;
  with_body_ = request.method != "HEAD";
  try {
    // A task for each request: who waits for a connection that it holds itself can be told so.
    const auto executor = task_executor(server_->loop.get_executor());
    const task::Scope scope(executor.id());
    asio::co_spawn(executor, server_->handler(std::move(request)),
                   asio::bind_cancellation_slot(cancel_handler_.slot(), Answered{Hold(shared_from_this())}));
  } catch (...) {
    answer_ = failure(std::current_exception());
  }
}

awaitable<Response> Connection::answer() {
  const Duration limit = server_->limits.request_timeout;
  enter(Phase::handling, limit > Duration::zero() ? Clock::now() + limit : TimePoint::max());
  answer_.reset();
  struct InFlight {
    explicit InFlight(ServerState& s) : server(s) {
      if (server.observer.in_flight) server.observer.in_flight(+1);
    }
    InFlight(const InFlight&) = delete;
    ~InFlight() {
      if (server.observer.in_flight) server.observer.in_flight(-1);
    }
    ServerState& server;
  } in_flight(*server_);

  begin_handling();
  while (!answer_ && !expired_ && socket_.is_open()) {
    const Wait wait{this};
    co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(wait, use_awaitable);
  }
  if (answer_) co_return std::move(*answer_);
  timed_out_ = true;
  cancel_handler_.emit(asio::cancellation_type::terminal);
  Response response = Response::error(503, "the request took too long");
  response.headers.emplace("Retry-After", "1");
  co_return response;
}

// Requests that came in one go with this one are still answered while draining, though not for ever.
bool Connection::last_response(const Response& response, TimePoint now) const {
  if (!reader_.keep_alive() || timed_out_) return true;
  if (server_->draining && (!reader_.has_more() || now >= server_->drain_began + server_->limits.drain_idle)) return true;
  const auto it = response.headers.find("Connection");
  return it != response.headers.end() && it->second == "close";
}

awaitable<bool> Connection::write(const Response& response, bool with_body, bool close) {
  write_head(head_, response, Framing{close, reader_.is_http_1_0()});
  const auto body = with_body && carries_body(response.status) ? asio::buffer(response.body) : asio::const_buffer();
  const std::size_t total = head_.size() + body.size();
  for (std::size_t sent = 0; sent < total;) {
    enter(Phase::writing, Clock::now() + server_->limits.body_timeout);  // for each piece: a slow reader is not a dead one
    const std::array<asio::const_buffer, 2> rest = {asio::buffer(head_) + sent, body + (sent > head_.size() ? sent - head_.size() : 0)};
    try {
      auto writing = socket_.async_write_some(rest, asio::deferred);
      const std::size_t bytes = co_await std::move(writing);
      sent += bytes;
    } catch (const boost::system::system_error&) {
      co_return false;
    }
  }
  co_return true;
}

// After "Connection: close": says so on the wire too and waits until the client has left. Closing with unread bytes would
// reset the connection and could destroy the response on its way.
awaitable<void> Connection::linger() {
  error_code error;
  socket_.shutdown(Socket::shutdown_send, error);
  enter(Phase::lingering, Clock::now() + linger_time);
  while (!error && !expired_) co_await socket_.async_read_some(reader_.prepare(), asio::redirect_error(use_awaitable, error));
}

}  // namespace sluice::http
