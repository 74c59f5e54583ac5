#include <sluice/drivers/mysql/session.hpp>

#include <sluice/core/log.hpp>
#include <sluice/core/text.hpp>
#include <sluice/drivers/mysql/exchange.hpp>
#include <sluice/drivers/mysql/sharing.hpp>
#include <sluice/pool/statement_cancel.hpp>

#include <mysql.h>

#include <algorithm>
#include <exception>
#include <utility>

namespace sluice::mysql {

MysqlSession::Turn::Turn(MysqlSession& session, const std::string& sql) : session_(session) {
  if (session.running_) {
    const std::string shown = sql::shorten(sql);
    throw sql::SqlError(sql::Phase::execute, sql::Class::other, "", 0, "another statement runs on this connection: await it first: " + shown, shown);
  }
  if (session.broken) {
    const std::string shown = sql::shorten(sql);
    throw sql::SqlError(sql::Phase::lost, sql::Class::connection, "08003", 0, "this connection is broken, see its first error: " + shown, shown);
  }
  session.running_ = true;
  session.timed_out_ = false;
}

MysqlSession::Turn::~Turn() {
  session_.running_ = false;
  if (session_.unfinished_) {
    // What the server still sends must not hold up whoever frees the handle.
    session_.broken = true;
    session_.wire_->shut_down();
  }
  session_.dirty = session_.state_changed_ || session_.began_ || session_.in_transaction();
}

void refuse_late(Deadline deadline, const std::string& sql) {
  if (deadline.passed(Clock::now())) throw TimedOut("the deadline had passed before this was sent: " + sql::shorten(sql));
}

MysqlSession::MysqlSession(const asio::any_io_executor& executor, Opened opened, const Settings& settings)
    : cache_(opened.statements > 0 ? std::min(settings.statement_cache, opened.statements) : settings.statement_cache),
      wire_(std::make_unique<Wire>(executor, opened.handle.release())),
      database_(settings.database),
      validation_query_(settings.validation_query),
      statement_timeout_(settings.statement_timeout),
      close_timeout_(settings.close_timeout),
      limit_(settings.statement_timeout),
      max_packet_(opened.max_packet),
      mariadb_(opened.mariadb),
      show_values_(settings.show_values),
      keep_statements_on_reset_(settings.keep_statements_on_reset) {
  session = opened.session;
  session_birth = opened.session_birth;
}

MysqlSession::~MysqlSession() { wire_.reset(); }

bool MysqlSession::in_transaction() const noexcept { return wire_ && wire_->get() && (wire_->get()->server_status & SERVER_STATUS_IN_TRANS) != 0; }

bool MysqlSession::backslash_escapes() const noexcept { return (wire_->get()->server_status & SERVER_STATUS_NO_BACKSLASH_ESCAPES) == 0; }

void MysqlSession::note_state(const PreparedRef& prepared, const std::string& sql) {
  state_changed_ = state_changed_ || (prepared ? !prepared->plain : leaves_state(sql, backslash_escapes()));
}

void MysqlSession::refuse_ended(const std::string& sql) const {
  if (ended_ == Ended::no) return;
  const std::string shown = sql::shorten(sql);
  throw sql::SqlError(
      sql::Phase::execute, sql::Class::other, ended_ == Ended::committed ? "25000" : "25P02", 0,
      sluice::text(ended_ == Ended::committed ? "the transaction is over: a statement in it (DDL, LOCK TABLES, …) committed it; this did not run: "
                                              : "the transaction is over: the server rolled it back with an earlier error; this did not run: ",
                   shown),
      shown);
}

void MysqlSession::note_end(bool failed) {
  if (began_ && ended_ == Ended::no && !broken && !in_transaction()) ended_ = failed ? Ended::rolled_back : Ended::committed;
}

awaitable<sql::Rows> MysqlSession::run(sql::Statement statement, Deadline deadline) {
  PreparedRef prepared;  // before the turn: freed after it
  const Turn turn(*this, statement.sql);
  refuse_ended(statement.sql);
  std::shared_ptr<sql::ResultSet> set;
  std::exception_ptr failure;
  try {
    set = co_await run_once(prepared, statement, deadline);
  } catch (...) {
    failure = std::current_exception();
  }
  if (prepared && prepared->handle && !unfinished_ && !broken && !keeps(prepared)) co_await forget(prepared);
  if (failure && began_ && !broken && !unfinished_) co_await refresh_status();
  note_end(failure != nullptr);
  if (failure) std::rethrow_exception(std::exchange(failure, nullptr));
  co_return sql::Rows(std::move(set));
}

awaitable<void> MysqlSession::run_script(std::string sql, Deadline deadline) {
  const Turn turn(*this, sql);
  refuse_ended(sql);
  note_state(nullptr, sql);
  check_size(sql.size(), sql);
  co_await limit_on_server(deadline);
  if (reads_only_) co_await keep_to_reads(false, deadline);
  co_await switch_scripts(true, deadline);
  std::exception_ptr failure;
  try {
    co_await text(sql, true, sql::Phase::execute, deadline);
  } catch (...) {
    failure = std::current_exception();
  }
  if (!unfinished_ && !broken) {
    co_await switch_scripts(false, Deadline::after(close_timeout_));
    note_end(failure != nullptr);
  }
  if (failure) std::rethrow_exception(std::exchange(failure, nullptr));
}

awaitable<void> MysqlSession::begin(sql::TransactionOptions options, Deadline deadline) {
  const std::string sql = options.read_only ? "START TRANSACTION READ ONLY" : "START TRANSACTION READ WRITE";
  const Turn turn(*this, sql);
  if (in_transaction() || began_)
    throw sql::SqlError(sql::Phase::execute, sql::Class::other, "25001", 0, "a transaction is open on this connection already");
  const bool changed = state_changed_;
  if (options.isolation != sql::Isolation::standard) {
    // In force for the next transaction, whoever begins it: until that is ours the session is changed.
    state_changed_ = true;
    const std::string level = sluice::text("SET TRANSACTION ISOLATION LEVEL ", sql::to_sql(options.isolation));
    co_await text(level, false, sql::Phase::execute, deadline);
  }
  co_await text(sql, false, sql::Phase::execute, deadline);
  state_changed_ = changed;
  began_ = true;
  ended_ = Ended::no;
}

awaitable<void> MysqlSession::commit(Deadline deadline) {
  const std::string sql = "COMMIT";
  const Turn turn(*this, sql);
  if (ended_ == Ended::rolled_back) {
    began_ = false;
    ended_ = Ended::no;
    throw sql::SqlError(sql::Phase::commit, sql::Class::other, "25P02", 0,
                        "the transaction was rolled back by the server, with the error of a statement in it", sql);
  }
  std::string unknown, code = "08007";
  int native = 0;
  try {
    co_await limit_on_server(deadline);  // the last statement's may be shorter
    co_await text(sql, false, sql::Phase::commit, deadline);
  } catch (const sql::SqlError& e) {
    if (e.phase() != sql::Phase::lost) throw;
    unknown = e.what();
    code = e.sqlstate();
    native = e.native_code();
  } catch (const TimedOut& e) {
    unknown = e.what();
    broken = true;
  }
  if (!unknown.empty())
    throw sql::SqlError(sql::Phase::commit, sql::Class::connection, code, native, "whether the transaction was committed is unknown: " + unknown,
                        sql);
  began_ = false;
  ended_ = Ended::no;
}

awaitable<void> MysqlSession::rollback(Deadline deadline) {
  const std::string sql = "ROLLBACK";
  const Turn turn(*this, sql);
  co_await limit_on_server(deadline);
  co_await text(sql, false, sql::Phase::execute, deadline);
  began_ = false;
  ended_ = Ended::no;
}

awaitable<void> MysqlSession::ping(Deadline deadline) {
  const std::string asked = validation_query_.empty() ? "ping" : validation_query_;
  const Turn turn(*this, asked);
  if (!validation_query_.empty()) {
    if (reads_only_ && sharing_of(validation_query_) != sql::Sharing::reads) co_await keep_to_reads(false, deadline);
    co_await text(validation_query_, false, sql::Phase::execute, deadline);
    co_return;
  }
  MYSQL* const m = wire_->get();
  int failed = 0;
  auto step = [&](int ready) { return ready ? mysql_ping_cont(&failed, m, ready) : mysql_ping_start(&failed, m); };
  Call call = start(step);
  if (!call.done()) co_await finish(call, asked, deadline);
  if (failed) fail(report(), sql::Phase::execute, asked);
  unfinished_ = false;
}

awaitable<void> MysqlSession::reset(Deadline deadline) {
  const std::string asked = "(reset of the connection)";
  const Turn turn(*this, asked);
  if (began_ || in_transaction()) {
    const std::string rollback = "ROLLBACK";
    co_await text(rollback, false, sql::Phase::execute, deadline);
    began_ = false;
    ended_ = Ended::no;
  }
  // It throws the prepared statements away with the rest: only where there is something to reset.
  if (keep_statements_on_reset_ && !state_changed_) co_return;
  MYSQL* const m = wire_->get();
  int failed = 0;
  auto step = [&](int ready) { return ready ? mysql_reset_connection_cont(&failed, m, ready) : mysql_reset_connection_start(&failed, m); };
  Call call = start(step);
  if (!call.done()) co_await finish(call, asked, deadline);
  cache_.clear();  // the library has detached the handles
  if (failed) fail(report(), sql::Phase::execute, asked);
  reads_only_ = false;
  unfinished_ = false;
  const std::string setup = session_setup(mariadb_, statement_timeout_), isolation = isolation_setup;
  co_await text(setup, false, sql::Phase::execute, deadline);
  co_await text(isolation, false, sql::Phase::execute, deadline);
  co_await choose_database(deadline);
  limit_ = statement_timeout_;
  reader_ = Reader::prompt;
  state_changed_ = false;
}

// Back to the url's: a reset leaves the chosen one.
awaitable<void> MysqlSession::choose_database(Deadline deadline) {
  MYSQL* const m = wire_->get();
  const std::string asked = "(choosing the database)";
  if (database_.empty()) {
    if (m->db && *m->db) throw sql::SqlError(sql::Phase::execute, sql::Class::other, "", 0, "a chosen database cannot be given up", asked);
    co_return;
  }
  int failed = 0;
  auto step = [&](int ready) { return ready ? mysql_select_db_cont(&failed, m, ready) : mysql_select_db_start(&failed, m, database_.c_str()); };
  Call call = start(step);
  if (!call.done()) co_await finish(call, asked, deadline);
  if (failed) fail(report(), sql::Phase::execute, asked);
  unfinished_ = false;
}

void MysqlSession::interrupt() noexcept {
  if (running_ && cancel) pool::StatementCancel(*cancel).ask();
}

awaitable<bool> MysqlSession::close(Deadline deadline) {
  const bool usable = !broken && !unfinished_ && !running_;
  broken = true;
  if (!usable) {
    // The server would notice the end of our stream only when its statement is done.
    if (cancel && unfinished_) pool::StatementCancel(*cancel).ask();
    wire_.reset();
    co_return false;
  }
  MYSQL* const m = wire_->get();
  const Duration rest = deadline.is_never() ? close_timeout_ : deadline.remaining(Clock::now());
  int failed = 0;
  {
    // What it still has to roll back is done before the goodbye, and seen to be.
    auto step = [&](int ready) { return ready ? mysql_reset_connection_cont(&failed, m, ready) : mysql_reset_connection_start(&failed, m); };
    Call call(*wire_, step);
    const Wake wake = co_await call.finish(Deadline::after(rest * 3 / 4));
    if (wake != Wake::ready) log::debug("mysql: a connection is closed without a reset: the server did not answer in time");
  }
  cache_.clear();
  const bool ended = co_await wire_->farewell(deadline);
  co_return ended;
}

}  // namespace sluice::mysql
