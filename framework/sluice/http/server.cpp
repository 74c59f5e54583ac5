#include <sluice/http/server.hpp>

#include <sluice/core/log.hpp>
#include <sluice/core/text.hpp>
#include <sluice/http/address.hpp>
#include <sluice/http/connection.hpp>
#include <sluice/http/server_state.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>

namespace sluice::http {

namespace {

constexpr Duration unwind_time = 100ms;  // for handlers that were cancelled to end

void report(const std::exception_ptr& error) {
  if (!error) return;
  try {
    std::rethrow_exception(error);
  } catch (const boost::system::system_error& e) {
    if (e.code() != asio::error::operation_aborted) log::error(text("http: ", e.what()));
  } catch (const std::exception& e) {
    log::error(text("http: ", e.what()));
  }
}

}  // namespace

ServerState::ServerState(asio::io_context& l, std::function<awaitable<Response>(Request)> h, Limits lim, Observer o)
    : loop(l),
      handler(std::move(h)),
      limits(lim),
      observer(std::move(o)),
      gate(l.get_executor()),
      room_(l, TimePoint::max()),
      watch_(l) {}

awaitable<void> ServerState::accept(std::shared_ptr<ServerState> self, std::shared_ptr<Listener> listener) {
  asio::steady_timer pause_timer(self->loop);
  error_code error;
  while (!self->draining && listener->is_open()) {
    if (self->connections.size() >= self->limits.max_connections) {  // the siblings may take them
      co_await self->room_.async_wait(asio::redirect_error(use_awaitable, error));
      continue;
    }
    co_await listener->async_wait(Listener::wait_read, asio::redirect_error(use_awaitable, error));
    if (error || self->draining || !listener->is_open()) continue;
    // One at a time, and then whoever else waits for the processor first: a burst of clients is shared with the siblings on
    // this socket instead of going to the worker that happened to run.
    const bool accepted = self->accept_one(listener->native_handle());
    ::sched_yield();
    if (!accepted) {
      pause_timer.expires_after(100ms);
      co_await pause_timer.async_wait(asio::redirect_error(use_awaitable, error));
    }
  }
}

bool ServerState::accept_one(int listening_socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  Descriptor fd(::accept4(listening_socket, reinterpret_cast<sockaddr*>(&address), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd) {
    // A client that left again, or a sibling that was faster, is no trouble.
    if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM) return true;
    log::warning(text("http: cannot accept: ", std::strerror(errno), "; trying again"));
    return false;
  }
  if (address.ss_family != AF_UNIX) {
    const int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  Connection::Socket socket(loop);
  error_code error;
  socket.assign(asio::generic::stream_protocol(address.ss_family, 0), fd.get(), error);
  if (error) return false;  // epoll is out of memory or watches
  static_cast<void>(fd.release());
  auto connection = std::make_shared<Connection>(shared_from_this(), gate.enter(), std::move(socket), display(address, size));
  asio::co_spawn(loop, Connection::serve(std::move(connection)), report);
  return true;
}

void ServerState::stop_listening() noexcept {
  for (const auto& listener : listeners) {
    // release(), not close(): the listening socket lives on in other processes, so closing this duplicate would leave it
    // in our epoll set, pointing to freed memory.
    if (listener->is_open()) Descriptor closed(listener->release());
  }
  listeners.clear();
  room_.cancel();
}

void ServerState::add(Connection& connection) {
  connections.insert(&connection);
  if (observer.connections) observer.connections(+1);
  if (!watching_) watch_deadlines();
}

void ServerState::remove(Connection& connection) noexcept {
  connections.erase(&connection);
  if (observer.connections) observer.connections(-1);
  room_.cancel();
}

void ServerState::watch_deadlines() {
  watching_ = !connections.empty();
  if (!watching_) return;
  watch_.expires_after(watch_period());
  watch_.async_wait([weak = weak_from_this()](const error_code& error) {
    const auto self = weak.lock();
    if (error || !self) return;
    const TimePoint now = Clock::now();
    for (Connection* connection : self->connections) connection->check_deadline(now);
    self->watch_deadlines();
  });
}

// Fine enough for the shortest limit, coarse enough to cost nothing.
Duration ServerState::watch_period() const noexcept {
  Duration shortest = 1s;
  for (const Duration limit : {limits.header_timeout, limits.body_timeout, limits.request_timeout, limits.keep_alive_timeout, limits.drain_idle})
    if (limit > Duration::zero()) shortest = std::min(shortest, limit);
  return std::clamp<Duration>(shortest / 8, 5ms, 100ms);
}

void ServerState::begin_drain(TimePoint now) {
  if (draining) return;
  draining = true;
  drain_began = now;
  stop_listening();
  for (Connection* connection : connections) connection->drain(now + limits.drain_idle);
}

void ServerState::abort_all() {
  for (Connection* connection : connections) connection->abort();
}

Server::Server(asio::io_context& loop, std::function<awaitable<Response>(Request)> handler, Limits limits, Observer observer)
    : state_(std::make_shared<State>(loop, std::move(handler), limits, std::move(observer))) {}

Server::Server(Server&&) noexcept = default;

Server::~Server() {
  if (!state_) return;
  state_->draining = true;
  state_->gate.close();
  state_->stop_listening();
  state_->abort_all();
  // What the callbacks refer to may end with the server's owner; coroutines that still unwind must not call them.
  state_->observer = {};
}

void Server::listen(int listening_socket) {
  Descriptor own = duplicate(listening_socket);
  set_nonblocking(own.get(), true);  // shared with every process that has this socket: it must not block there either
  auto listener = std::make_shared<State::Listener>(state_->loop);
  listener->assign(own.get());
  static_cast<void>(own.release());
  state_->listeners.push_back(listener);
  asio::co_spawn(state_->loop, State::accept(state_, listener), report);
}

awaitable<bool> Server::drain(Deadline deadline) {
  const auto state = state_;  // survives this server
  state->begin_drain(Clock::now());
  const bool empty = co_await state->gate.drain(deadline);
  if (empty) co_return true;
  state->abort_all();
  co_await state->gate.drain(Deadline::after(unwind_time));
  co_return false;
}

std::size_t Server::connections() const noexcept { return state_->connections.size(); }

}  // namespace sluice::http
