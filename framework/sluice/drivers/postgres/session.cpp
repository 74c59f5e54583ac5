#include <sluice/drivers/postgres/stale_form.hpp>
#include <sluice/drivers/postgres/turn.hpp>

#include <sluice/core/log.hpp>
#include <sluice/core/text.hpp>
#include <sluice/sql/placeholders.hpp>

#include <libpq-fe.h>
#include <sys/socket.h>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <random>
#include <utility>

namespace sluice::postgres {
namespace {

void log_notice(void*, const char* message) {
  std::string_view line = message ? message : "";
  while (!line.empty() && line.back() == '\n') line.remove_suffix(1);
  log::debug(text("postgres: ", line));
}

// How long past its deadline a statement may keep its caller while the server is asked to cancel it.
constexpr Duration cancel_patience = 2s;

bool is_copy(ExecStatusType status) { return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH; }

}  // namespace

void ClearResult::operator()(PGresult* result) const noexcept { PQclear(result); }

PostgresSession::PostgresSession(std::unique_ptr<Wire> wire, const Settings& settings)
    : wire_(std::move(wire)),
      line_(*wire_),
      cache_(settings.statement_cache),
      validation_query_(settings.validation_query),
      close_timeout_(settings.close_timeout),
      keep_statements_on_reset_(settings.keep_statements_on_reset),
      show_values_(settings.show_values) {
  PQsetNoticeProcessor(wire_->get(), log_notice, nullptr);
}

PostgresSession::~PostgresSession() = default;

bool PostgresSession::in_transaction() const noexcept {
  if (status_) return *status_ != 'I';
  return wire_->get() && PQtransactionStatus(wire_->get()) != PQTRANS_IDLE;
}

bool PostgresSession::in_failed_transaction() const noexcept {
  return status_ ? *status_ == 'E' : PQtransactionStatus(wire_->get()) == PQTRANS_INERROR;
}

// Half of the stream only: the other half brings the server's end of it, which proves that the session is gone.
void PostgresSession::interrupt() noexcept {
  if (running_ && PQsocket(wire_->get()) >= 0) ::shutdown(PQsocket(wire_->get()), SHUT_WR);
}

std::int64_t PostgresSession::announced_pid() const noexcept { return PQbackendPID(wire_->get()); }

awaitable<sql::Rows> PostgresSession::run(sql::Statement statement, Deadline deadline) {
  awaitable<sql::Rows> rows = run_text(statement.sql, std::move(statement.parameters), deadline);
  co_return co_await std::move(rows);
}

awaitable<sql::Rows> PostgresSession::run_anew(const std::string& sql, std::vector<sql::Value> values, Deadline deadline) {
  const Turn turn(*this, sql);
  const Parameters parameters(values, sql);
  std::string joined;
  const std::string& key = prepared_key(sql, values, joined);
  const StatementCache::Entry* const known = cache_.find(key);
  const bool alone = !in_transaction(), reused = known != nullptr;
  const Traces traces = look(known, sql, values.size());
  refuse_late(deadline, sql);
  std::string name;
  if (known)
    name = known->name;
  else
    name = co_await prepare(sql, key, parameters, traces, deadline);
  send(name, sql, parameters, traces);
  Result result = co_await exchange(sql, deadline);
  if (reused && PQresultStatus(result.get()) == PGRES_FATAL_ERROR && no_longer_fits(sqlstate_of(result.get()))) {
    // It did not run, so it may run anew.
    const bool still_there = sqlstate_of(result.get()) == changed_result;
    const std::string stale = "DEALLOCATE " + name;
    cache_.erase(key);
    if (alone && !in_transaction()) {
      if (still_there) result = co_await simple(stale, deadline);
      refuse_late(deadline, sql);
      name = co_await prepare(sql, key, parameters, traces, deadline);
      send(name, sql, parameters, traces);
      result = co_await exchange(sql, deadline);
    }
  }
  if (traces.statements) cache_.clear();
  check(result.get(), sql::Phase::execute, sql);
  StatementCache::Entry* const kept = cache_.find(key);
  if (kept) kept->described = kept->fixed();
  co_return sql::Rows(decode_result(result.get(), kept ? &kept->shape : nullptr));
}

Traces PostgresSession::look(const StatementCache::Entry* known, const std::string& sql, std::size_t parameters) const {
  // What the cache holds was looked at when it came there: most statements leave nothing behind.
  Traces traces;
  if (known && known->plain)
    traces.parameters = known->parameters;
  else
    traces = traces_of(sql);
  if (traces.parameters) sql::check_parameter_count(*traces.parameters, parameters, sql);
  return traces;
}

void PostgresSession::note(const Traces& traces) noexcept {
  state_changed_ |= traces.state;
  seeded_ |= traces.seed;
}

// The name of the new statement's prepared form; empty: it runs without one.
awaitable<std::string> PostgresSession::prepare(const std::string& sql, const std::string& key, const Parameters& parameters, const Traces& traces,
                                                Deadline deadline) {
  PGconn* const connection = libpq(sql);
  std::string name;
  // In a failed transaction nothing can be prepared or deallocated: the server's own error is what the caller should see.
  if (cache_.capacity() == 0 || in_failed_transaction()) co_return name;
  while (const std::optional<std::string> victim = cache_.victim()) {
    Result gone = co_await simple("DEALLOCATE " + *victim, deadline);
    if (PQresultStatus(gone.get()) != PGRES_COMMAND_OK && sqlstate_of(gone.get()) != no_such_statement) break;
    cache_.drop_victim();
  }
  name = text("sluice_", next_statement_++);
  sent(PQsendPrepare(connection, name.c_str(), sql.c_str(), parameters.count(), parameters.types()), sql);
  Result prepared = co_await exchange(sql, deadline);
  if (PQresultStatus(prepared.get()) != PGRES_COMMAND_OK) check(prepared.get(), sql::Phase::prepare, sql);
  if (!cache_.victim()) cache_.insert(key, name, !traces.state && !traces.statements, traces.parameters);
  co_return name;
}

void PostgresSession::send(const std::string& name, const std::string& sql, const Parameters& parameters, const Traces& traces) {
  note(traces);
  PGconn* const connection = libpq(sql);
  const int ok =
      name.empty() ? PQsendQueryParams(connection, sql.c_str(), parameters.count(), parameters.types(), parameters.values(), parameters.lengths(),
                                       parameters.formats(), 0)
                   : PQsendQueryPrepared(connection, name.c_str(), parameters.count(), parameters.values(), parameters.lengths(), parameters.formats(), 0);
  sent(ok, sql);
}

awaitable<Result> PostgresSession::simple(std::string sql, Deadline deadline) {
  refuse_late(deadline, sql);
  sent(PQsendQuery(libpq(sql), sql.c_str()), sql);
  Result result = co_await exchange(sql, deadline);
  co_return result;
}

awaitable<sql::Rows> PostgresSession::ask(std::string sql, Deadline deadline) {
  const Turn turn(*this, sql);
  Result result = co_await simple(sql, deadline);
  check(result.get(), sql::Phase::execute, sql);
  co_return sql::Rows(decode_result(result.get()));
}

void PostgresSession::sent(int ok, const std::string& sql) {
  if (ok) {
    unfinished_ = true;
    status_.reset();  // libpq hears of the next one
    return;
  }
  if (PQstatus(wire_->get()) != CONNECTION_OK) lost(nullptr, sql);
  const std::string shown = sql::shorten(sql);
  throw sql::SqlError(sql::Phase::encode, sql::Class::other, "", 0, text(PQerrorMessage(wire_->get()), " in: ", shown), shown);
}

void PostgresSession::lost(const PGresult* last, const std::string& sql) {
  lost(last ? PQresultErrorMessage(last) : PQerrorMessage(wire_->get()), last ? sqlstate_of(last) : std::string(), sql);
}

void PostgresSession::lost(std::string message, const std::string& code, const std::string& sql) {
  broken = true;
  for (char& c : message) c = c == '\n' ? ' ' : c;
  while (!message.empty() && message.back() == ' ') message.pop_back();
  const std::string shown = sql::shorten(sql);
  throw sql::SqlError(sql::Phase::lost, sql::Class::connection, code.empty() ? "08006" : code, 0,
                      text("the connection was lost: ", message, "; in: ", shown), shown);
}

void PostgresSession::refuse_copy(const std::string& sql) {
  throw sql::SqlError(sql::Phase::execute, sql::Class::other, "0A000", 0, "COPY from or to the client is not supported here: " + sql::shorten(sql));
}

void PostgresSession::check(const PGresult* result, sql::Phase phase, const std::string& sql) {
  switch (PQresultStatus(result)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY: return;
    default: throw error(result, phase, sql);
  }
}

awaitable<Result> PostgresSession::exchange(const std::string& sql, Deadline deadline) {
  PGconn* const connection = wire_->get();
  Result kept;
  Patience patience{deadline};
  for (;;) {
    const int pending = PQflush(connection);
    while (!PQisBusy(connection)) {
      Result next(PQgetResult(connection));
      if (!next) {
        answered(kept.get(), sql);
        if (!kept) throw sql::SqlError(sql::Phase::fetch, sql::Class::other, "08P01", 0, "the server gave no result for: " + sql::shorten(sql));
        if (patience.timed_out && sqlstate_of(kept.get()) == "57014") {
          throw TimedOut("the statement did not end before its deadline and was cancelled on the server: " + sql::shorten(sql));
        }
        co_return kept;
      }
      if (is_copy(PQresultStatus(next.get()))) refuse_copy(sql);
      if (ends_connection(next.get())) lost(next.get(), sql);
      if (!kept || PQresultStatus(kept.get()) != PGRES_FATAL_ERROR) kept = std::move(next);
    }
    const Wake wake = co_await wire_->wait(true, pending == 1, patience.deadline);
    if (!listen_to(wake)) co_await expire(sql, patience);
  }
}

awaitable<void> PostgresSession::more(bool write, const std::string& sql, Patience& patience) {
  const Wake wake = co_await wire_->wait(true, write, patience.deadline);
  if (!listen_to(wake)) co_await expire(sql, patience);
}

bool PostgresSession::listen_to(Wake wake) {
  if (wake == Wake::cancelled) throw boost::system::system_error(asio::error::operation_aborted);
  // A failure is not the end of reading: the server's last words may be in the buffer already.
  if (wake == Wake::ready) PQconsumeInput(wire_->get());
  return wake == Wake::ready;
}

awaitable<void> PostgresSession::expire(const std::string& sql, Patience& patience) {
  if (patience.timed_out) throw TimedOut("the statement did not end before its deadline, and the server did not cancel it: " + sql::shorten(sql));
  patience.timed_out = true;
  patience.deadline = Deadline::after(std::min<Duration>(close_timeout_, cancel_patience));
  const bool asked = co_await cancel_on_server(wire_->get(), patience.deadline);
  if (!asked) throw TimedOut("the statement did not end before its deadline, and the server could not be asked to cancel it: " + sql::shorten(sql));
}

void PostgresSession::answered(const PGresult* last, const std::string& sql) {
  if (PQstatus(wire_->get()) != CONNECTION_OK) lost(last, sql);
  unfinished_ = false;
  keep_notifications();
}

void PostgresSession::keep_notifications() {
  while (PGnotify* raw = PQnotifies(wire_->get())) {
    const std::unique_ptr<PGnotify, void (*)(void*)> notify(raw, PQfreemem);
    if (listening_) notifications_.push_back(sql::Notification{notify->relname, notify->extra});
  }
}

awaitable<void> PostgresSession::run_script(std::string sql, Deadline deadline) {
  const Turn turn(*this, sql);
  const Traces traces = traces_of(sql);
  note(traces);
  Result result = co_await simple(sql, deadline);
  if (traces.statements) cache_.clear();
  check(result.get(), sql::Phase::execute, sql);
}

awaitable<void> PostgresSession::begin(sql::TransactionOptions options, Deadline deadline) {
  const std::string sql = text("BEGIN ISOLATION LEVEL ", sql::to_sql(options.isolation), options.read_only ? " READ ONLY" : "");
  const Turn turn(*this, sql);
  if (in_transaction()) throw sql::SqlError(sql::Phase::execute, sql::Class::other, "25001", 0, "a transaction is open on this connection already");
  Result result = co_await simple(sql, deadline);
  check(result.get(), sql::Phase::execute, sql);
}

awaitable<void> PostgresSession::commit(Deadline deadline) {
  const std::string sql = "COMMIT";
  const Turn turn(*this, sql);
  Result result;
  std::string unknown;
  std::string code = "08007";
  try {
    result = co_await simple(sql, deadline);
  } catch (const sql::SqlError& e) {
    unknown = e.what();
    code = e.sqlstate();
  } catch (const TimedOut& e) {
    unknown = e.what();
    broken = true;
  }
  if (!unknown.empty())
    throw sql::SqlError(sql::Phase::commit, sql::Class::connection, code, 0, "whether the transaction was committed is unknown: " + unknown, sql);
  check(result.get(), sql::Phase::commit, sql);
  // The server answers COMMIT of a failed transaction with a success that says ROLLBACK.
  if (std::string_view(PQcmdStatus(result.get())) != "COMMIT") {
    throw sql::SqlError(sql::Phase::commit, sql::Class::other, "25P02", 0, "the transaction was rolled back, because a statement in it had failed",
                        sql);
  }
}

awaitable<void> PostgresSession::rollback(Deadline deadline) {
  const std::string sql = "ROLLBACK";
  const Turn turn(*this, sql);
  Result result = co_await simple(sql, deadline);
  check(result.get(), sql::Phase::execute, sql);
}

awaitable<void> PostgresSession::ping(Deadline deadline) {
  const Turn turn(*this, validation_query_);
  Result result = co_await simple(validation_query_, deadline);
  check(result.get(), sql::Phase::execute, validation_query_);
}

awaitable<void> PostgresSession::reset(Deadline deadline) {
  const Turn turn(*this, "DISCARD ALL");
  if (in_transaction()) {
    Result rolled_back = co_await simple("ROLLBACK", deadline);
    check(rolled_back.get(), sql::Phase::execute, "ROLLBACK");
  }
  // DISCARD ALL throws the prepared statements away with the rest: only where there is something to discard.
  if (keep_statements_on_reset_ && !state_changed_) co_return;
  Result discarded = co_await simple("DISCARD ALL", deadline);
  check(discarded.get(), sql::Phase::execute, "DISCARD ALL");
  cache_.clear();
  if (seeded_) {
    std::random_device random;
    std::string seed = text("SELECT setseed(", std::uniform_real_distribution<double>(-1, 1)(random), ")");
    Result seeded = co_await simple(std::move(seed), deadline);
    check(seeded.get(), sql::Phase::execute, "SELECT setseed");
  }
  seeded_ = false;
  state_changed_ = false;
  listening_ = false;
  notifications_.clear();
}

awaitable<bool> PostgresSession::close(Deadline deadline) {
  broken = true;
  // A busy server process would finish its statement first. It gets half of the time to listen; then the end of our stream
  // must do (the server looks for that every client_connection_check_interval).
  if (PQstatus(wire_->get()) == CONNECTION_OK && (unfinished_ || PQtransactionStatus(wire_->get()) == PQTRANS_ACTIVE)) {
    const Duration rest = deadline.is_never() ? close_timeout_ : deadline.remaining(Clock::now());
    const bool asked = co_await cancel_on_server(wire_->get(), Deadline::after(rest / 2));
    if (!asked) log::debug("postgres: a busy connection is closed without a cancel: the server could not be asked");
  }
  const bool gone = co_await wire_->farewell(deadline);
  co_return gone;
}

}  // namespace sluice::postgres
