// A connector whose every operation succeeds, fails, takes its time or never ends, as the test says, and that counts what it
// was asked to do. Steps given in advance are used up first; then the standing behaviour holds.
#pragma once

#include <sluice/pool/connector.hpp>

#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <utility>

namespace sluice::test {

enum class Does {
  ok,
  error,  // throws; close: unconfirmed
  slow,   // succeeds after `slow_time`
  never,  // ends with its deadline, as a driver that keeps its contract
  stuck,  // does not even look at its deadline, only at cancellation
  deaf,   // nor at cancellation: ends only when the loop does
};

struct StubOperation {
  Does does = Does::ok;
  std::deque<Does> next = {};  // for the next calls
  int calls = 0;
  Does take() {
    ++calls;
    if (next.empty()) return does;
    const Does d = next.front();
    next.pop_front();
    return d;
  }
};

// What the test holds on to: the connector itself belongs to the pool.
struct StubServer {
  StubOperation connect, ping, reset, close;
  Duration slow_time = 5ms;
  bool refuse_provably = true;   // a failed connect left nothing on the server
  std::uint64_t sessions_made = 0;
  std::set<std::uint64_t> sessions;  // open now
  std::size_t most_sessions = 0;
  std::uint32_t default_max = 0;
  std::uint32_t max_requests = 1;  // on one connection
  bool may_reclaim = false;
  int interrupts = 0;
  std::function<void(std::uint64_t session)> interrupted = {};
};

class StubConnection : public pool::Connection {
 public:
  explicit StubConnection(std::shared_ptr<StubServer> s) : server(std::move(s)) {
    session = ++server->sessions_made;
    session_birth = 1000 + session;
    server->sessions.insert(session);
    server->most_sessions = std::max(server->most_sessions, server->sessions.size());
  }
  ~StubConnection() override { server->sessions.erase(session); }
  std::shared_ptr<StubServer> server;
};

class StubConnector : public pool::Connector {
 public:
  StubConnector(asio::io_context& loop, std::shared_ptr<StubServer> server) : loop_(loop), server_(std::move(server)) {}

  awaitable<std::unique_ptr<pool::Connection>> connect(Deadline deadline) override {
    const bool ok = co_await perform(server_->connect.take(), deadline);
    if (!ok) throw pool::ConnectFailed("stub: connection refused", server_->refuse_provably);
    co_return std::make_unique<StubConnection>(server_);
  }
  awaitable<void> ping(pool::Connection&, Deadline deadline) override {
    const bool ok = co_await perform(server_->ping.take(), deadline);
    if (!ok) throw Error("stub: no answer to the ping");
  }
  awaitable<void> reset(pool::Connection&, Deadline deadline) override {
    const bool ok = co_await perform(server_->reset.take(), deadline);
    if (!ok) throw Error("stub: the reset failed");
  }
  awaitable<pool::CloseResult> close(std::unique_ptr<pool::Connection> connection, Deadline deadline) noexcept override {
    const bool ok = co_await perform(server_->close.take(), deadline);
    connection.reset();
    co_return ok ? pool::CloseResult::confirmed : pool::CloseResult::unconfirmed;
  }
  std::uint32_t default_max() const noexcept override { return server_->default_max; }
  std::uint32_t max_requests_per_connection() const noexcept override { return server_->max_requests; }
  void interrupt(pool::Connection& connection) noexcept override {
    ++server_->interrupts;
    if (server_->interrupted) server_->interrupted(connection.session);
  }
  bool may_reclaim(const pool::Connection&) const noexcept override { return server_->may_reclaim; }

 private:
  awaitable<bool> perform(Does does, Deadline deadline) {
    if (does == Does::ok) co_return true;
    if (does == Does::error) co_return false;
    if (does == Does::deaf) co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    asio::steady_timer timer(loop_, TimePoint::max());
    if (does == Does::slow) timer.expires_at(std::min(Clock::now() + server_->slow_time, deadline.at));
    if (does == Does::never) timer.expires_at(deadline.at);
    co_await timer.async_wait(use_awaitable);
    co_return does == Does::slow && !deadline.passed(Clock::now());
  }

  asio::io_context& loop_;
  std::shared_ptr<StubServer> server_;
};

}  // namespace sluice::test
