#include "mysql_fixture.hpp"

#include <algorithm>
#include <utility>

namespace sluice::test {

MariaDbServer& mariadb() {
  static MariaDbServer instance([] {
    MariaDbOptions options;
    options.ssl = true;
    options.settings["connect-timeout"] = std::to_string(to_millis(scaled(2s)) / 1000);
    return options;
  }());
  instance.start();
  return instance;
}

awaitable<std::unique_ptr<MysqlSession>> MysqlClient::connect(Duration limit) {
  std::unique_ptr<pool::Connection> connection = co_await connector_->connect(Deadline::after(scaled(limit)));
  co_return std::unique_ptr<MysqlSession>(static_cast<MysqlSession*>(connection.release()));
}

awaitable<pool::CloseResult> MysqlClient::close(std::unique_ptr<MysqlSession> session, Duration limit) {
  const pool::CloseResult result = co_await connector_->close(std::move(session), Deadline::after(scaled(limit)));
  co_return result;
}

std::unique_ptr<mysql::MysqlInspector> mysql_inspector(const std::string& url) {
  return std::make_unique<mysql::MysqlInspector>(mysql::parse_settings(pool_options(url), identity(4000)));
}

awaitable<sql::SqlError> error_of(MysqlSession& session, sql::Statement statement) {
  const std::string sql = statement.sql;
  std::optional<sql::SqlError> error;
  try {
    co_await session.run(std::move(statement), Deadline::after(scaled(20s)));
  } catch (const sql::SqlError& e) {
    error = e;
  }
  REQUIRE_MESSAGE(error.has_value(), sql);
  co_return *error;
}

Failure failure_of_connect(Loop& loop, MysqlClient& client, Duration limit) {
  Failure failure;
  loop.run([&]() -> awaitable<void> {
    try {
      auto session = co_await client.connect(limit);
      failure.text = "it connected";
    } catch (const pool::ConnectFailed& e) {
      failure.text = e.what();
      failure.released = e.released();
      failure.permanent = e.permanent();
    }
  });
  return failure;
}

bool shows(MariaDbServer& server, std::uint64_t thread) {
  const auto sessions = server.sessions();
  return std::any_of(sessions.begin(), sessions.end(), [thread](const MariaDbSession& s) { return s.id == thread; });
}

void make_naps() { mariadb().query("CREATE OR REPLACE VIEW naps AS SELECT seq, SLEEP(seq / 1000) AS s FROM seq_0_to_600000"); }

std::size_t naps(std::uint64_t thread) {
  const auto sessions = mariadb().sessions();
  return static_cast<std::size_t>(std::count_if(sessions.begin(), sessions.end(), [thread](const MariaDbSession& s) {
    return (thread == 0 || s.id == thread) && s.command == "Execute" && s.info.find("FROM naps") != std::string::npos;
  }));
}

}  // namespace sluice::test
