// A server that speaks SQL and does what the test says: writes down what was asked, fails on demand, waits for a word.
#pragma once

#include <doctest/doctest.h>
#include <sluice/sql/database.hpp>
#include <support/permit_rows.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace sluice::test {

struct SqlServer {
  std::vector<std::string> log;          // of all sessions, in order
  std::function<void(const std::string&)> on;  // called with each entry; may throw
  std::shared_ptr<asio::steady_timer> hold;  // scripts wait until it is cancelled
  std::vector<Deadline> deadlines;
  void note(const std::string& what) {
    log.push_back(what);
    if (on) on(what);
  }
};

class StubSession final : public sql::Session {
 public:
  StubSession(std::shared_ptr<SqlServer> server, sql::Dialect dialect) : server_(std::move(server)), dialect_(dialect) {}

  awaitable<sql::Rows> run(sql::Statement statement, Deadline deadline) override {
    server_->deadlines.push_back(deadline);
    server_->note(statement.sql);
    auto set = std::make_shared<sql::ResultSet>();
    set->affected = statement.parameters.size();
    co_return sql::Rows(std::move(set));
  }
  awaitable<void> run_script(std::string sql, Deadline) override {
    if (server_->hold) {
      error_code ignored;
      co_await server_->hold->async_wait(asio::redirect_error(use_awaitable, ignored));
    }
    server_->note("script " + sql);
  }
  awaitable<void> begin(sql::TransactionOptions options, Deadline) override {
    in_transaction_ = true;
    server_->note(options.read_only ? "begin read only" : "begin");
    co_return;
  }
  awaitable<void> commit(Deadline) override {
    server_->note("commit");
    in_transaction_ = false;
    co_return;
  }
  awaitable<void> rollback(Deadline) override {
    server_->note("rollback");
    in_transaction_ = false;
    co_return;
  }
  sql::Dialect dialect() const noexcept override { return dialect_; }
  bool in_transaction() const noexcept override { return in_transaction_; }
  void end_transaction() noexcept { in_transaction_ = false; }

 private:
  std::shared_ptr<SqlServer> server_;
  sql::Dialect dialect_;
  bool in_transaction_ = false;
};

class StubSqlConnector final : public sql::SqlConnector {
 public:
  StubSqlConnector(std::shared_ptr<SqlServer> server, sql::Dialect dialect) : server_(std::move(server)), dialect_(dialect) {}
  awaitable<std::unique_ptr<pool::Connection>> connect(Deadline) override {
    server_->note("connect");
    std::unique_ptr<pool::Connection> made = std::make_unique<StubSession>(server_, dialect_);
    co_return made;
  }
  awaitable<void> ping(pool::Connection&, Deadline) override { co_return; }
  awaitable<void> reset(pool::Connection& connection, Deadline) override {
    server_->note("reset");
    connection.dirty = false;
    static_cast<StubSession&>(connection).end_transaction();
    co_return;
  }
  awaitable<pool::CloseResult> close(std::unique_ptr<pool::Connection>, Deadline) noexcept override {
    server_->log.push_back("close");
    co_return pool::CloseResult::confirmed;
  }
  sql::Dialect dialect() const noexcept override { return dialect_; }

 private:
  std::shared_ptr<SqlServer> server_;
  sql::Dialect dialect_;
};

inline sql::SqlError sql_error(sql::Phase phase, const std::string& message) { return sql::SqlError(phase, sql::Class::other, "XX000", 1, message); }

// Runs the coroutine that `body` makes, and what it has left to do. Throws what it throws.
template <class F>
void run_to_its_end(asio::io_context& loop, F body) {
  std::exception_ptr failure;
  bool done = false;
  asio::co_spawn(loop, body(), [&](std::exception_ptr e) {
    failure = e;
    done = true;
  });
  loop.restart();
  while (!done && loop.run_one_for(10s) > 0) {
  }
  loop.poll();
  if (failure) std::rethrow_exception(failure);
  REQUIRE(done);
}

// A database over a pool of the stub server; run() drives one coroutine to its end, then closes the pool.
class DatabaseTest {
 public:
  explicit DatabaseTest(sql::Dialect dialect = sql::Dialect::postgres, config::Pool options = {}, std::uint32_t connections = 4) : permits(connections) {
    options.name = "main";
    pool::PoolResources resources;
    resources.share = permits.share;
    resources.stats = &stats;
    resources.call_sites = call_sites;
    resources.background = false;
    pool.emplace(loop, options, std::make_unique<StubSqlConnector>(server, dialect), resources);
    pool->ready();
    db.emplace(*pool, &stats);
  }
  DatabaseTest(const DatabaseTest&) = delete;
  ~DatabaseTest() { server->hold.reset(); }  // a timer must not outlive its loop, as the server does

  template <class F>
  void run(F body) {
    run_to_its_end(loop, std::move(body));
  }
  // What the server was asked since the last call.
  std::vector<std::string> asked() { return std::exchange(server->log, {}); }

  // What the pool writes to outlives the loop, whose last coroutines close its connections.
  std::shared_ptr<SqlServer> server = std::make_shared<SqlServer>();
  shm::PoolStats stats{};
  std::vector<shm::CallSite> call_sites = std::vector<shm::CallSite>(16);
  PermitRows permits;
  asio::io_context loop{1};
  std::optional<pool::Pool> pool;
  std::optional<sql::Database> db;
};

template <class E, class T>
awaitable<std::optional<E>> thrown(awaitable<T> operation) {
  std::optional<E> caught;
  try {
    co_await std::move(operation);
  } catch (const E& e) {
    caught = e;
  }
  co_return caught;
}

}  // namespace sluice::test
