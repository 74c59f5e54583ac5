#include <sluice/drivers/mysql/inspector.hpp>

#include <sluice/core/log.hpp>
#include <sluice/core/text.hpp>
#include <sluice/drivers/mysql/connector.hpp>

#include <algorithm>
#include <atomic>
#include <utility>

namespace sluice::mysql {
namespace {

constexpr int unknown_thread = 1094, of_another_user = 1095;
constexpr Duration after_end_of_stream = 200ms;

// @@SESSION.max_user_connections is what counts for this account: its own limit, or the server's for all accounts.
constexpr const char* capacity_sql = "SELECT @@max_connections, @@SESSION.max_user_connections, @@connect_timeout";

// USER() is name@host; a name may hold an '@' too. The server's own threads are of nobody.
constexpr const char* sessions_sql =
    "SELECT ID, USER = LEFT(USER(), CHAR_LENGTH(USER()) - LOCATE('@', REVERSE(USER()))) FROM information_schema.PROCESSLIST "
    "WHERE ID <> CONNECTION_ID() AND USER NOT IN ('system user', 'event_scheduler')";

constexpr const char* privilege_sql =
    "SELECT COUNT(*) FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE = 'PROCESS' "
    "AND GRANTEE = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''')";

std::uint32_t count_of(std::int64_t n) { return static_cast<std::uint32_t>(std::clamp<std::int64_t>(n, 0, 1'000'000)); }

}  // namespace

awaitable<void> MysqlInspector::open(Deadline deadline) {
  if (session_) throw Error("the inspector is open already");
  session_ = co_await dialer_.dial(deadline);
  sql::Statement question(privilege_sql, {});
  const sql::Rows rows = co_await session_->run(std::move(question), deadline);
  sees_all_ = rows[0][0].as<std::int64_t>() > 0;
}

MysqlSession& MysqlInspector::opened() {
  if (!session_) throw Error("the inspector is not open");
  return *session_;
}

awaitable<pool::Capacity> MysqlInspector::capacity(Deadline deadline) {
  sql::Statement statement(capacity_sql, {});
  const sql::Rows rows = co_await opened().run(std::move(statement), deadline);
  pool::Capacity capacity;
  capacity.max_connections = count_of(rows[0][0].as<std::int64_t>());
  capacity.user_limit = count_of(rows[0][1].as<std::int64_t>());
  capacity.authentication_timeout = std::chrono::seconds(rows[0][2].as<std::int64_t>());
  co_return capacity;
}

awaitable<std::vector<pool::SeenSession>> MysqlInspector::sessions(Deadline deadline) {
  sql::Statement statement(sessions_sql, {});
  const sql::Rows rows = co_await opened().run(std::move(statement), deadline);
  std::vector<pool::SeenSession> seen;
  for (const sql::Row row : rows) {
    pool::SeenSession one;
    one.session = static_cast<std::uint64_t>(row[0].as<std::int64_t>());
    one.birth = session_birth();
    one.known_by = row[1].as<std::int64_t>() == 1 ? pool::KnownBy::user : pool::KnownBy::id;
    one.older = one.session < session();
    seen.push_back(std::move(one));
  }
  co_return seen;
}

awaitable<int> MysqlInspector::kill(const char* what, std::uint64_t session, Deadline deadline) {
  std::vector<sql::Value> parameters;
  parameters.push_back(sql::encode(session));
  sql::Statement statement(text(what, " $1"), std::move(parameters));
  int code = 0;
  try {
    co_await opened().run(std::move(statement), deadline);
  } catch (const sql::SqlError& e) {
    if (e.phase() == sql::Phase::lost) throw;
    code = e.native_code();
  }
  co_return code;
}

// A thread that the list does not show may be another user's: then the server says that it is not ours to end. One of
// this user would have been in the list, so nothing is interrupted by asking.
awaitable<bool> MysqlInspector::absent(std::uint64_t session, std::uint64_t birth, Deadline deadline) {
  if (birth != 0 && birth != session_birth()) co_return true;
  if (sees_all_) co_return true;
  const int code = co_await kill("KILL QUERY", session, deadline);
  static std::atomic_flag told;
  if (code == of_another_user && !told.test_and_set())
    log::warning(text("session ", session, " belongs to another user, so whether it is gone must be asked for one session at a time, and it can be ended by that user ",
                      "alone; GRANT PROCESS ON *.* TO this pool's user lets the janitor see all of them"));
  co_return code == unknown_thread;
}

awaitable<bool> MysqlInspector::end(const pool::SeenSession& session, Deadline deadline) {
  if (session.birth != session_birth()) co_return false;
  const int code = co_await kill("KILL CONNECTION", session.session, deadline);
  if (code == of_another_user) throw pool::Forbidden(text("session ", session.session, " is another user's: GRANT CONNECTION ADMIN (MySQL: CONNECTION_ADMIN) ON *.* TO this pool's user"));
  if (code != 0 && code != unknown_thread) throw Error(text("the server refuses to end session ", session.session, " [", code, "]"));
  co_return code == 0;
}

awaitable<bool> MysqlInspector::cancel(std::uint64_t session, std::uint64_t birth, Deadline deadline) {
  if (birth != session_birth()) co_return false;
  const int code = co_await kill("KILL QUERY", session, deadline);
  co_return code == 0;
}

awaitable<pool::CloseResult> MysqlInspector::close(Deadline deadline) noexcept {
  if (!session_) co_return pool::CloseResult::confirmed;
  const std::unique_ptr<MysqlSession> last = std::exchange(session_, nullptr);
  const bool ended = co_await close_session(*last, deadline);
  if (!ended) co_return pool::CloseResult::unconfirmed;
  try {
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer timer(executor, after_end_of_stream);
    error_code ignored;
    co_await timer.async_wait(asio::redirect_error(use_awaitable, ignored));
  } catch (const std::exception&) {
    co_return pool::CloseResult::unconfirmed;
  }
  co_return pool::CloseResult::confirmed;
}

}  // namespace sluice::mysql
