#include <sluice/drivers/mysql/connector.hpp>

#include <sluice/core/log.hpp>
#include <sluice/core/text.hpp>
#include <sluice/drivers/mysql/inspector.hpp>
#include <sluice/drivers/mysql/sharing.hpp>

namespace sluice::mysql {
namespace {

MysqlSession& session_of(pool::Connection& connection) { return static_cast<MysqlSession&>(connection); }

std::unique_ptr<pool::Connector> make_connector(const config::Pool& pool, const pool::Identity& identity) {
  return std::make_unique<MysqlConnector>(parse_settings(pool, identity));
}

std::unique_ptr<pool::Inspector> make_inspector(const config::Pool& pool, const pool::Identity& identity) {
  return std::make_unique<MysqlInspector>(parse_settings(pool, identity));
}

pool::Driver driver() {
  pool::Driver driver;
  driver.schemes = {"mysql", "mariadb"};
  driver.display_name = "MySQL/MariaDB";
  driver.make_connector = make_connector;
  driver.make_inspector = make_inspector;
  return driver;
}

const pool::Register registered(driver());

}  // namespace

awaitable<std::unique_ptr<pool::Connection>> MysqlConnector::connect(Deadline deadline) {
  std::unique_ptr<MysqlSession> session = co_await dialer_.dial(deadline);
  co_return session;
}

awaitable<void> MysqlConnector::ping(pool::Connection& connection, Deadline deadline) { return session_of(connection).ping(deadline); }

awaitable<void> MysqlConnector::reset(pool::Connection& connection, Deadline deadline) { return session_of(connection).reset(deadline); }

sql::Sharing MysqlConnector::sharing(std::string_view sql) const { return sharing_of(sql); }

awaitable<pool::CloseResult> MysqlConnector::close(std::unique_ptr<pool::Connection> connection, Deadline deadline) noexcept {
  co_await close_session(session_of(*connection), deadline);
  co_return pool::CloseResult::unconfirmed;
}

awaitable<bool> close_session(MysqlSession& session, Deadline deadline) noexcept {
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  bool ended = false;
  try {
    ended = co_await session.close(deadline);
  } catch (const std::exception& e) {
    log::warning(text("mysql: closing a connection failed: ", e.what()));
  }
  co_await asio::this_coro::throw_if_cancelled(throws);
  co_return ended;
}

}  // namespace sluice::mysql
