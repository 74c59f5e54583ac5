#include <sluice/drivers/postgres/connector.hpp>

#include <sluice/core/log.hpp>
#include <sluice/core/text.hpp>
#include <sluice/drivers/postgres/inspector.hpp>
#include <sluice/drivers/postgres/sharing.hpp>

namespace sluice::postgres {
namespace {

PostgresSession& session_of(pool::Connection& connection) { return static_cast<PostgresSession&>(connection); }

std::unique_ptr<pool::Connector> make_connector(const config::Pool& pool, const pool::Identity& identity) {
  return std::make_unique<PostgresConnector>(parse_settings(pool, identity));
}

std::unique_ptr<pool::Inspector> make_inspector(const config::Pool& pool, const pool::Identity& identity) {
  return std::make_unique<PostgresInspector>(parse_settings(pool, identity), identity);
}

pool::Driver driver() {
  pool::Driver driver;
  driver.schemes = {"postgres", "postgresql"};
  driver.display_name = "PostgreSQL";
  driver.make_connector = make_connector;
  driver.make_inspector = make_inspector;
  return driver;
}

const pool::Register registered(driver());

}  // namespace

awaitable<std::unique_ptr<pool::Connection>> PostgresConnector::connect(Deadline deadline) {
  std::unique_ptr<PostgresSession> session = co_await dialer_.dial(deadline);
  co_return session;
}

sql::Sharing PostgresConnector::sharing(std::string_view sql) const { return sharing_of(sql); }

awaitable<void> PostgresConnector::ping(pool::Connection& connection, Deadline deadline) { return session_of(connection).ping(deadline); }

awaitable<void> PostgresConnector::reset(pool::Connection& connection, Deadline deadline) { return session_of(connection).reset(deadline); }

awaitable<pool::CloseResult> PostgresConnector::close(std::unique_ptr<pool::Connection> connection, Deadline deadline) noexcept {
  const pool::CloseResult result = co_await close_session(session_of(*connection), deadline);
  co_return result;
}

awaitable<pool::CloseResult> close_session(PostgresSession& session, Deadline deadline) noexcept {
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  bool gone = false;
  try {
    gone = co_await session.close(deadline);
  } catch (const std::exception& e) {
    log::warning(text("postgres: closing a connection failed: ", e.what()));
  }
  co_await asio::this_coro::throw_if_cancelled(throws);
  co_return gone ? pool::CloseResult::confirmed : pool::CloseResult::unconfirmed;
}

}  // namespace sluice::postgres
