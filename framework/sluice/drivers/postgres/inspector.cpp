#include <sluice/drivers/postgres/inspector.hpp>

#include <sluice/core/text.hpp>
#include <sluice/drivers/postgres/connector.hpp>

#include <algorithm>

namespace sluice::postgres {
namespace {

// A session's birth as a whole number; the same expression names a session at connect, in the list and when it is ended.
// Of another role's session (a second pool with another user) only pid and application_name are shown: its birth is unknown
// (0), and it counts as old (a year), so that it may be anybody's.
constexpr const char* sessions_sql =
    "SELECT pid, coalesce((extract(epoch FROM backend_start) * 1000000)::bigint, 0), application_name, "
    "coalesce((extract(epoch FROM clock_timestamp() - backend_start) * 1000000)::bigint, 31536000000000) "
    "FROM pg_stat_activity WHERE coalesce(backend_type, 'client backend') = 'client backend' AND pid <> pg_backend_pid() AND "
    "starts_with(application_name, $1)";

// reserved_connections exists from PostgreSQL 16 on.
constexpr const char* capacity_sql =
    "SELECT current_setting('max_connections')::int, "
    "current_setting('superuser_reserved_connections')::int + coalesce(nullif(current_setting('reserved_connections', true), '')::int, 0), "
    "(SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user), "
    "(SELECT datconnlimit FROM pg_database WHERE datname = current_database()), "
    "(SELECT setting::int FROM pg_settings WHERE name = 'authentication_timeout')";

// Identity is checked by the statement that ends the session: a process id may belong to somebody else by now.
constexpr const char* end_sql =
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE pid = $1 AND application_name = $2 AND coalesce((extract(epoch FROM backend_start) * 1000000)::bigint, 0) = $3";

std::uint32_t count_of(std::int64_t n) { return static_cast<std::uint32_t>(std::max<std::int64_t>(n, 0)); }

}  // namespace

awaitable<void> PostgresInspector::open(Deadline deadline) {
  if (session_) throw Error("the inspector is open already");
  session_ = co_await dialer_.dial(deadline);
  if (session_->session != 0) co_return;
  // Its sessions come and go as it likes, and the end of a connection to it proves nothing.
  const pool::CloseResult gone = co_await close(deadline);
  throw pool::ConnectFailed("a connection pooler answers there: it hides the server's sessions, so no close can be confirmed and total: auto cannot be asked for; "
                            "set servers.<name>.via: proxy and a total, or connect to PostgreSQL directly",
                            gone == pool::CloseResult::confirmed, true);
}

PostgresSession& PostgresInspector::opened() {
  if (!session_) throw Error("the inspector is not open");
  return *session_;
}

awaitable<pool::Capacity> PostgresInspector::capacity(Deadline deadline) {
  sql::Statement statement(capacity_sql, {});
  const sql::Rows rows = co_await opened().run(std::move(statement), deadline);
  const sql::Row row = rows[0];
  pool::Capacity capacity;
  capacity.max_connections = count_of(row[0].as<std::int64_t>());
  capacity.reserved = count_of(row[1].as<std::int64_t>());
  // -1: no limit. 0 would have refused this very connection.
  for (const std::int64_t limit : {row[2].as<std::int64_t>(), row[3].as<std::int64_t>()}) {
    if (limit > 0 && (capacity.user_limit == 0 || count_of(limit) < capacity.user_limit)) capacity.user_limit = count_of(limit);
  }
  capacity.authentication_timeout = std::chrono::seconds(row[4].as<std::int64_t>());
  co_return capacity;
}

awaitable<std::vector<pool::SeenSession>> PostgresInspector::sessions(Deadline deadline) {
  std::vector<sql::Value> parameters;
  parameters.push_back(sql::encode(identity_.instance + "."));
  sql::Statement statement(sessions_sql, std::move(parameters));
  sql::Rows rows;
  try {
    rows = co_await opened().run(std::move(statement), deadline);
  } catch (const sql::SqlError& e) {
    if (e.error_class() != sql::Class::permission) throw;
    throw pool::Forbidden("the role may not see the server's sessions: GRANT SELECT ON pg_catalog.pg_stat_activity TO this role");
  }
  std::vector<pool::SeenSession> seen;
  for (const sql::Row row : rows) {
    // "shop." also begins the names of an instance "shop.eu".
    std::optional<pool::Identity> identity = pool::parse_identity(row[2].as<std::string>());
    if (!identity || identity->instance != identity_.instance) continue;
    pool::SeenSession one;
    one.session = static_cast<std::uint64_t>(row[0].as<std::int64_t>());
    one.birth = static_cast<std::uint64_t>(row[1].as<std::int64_t>());
    one.identity = std::move(*identity);
    one.age = std::chrono::microseconds(std::max<std::int64_t>(row[3].as<std::int64_t>(), 0));
    seen.push_back(std::move(one));
  }
  co_return seen;
}

awaitable<bool> PostgresInspector::absent(std::uint64_t session, std::uint64_t birth, Deadline) {
  constexpr Duration lasting = 50ms, forgotten = 10s;
  const TimePoint now = Clock::now();
  std::erase_if(absent_since_, [&](const auto& entry) { return now - entry.second > forgotten; });
  const auto entry = absent_since_.try_emplace({session, birth}, now).first;
  if (now - entry->second < lasting) co_return false;
  absent_since_.erase(entry);
  co_return true;
}

awaitable<bool> PostgresInspector::end(const pool::SeenSession& session, Deadline deadline) {
  std::vector<sql::Value> parameters;
  parameters.push_back(sql::encode(session.session));
  parameters.push_back(sql::encode(session.identity.text()));
  parameters.push_back(sql::encode(session.birth));
  sql::Statement statement(end_sql, std::move(parameters));
  sql::Rows rows;
  try {
    rows = co_await opened().run(std::move(statement), deadline);
  } catch (const sql::SqlError& e) {
    if (e.error_class() != sql::Class::permission) throw;
    throw pool::Forbidden(text("session ", session.session, " is another role's: GRANT pg_signal_backend TO this role"));
  }
  co_return !rows.empty() && rows[0][0].as<bool>();
}

awaitable<pool::CloseResult> PostgresInspector::close(Deadline deadline) noexcept {
  if (!session_) co_return pool::CloseResult::confirmed;
  const pool::CloseResult result = co_await close_session(*session_, deadline);
  session_.reset();
  co_return result;
}

}  // namespace sluice::postgres
