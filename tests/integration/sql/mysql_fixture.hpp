// What the MariaDB tests share: one server per process, and the MySQL driver as the pool would use it.
#pragma once

#include <sluice/drivers/mysql/connector.hpp>
#include <sluice/drivers/mysql/inspector.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fixture.hpp"
#include "support/mariadb.hpp"

namespace sluice::test {

using mysql::MysqlSession;

// Started once, with max_connections = 20 and TLS on. Call only after MariaDbServer::require().
MariaDbServer& mariadb();

// The connector of a pool on `url`, and its connections as sessions.
class MysqlClient {
 public:
  explicit MysqlClient(const std::string& url = mariadb().url()) : MysqlClient(pool_options(url)) {}
  explicit MysqlClient(const config::Pool& options, const pool::Identity& who = identity())
      : connector_(std::make_unique<mysql::MysqlConnector>(mysql::parse_settings(options, who))) {}

  awaitable<std::unique_ptr<MysqlSession>> connect(Duration limit = 10s);
  // The driver proves no close: the server's process list does.
  awaitable<pool::CloseResult> close(std::unique_ptr<MysqlSession> session, Duration limit = 5s);
  mysql::MysqlConnector& connector() noexcept { return *connector_; }

 private:
  std::unique_ptr<mysql::MysqlConnector> connector_;
};

std::unique_ptr<mysql::MysqlInspector> mysql_inspector(const std::string& url = mariadb().url());

// run() with bound arguments.
template <class... Args>
awaitable<sql::Rows> query(MysqlSession& session, std::string sql, const Args&... args) {
  std::vector<sql::Value> values;
  (values.push_back(sql::encode(args)), ...);
  sql::Statement statement(std::move(sql), std::move(values));
  return session.run(std::move(statement), Deadline::after(scaled(20s)));
}

// The SqlError that the statement must end with.
awaitable<sql::SqlError> error_of(MysqlSession& session, sql::Statement statement);
template <class... Args>
awaitable<sql::SqlError> error_of(MysqlSession& session, std::string sql, const Args&... args) {
  std::vector<sql::Value> values;
  (values.push_back(sql::encode(args)), ...);
  sql::Statement statement(std::move(sql), std::move(values));
  return error_of(session, std::move(statement));
}

// Opens a session, runs the body on it and closes it; the loop must have turned all the while.
template <class Body>
void with_mysql(MysqlClient& client, Body body) {
  Loop loop;
  loop.run([&]() -> awaitable<void> {
    std::unique_ptr<MysqlSession> session = co_await client.connect();
    co_await body(*session);
    co_await client.close(std::move(session));
  });
  loop.check_responsive();
}

Failure failure_of_connect(Loop& loop, MysqlClient& client, Duration limit = 10s);

// The server's number of the error that a member failed with; 0: it did not, or with something else.
inline int code_of(const sql::GroupMember& member) {
  try {
    if (member.failure) std::rethrow_exception(member.failure);
  } catch (const sql::SqlError& e) {
    return e.native_code();
  } catch (const std::exception&) {
  }
  return 0;
}

// Lets the loop turn until the condition holds. REQUIRES: `holds` is named before.
template <class Condition>
awaitable<void> until(const Condition& holds) {
  const auto executor = co_await asio::this_coro::executor;
  asio::steady_timer poll(executor);
  const TimePoint end = Clock::now() + scaled(10s);
  bool held = holds();
  while (!held && Clock::now() < end) {
    poll.expires_after(2ms);
    co_await poll.async_wait(use_awaitable);
    held = holds();
  }
  CHECK(held);
}

// It runs beside the test.
inline void start(const asio::any_io_executor& executor, awaitable<void> work, bool& ended) {
  asio::co_spawn(executor, std::move(work), [&ended](const std::exception_ptr& failure) {
    CHECK_FALSE(failure);
    ended = true;
  });
}

// The session can do whatever it could at its beginning: also write.
inline awaitable<void> check_whole(MysqlSession& s) {
  CHECK_FALSE(s.broken);
  CHECK_FALSE(s.dirty);
  CHECK_FALSE(s.in_transaction());
  co_await query(s, "CREATE OR REPLACE TABLE whole (n INT) ENGINE=InnoDB");
  co_await query(s, "INSERT INTO whole VALUES (1)");
  const sql::Rows rows = co_await query(s, "SELECT n, @@tx_read_only FROM whole");
  CHECK(rows[0][0].as<int>() == 1);
  CHECK(rows[0][1].as<int>() == 0);
}

// Does the server show this thread?
bool shows(MariaDbServer& server, std::uint64_t thread);

// A read that takes $1 milliseconds, and may travel: its words do not show that it sleeps. Make the view first.
inline const std::string nap_there = "SELECT s FROM naps WHERE seq = $1";
void make_naps();
// How many such reads run, and are not only prepared (of this thread, if not 0).
std::size_t naps(std::uint64_t thread = 0);

}  // namespace sluice::test
