// Results that are read row by row (libpq's single-row mode): what has come is handed on, what has not is left in the socket,
// so the server waits and memory stays small.
#include <sluice/drivers/postgres/turn.hpp>

#include <libpq-fe.h>

#include <algorithm>
#include <utility>

namespace sluice::postgres {
namespace {

constexpr std::size_t rows_at_once = 512;
constexpr std::size_t bytes_at_once = 64 * 1024;

}  // namespace

class PostgresSession::Stream final : public sql::RowSource {
 public:
  Stream(PostgresSession& session, std::string sql) : sql::RowSource(session), session_(session), sql_(std::move(sql)) {}

  awaitable<std::shared_ptr<const sql::ResultSet>> next(Deadline deadline) override {
    PGconn* const connection = session_.wire_->get();
    Patience patience{deadline};
    std::shared_ptr<sql::ResultSet> set = std::move(first_);
    std::size_t bytes = 0;
    // Rows that keep coming leave no moment to wait in, so the limit of the whole is looked at here.
    if (!ended_ && deadline.passed(Clock::now())) {
      co_await session_.expire(sql_, patience);
      co_await session_.drain(sql_, patience);
      finish();
      throw TimedOut("the result did not come to its end before its deadline; the statement was cancelled on the server: " + sql::shorten(sql_));
    }
    while (!ended_) {
      while (!PQisBusy(connection)) {
        if (set && (set->row_count >= rows_at_once || bytes >= bytes_at_once)) co_return set;
        const Result result(PQgetResult(connection));
        if (!result) {
          finish();
          break;
        }
        if (!set) set = std::make_shared<sql::ResultSet>();
        bytes += take(result.get(), *set, patience);
      }
      if (ended_ || (set && set->row_count > 0)) break;
      co_await session_.more(false, sql_, patience);
    }
    if (failure_ && (!set || set->row_count == 0)) std::rethrow_exception(std::exchange(failure_, nullptr));
    if (!set || set->row_count == 0) co_return nullptr;
    co_return set;
  }

  awaitable<void> stop(Deadline deadline) override {
    if (ended_) co_return;
    const bool asked = co_await cancel_on_server(session_.wire_->get(), deadline);
    if (!asked) co_return;  // the session stays broken
    Patience patience{deadline};
    co_await session_.drain(sql_, patience);
    finish();
  }

 private:
  // An error is kept: the rows before it are handed on first.
  std::size_t take(const PGresult* result, sql::ResultSet& set, const Patience& patience) {
    const ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_SINGLE_TUPLE || status == PGRES_TUPLES_OK) return append_rows(result, set);
    if (ends_connection(result)) session_.lost(result, sql_);
    if (status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY) return 0;
    if (status != PGRES_FATAL_ERROR)
      failure_ =
          std::make_exception_ptr(sql::SqlError(sql::Phase::fetch, sql::Class::other, "0A000", 0, "COPY gives no rows: " + sql::shorten(sql_)));
    else if (patience.timed_out && sqlstate_of(result) == "57014")
      failure_ = std::make_exception_ptr(
          TimedOut("the result did not come before its deadline; the statement was cancelled on the server: " + sql::shorten(sql_)));
    else
      failure_ = std::make_exception_ptr(session_.error(result, sql::Phase::fetch, sql_));
    return 0;
  }

  void finish() {
    ended_ = true;
    session_.answered(nullptr, sql_);
    session_.running_ = false;
    session_.broken = false;
    session_.dirty = session_.state_changed_ || session_.in_transaction();
  }

  friend class PostgresSession;
  PostgresSession& session_;
  const std::string sql_;
  std::shared_ptr<sql::ResultSet> first_;
  std::exception_ptr failure_;
  bool ended_ = false;
};

awaitable<void> PostgresSession::drain(const std::string& sql, Patience& patience) {
  PGconn* const connection = wire_->get();
  for (;;) {
    while (!PQisBusy(connection)) {
      const Result result(PQgetResult(connection));
      if (!result) co_return;
      if (ends_connection(result.get())) lost(result.get(), sql);
      if (PQresultStatus(result.get()) == PGRES_COPY_OUT || PQresultStatus(result.get()) == PGRES_COPY_BOTH) lost(result.get(), sql);
    }
    co_await more(false, sql, patience);
  }
}

awaitable<std::unique_ptr<sql::RowSource>> PostgresSession::open_stream(sql::Statement statement, Deadline deadline, Deadline) {
  std::unique_ptr<Stream> stream;
  {
    const Turn turn(*this, statement.sql);
    std::string joined;
    const StatementCache::Entry* const known = cache_.find(prepared_key(statement.sql, statement.parameters, joined));
    const Traces traces = look(known, statement.sql, statement.parameters.size());
    const Parameters parameters(std::move(statement.parameters), statement.sql);
    note(traces);
    // Never prepared by name: what it costs does not count here, and a prepared form that no longer fits need not be met.
    PGconn* const connection = libpq(statement.sql);
    sent(PQsendQueryParams(connection, statement.sql.c_str(), parameters.count(), parameters.types(), parameters.values(), parameters.lengths(),
                           parameters.formats(), 0),
         statement.sql);
    if (traces.statements) cache_.clear();
    PQsetSingleRowMode(wire_->get());
    Patience patience{deadline};
    co_await flush(statement.sql, patience);
    stream = std::make_unique<Stream>(*this, std::move(statement.sql));
  }
  // The Turn's end has left it broken, because an answer is owed: from here on that is the stream's.
  running_ = true;
  // What is wrong with the statement is told here, not at the first row.
  std::shared_ptr<const sql::ResultSet> first = co_await stream->next(deadline);
  stream->first_ = std::const_pointer_cast<sql::ResultSet>(first);
  std::unique_ptr<sql::RowSource> source = std::move(stream);
  co_return source;
}

}  // namespace sluice::postgres
