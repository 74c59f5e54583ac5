// What the PostgreSQL tests share: one server per process, a loop that runs one coroutine to its end, and the PostgreSQL
// driver as the pool would use it.
#pragma once

#include <sluice/drivers/postgres/connector.hpp>
#include <sluice/drivers/postgres/inspector.hpp>

#include <doctest/doctest.h>

#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/eventually.hpp"
#include "support/postgres.hpp"

namespace sluice::test {

// Started once, with max_connections = 20 and TLS on. Call only after PostgresServer::require().
PostgresServer& server();

config::Pool pool_options(const std::string& url);
pool::Identity identity(std::uint32_t slot = 0);

// Runs one coroutine on a loop of its own, beside a timer that notes the longest time during which the loop did not turn
// (without the time that this thread only waited for a CPU).
class Loop {
 public:
  // Rethrows what the coroutine throws. REQUIREs that it ends within the (scaled) limit.
  template <class F>
  void run(F function, Duration limit = 30s) {
    std::exception_ptr error;
    bool ended = false;
    context_.restart();
    asio::co_spawn(context_, function(), [&](std::exception_ptr e) {
      error = e;
      ended = true;
      context_.stop();
    });
    last_beat_ = Clock::now();
    last_delay_ = run_delay();
    worst_gap_ = {};
    beat();
    context_.run_for(scaled(limit));
    timer_.cancel();
    REQUIRE_MESSAGE(ended, "the coroutine did not end in time");
    if (error) std::rethrow_exception(error);
  }

  asio::io_context& context() noexcept { return context_; }
  Duration worst_gap() const noexcept { return worst_gap_; }
  // The promise of the whole driver: nothing blocks the loop.
  void check_responsive() const {
    CAPTURE(to_millis(worst_gap_));
    CHECK(worst_gap_ < scaled(50ms));
  }

 private:
  static Duration run_delay();
  void beat();

  asio::io_context context_{1};
  asio::steady_timer timer_{context_};
  TimePoint last_beat_;
  Duration last_delay_{};
  Duration worst_gap_{};
};

// The connector of a pool on `url`, and its connections as sessions.
class Client {
 public:
  explicit Client(const std::string& url = server().url()) : Client(pool_options(url)) {}
  explicit Client(const config::Pool& options, const pool::Identity& who = identity());

  awaitable<std::unique_ptr<postgres::PostgresSession>> connect(Duration limit = 10s);
  awaitable<bool> close(std::unique_ptr<postgres::PostgresSession> session, Duration limit = 5s);
  postgres::PostgresConnector& connector() noexcept { return *connector_; }

 private:
  std::unique_ptr<postgres::PostgresConnector> connector_;
};

// run() with bound arguments.
template <class... Args>
awaitable<sql::Rows> query(postgres::PostgresSession& session, std::string sql, const Args&... args) {
  std::vector<sql::Value> values;
  (values.push_back(sql::encode(args)), ...);
  sql::Statement statement(std::move(sql), std::move(values));
  return session.run(std::move(statement), Deadline::after(scaled(20s)));
}

// The error of a connect that must fail.
struct Failure {
  std::string text;
  bool released = false;
  bool permanent = false;
};
Failure failure_of_connect(Loop& loop, Client& client, Duration limit = 10s);

// Open descriptors of this process.
std::size_t open_descriptors();
// What of it is in memory.
std::size_t resident_bytes();

// A TCP listener on 127.0.0.1 that never answers.
class Listener {
 public:
  enum class Kind {
    silent,  // accepts (in the kernel), never says a word
    full     // its backlog is full: connects do not even complete
  };
  explicit Listener(Kind kind);
  ~Listener();
  std::string url(const std::string& query = "") const;

 private:
  int port_ = 0;
  std::vector<int> descriptors_;
};

// A TCP server on 127.0.0.1 that serves one connection after the other by the given scripts, each on a connected socket.
class ScriptedServer {
 public:
  explicit ScriptedServer(std::vector<std::function<void(int socket)>> scripts);
  ~ScriptedServer();  // REQUIRES: every script has been served
  int port() const noexcept { return port_; }
  std::string url(const std::string& query = "") const;

 private:
  int listener_ = -1;
  int port_ = 0;
  std::thread thread_;
};

// Reads a startup packet (or an SSLRequest) and returns its content.
std::string read_packet(int socket);
// Until the peer's end of stream.
void read_to_end(int socket);

}  // namespace sluice::test
