// What a server's accept loops, its connections and drain() share. One loop's own.
#pragma once

#include <sluice/core/asio.hpp>
#include <sluice/core/clock.hpp>
#include <sluice/core/gate.hpp>
#include <sluice/http/server.hpp>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <unordered_set>
#include <vector>

namespace sluice::http {

class Connection;

struct ServerState : std::enable_shared_from_this<ServerState> {
  using Listener = asio::posix::stream_descriptor;

  ServerState(asio::io_context& loop, std::function<awaitable<Response>(Request)> h, Limits l, Observer o);

  // Waits for clients on this listener until it is stopped.
  static awaitable<void> accept(std::shared_ptr<ServerState> self, std::shared_ptr<Listener> listener);
  // False: out of descriptors or memory; wait before the next one.
  bool accept_one(int listening_socket);
  void stop_listening() noexcept;

  void add(Connection& connection);
  void remove(Connection& connection) noexcept;

  // Looks at every connection's deadline, again and again while there are any.
  void watch_deadlines();
  void begin_drain(TimePoint now);
  void abort_all();

  asio::io_context& loop;
  std::function<awaitable<Response>(Request)> handler;
  Limits limits;
  Observer observer;
  std::vector<std::shared_ptr<Listener>> listeners;
  std::unordered_set<Connection*> connections;
  Gate gate;  // inside: connections, and handlers that were left behind
  bool draining = false;
  TimePoint drain_began = TimePoint::max();

 private:
  Duration watch_period() const noexcept;

  asio::steady_timer room_;  // cancelled when a connection leaves
  asio::steady_timer watch_;
  bool watching_ = false;
};

}  // namespace sluice::http
