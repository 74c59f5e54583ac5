#include <sluice/config/in_force.hpp>
#include <sluice/core/log.hpp>
#include <sluice/core/text.hpp>
#include <sluice/drivers/sqlite/connector.hpp>
#include <sluice/drivers/sqlite/session.hpp>
#include <sluice/pool/registry.hpp>

#include <unistd.h>
#include <atomic>
#include <chrono>
#include <exception>
#include <optional>
#include <system_error>
#include <utility>

namespace sluice::sqlite {
namespace {

// SQLite numbers no sessions. The process and a count in it tell them apart in `ctl permits`.
std::uint64_t next_session_id() noexcept {
  static std::atomic<std::uint64_t> count{0};
  return static_cast<std::uint64_t>(::getpid()) * 1'000'000 + ++count % 1'000'000;
}

std::uint64_t unix_seconds() noexcept {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count());
}

std::unique_ptr<pool::Connector> make_connector(const config::Pool& pool, const pool::Identity&) { return std::make_unique<Connector>(pool); }

Location location_of(const config::Pool& pool) {
  try {
    return parse_location(pool.url);
  } catch (const Error& e) {
    throw Error(text("pools.", pool.name, ".url: ", e.what()));
  }
}

const pool::Register registered(pool::Driver{{"sqlite"}, "SQLite", true, &make_connector, nullptr});

}  // namespace

Connector::Connector(const config::Pool& given)
    : location_(location_of(config::in_force(given))),
      validation_query_(config::in_force(given).validation_query),
      statement_cache_(config::in_force(given).statement_cache),
      gate_(std::make_shared<WriterGate>()) {
  if (location_.memory)
    log::warning(text("pool \"", given.name, "\": an in-memory SQLite database belongs to one connection of one worker and ends with it"));
}

awaitable<std::unique_ptr<pool::Connection>> Connector::connect(Deadline deadline) {
  std::unique_ptr<Session> session;
  try {
    session = std::make_unique<Session>(std::make_unique<Handle>(location_, statement_cache_, gate_));
  } catch (const std::system_error& e) {
    throw pool::ConnectFailed(text("no thread for a SQLite connection: ", e.what()), true);
  }
  std::optional<std::string> late;
  try {
    co_await session->open(deadline);
  } catch (const TimedOut& e) {
    late = e.what();
  }
  if (late) throw pool::ConnectFailed(*late, false);  // the thread still hangs in open()
  session->session = next_session_id();
  session->session_birth = unix_seconds();
  std::unique_ptr<pool::Connection> connection = std::move(session);
  co_return connection;
}

bool Connector::gathers(const sql::Statement& statement) const noexcept { return sqlite::gathers(statement); }

awaitable<void> Connector::ping(pool::Connection& connection, Deadline deadline) {
  return static_cast<Session&>(connection).check(validation_query_, deadline);
}

awaitable<void> Connector::reset(pool::Connection& connection, Deadline deadline) { return static_cast<Session&>(connection).reset(deadline); }

awaitable<pool::CloseResult> Connector::close(std::unique_ptr<pool::Connection> connection, Deadline deadline) noexcept {
  bool closed = false;
  try {
    closed = co_await static_cast<Session&>(*connection).close(deadline);
  } catch (const std::exception&) {
    closed = false;  // cancelled: the thread closes by itself, but nobody saw it
  }
  co_return closed ? pool::CloseResult::confirmed : pool::CloseResult::unconfirmed;
}

}  // namespace sluice::sqlite
