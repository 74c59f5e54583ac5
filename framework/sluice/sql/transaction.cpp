#include <sluice/core/text.hpp>
#include <sluice/sql/bulk_insert.hpp>
#include <sluice/sql/transaction.hpp>

#include <exception>

namespace sluice::sql {

Transaction& Transaction::operator=(Transaction&& other) noexcept {
  if (this == &other) return *this;
  abandon();
  lease_ = std::move(other.lease_);
  statement_timeout_ = other.statement_timeout_;
  watch_ = std::move(other.watch_);
  savepoints_ = other.savepoints_;
  return *this;
}

void Transaction::abandon() noexcept {
  if (!lease_) return;
  if (!lease_.reclaimed()) lease_->dirty = true;
  lease_.release();
}

Session& Transaction::session() const {
  if (!lease_) throw Error("the transaction is over: it was committed, rolled back or moved from");
  return static_cast<Session&>(lease_.connection());
}

Deadline Transaction::deadline(std::optional<Within> limit) const noexcept {
  if (limit) return Deadline::after(limit->limit);
  return statement_timeout_ > Duration::zero() ? Deadline::after(statement_timeout_) : Deadline::never();
}

awaitable<Rows> Transaction::run(Statement statement, std::optional<Within> limit) {
  Session& on = session();
  StatementWatch::Running running(*watch_, statement.sql, &statement.parameters);
  running.on(on);
  Rows rows = co_await on.run_text(statement.sql, std::move(statement.parameters), deadline(limit));
  running.succeeded();
  co_return rows;
}

awaitable<Stream> Transaction::stream(Statement statement, std::optional<Within> limit) {
  Session& on = session();
  const Deadline overall = limit ? Deadline::after(limit->limit) : Deadline::never();
  StatementWatch::Running running(*watch_, statement.sql, &statement.parameters);
  running.on(on);
  std::unique_ptr<RowSource> source = co_await on.open_stream(std::move(statement), deadline(limit), overall);
  Stream stream(pool::Lease(), std::move(source), watch_, std::move(running), statement_timeout_, overall);
  co_return stream;
}

awaitable<BulkInsert> Transaction::bulk_insert(std::string table, std::vector<std::string> columns) {
  Session& on = session();
  const std::size_t width = columns.size();
  BulkTarget target = bulk_target(table, std::move(columns));
  StatementWatch::Running running(*watch_, describe(target));
  running.on(on);
  co_await on.bulk_begin(std::move(target), deadline(std::nullopt));
  BulkInsert bulk(std::nullopt, on, width, statement_timeout_, watch_, std::move(running));
  co_return bulk;
}

awaitable<Savepoint> Transaction::savepoint() {
  const Savepoint made{++savepoints_};
  std::string sql = text("SAVEPOINT sluice_", made.number);
  co_await session().run_script(std::move(sql), deadline(std::nullopt));
  co_return made;
}

awaitable<void> Transaction::rollback_to(Savepoint to) {
  std::string sql = text("ROLLBACK TO SAVEPOINT sluice_", to.number);
  co_await session().run_script(std::move(sql), deadline(std::nullopt));
}

awaitable<void> Transaction::release(Savepoint savepoint) {
  std::string sql = text("RELEASE SAVEPOINT sluice_", savepoint.number);
  co_await session().run_script(std::move(sql), deadline(std::nullopt));
}

awaitable<std::uint64_t> Transaction::run_execute(Statement statement, std::optional<Within> limit) {
  const Rows rows = co_await run(std::move(statement), limit);
  co_return rows.affected();
}

// What still reads refers to the session, which these give back.
void Transaction::refuse_open_stream(const char* what) const {
  if (session().being_read())
    throw Error(text("a stream of this transaction is open: read it to its end, or close or destroy it, before ", what));
}

awaitable<void> Transaction::commit() {
  refuse_open_stream("commit()");
  Session& on = session();
  std::exception_ptr failure;
  std::string cause;
  try {
    co_await on.commit(deadline(std::nullopt));
  } catch (const SqlError& e) {
    failure = std::current_exception();
    if (e.phase() != Phase::commit) cause = e.what();
  } catch (const std::exception& e) {
    failure = std::current_exception();
    cause = e.what();
  }
  if (!failure) {
    lease_.release();
    co_return;
  }
  abandon();
  if (cause.empty()) std::rethrow_exception(failure);
  throw SqlError(Phase::commit, Class::connection, "", 0, text("the outcome of COMMIT is unknown: ", cause), "COMMIT");
}

awaitable<void> Transaction::rollback() {
  refuse_open_stream("rollback()");
  Session& on = session();
  bool failed = false;
  try {
    co_await on.rollback(deadline(std::nullopt));
  } catch (const std::exception&) {
    failed = true;
  }
  if (failed) {
    lease_.discard();
  } else {
    lease_.release();
  }
}

}  // namespace sluice::sql
