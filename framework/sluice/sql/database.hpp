// The SQL face of a pool, or of another source of connections: `auto& db = context().sql("main");`. One loop's own; lives as long as the statements it started.
//
// Arguments are encoded before anything suspends, so references to locals are safe. Statements run on a pooled connection
// in autocommit; a transaction holds one connection until it ends. Nothing here blocks the loop.
//
// Time: acquiring a connection is bounded by the pool's acquire_timeout, the statement by its statement_timeout (0: unbounded).
// A call with within(…) takes no longer than that in all; its limit then replaces statement_timeout.
// Errors: PoolError (no connection), SqlError (the statement), TimedOut (past the deadline; the statement was ended on the server).
// A statement whose connection is lost is not repeated.
#pragma once

#include <sluice/pool/connection_source.hpp>
#include <sluice/pool/retry.hpp>
#include <sluice/sql/bulk_insert.hpp>
#include <sluice/sql/known_texts.hpp>
#include <sluice/sql/listener.hpp>
#include <sluice/sql/retryable.hpp>
#include <sluice/sql/session.hpp>
#include <sluice/sql/sql_text.hpp>
#include <sluice/sql/statement_watch.hpp>
#include <sluice/sql/stream.hpp>
#include <sluice/sql/transaction.hpp>

#include <boost/assert/source_location.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace sluice::sql {

class Pipeline;

class Database {
 public:
  // Throws sluice::Error naming the source if its driver does not speak SQL. Statements are counted and shown on `board`.
  explicit Database(pool::ConnectionSource& source, StatementBoard board = {});

  template <class... Args>
  awaitable<Rows> query(SqlText sql, const Args&... args) {
    return run(sql, make_parameters(sql.text, args...), CallLimit());
  }
  template <class... Args>
  awaitable<Rows> query(Within limit, SqlText sql, const Args&... args) {
    return run(sql, make_parameters(sql.text, args...), CallLimit(limit));
  }
  // The number of rows changed.
  template <class... Args>
  awaitable<std::uint64_t> execute(SqlText sql, const Args&... args) {
    return run_execute(make_statement(sql.text, args...), std::nullopt, sql.where);
  }
  template <class... Args>
  awaitable<std::uint64_t> execute(Within limit, SqlText sql, const Args&... args) {
    return run_execute(make_statement(sql.text, args...), limit, sql.where);
  }

  // One statement that is put together already.
  awaitable<Rows> run(Statement statement, std::optional<Within> limit = {}, boost::source_location where = BOOST_CURRENT_LOCATION);
  // A result read row by row in bounded memory, on a connection of its own until it has ended. See sql/stream.hpp.
  template <class... Args>
  awaitable<Stream> stream(SqlText sql, const Args&... args) {
    return stream(make_statement(sql.text, args...), std::nullopt, sql.where);
  }
  template <class... Args>
  awaitable<Stream> stream(Within limit, SqlText sql, const Args&... args) {
    return stream(make_statement(sql.text, args...), limit, sql.where);
  }
  awaitable<Stream> stream(Statement statement, std::optional<Within> limit = {}, boost::source_location where = BOOST_CURRENT_LOCATION);
  // Many rows into one table, all or none: bulk_insert("orders", "user_id", "item"). See sql/bulk_insert.hpp.
  template <class... Columns>
  awaitable<BulkInsert> bulk_insert(SqlText table, const Columns&... columns) {
    std::vector<std::string> names;
    (names.emplace_back(columns), ...);
    return bulk_insert(std::string(table.text), std::move(names), table.where);
  }
  awaitable<BulkInsert> bulk_insert(std::string table, std::vector<std::string> columns, boost::source_location where = BOOST_CURRENT_LOCATION);
  // Messages of a channel (PostgreSQL). See sql/listener.hpp.
  awaitable<Listener> listen(std::string channel, boost::source_location where = BOOST_CURRENT_LOCATION);

  // Runs `body` in a transaction and commits; rolls back if it throws; runs it again, from the start and in a fresh transaction, after
  // failures of which nothing remains: serialization failures, deadlocks, a busy database, a BEGIN that failed (sql/retryable.hpp, pool/retry.hpp). So
  // what `body` does outside of the database it may do several times. It is a named callable `awaitable<T>(sql::Transaction&)` that
  // lives until this has ended:
  //
  //   auto transfer = [&](sql::Transaction& tx) -> sluice::awaitable<void> { co_await tx.execute("UPDATE …", from); … };
  //   co_await db.transaction(transfer);
  //
  // Only a named one compiles: g++ 12 destroys a temporary one too early.
  template <class Body>
  auto transaction(Body& body, boost::source_location where = BOOST_CURRENT_LOCATION) -> std::invoke_result_t<Body&, Transaction&> {
    return repeat(TransactionOptions(), retry_policy(), body, where);
  }
  template <class Body>
  auto transaction(TransactionOptions options, Body& body, boost::source_location where = BOOST_CURRENT_LOCATION)
      -> std::invoke_result_t<Body&, Transaction&> {
    return repeat(options, retry_policy(), body, where);
  }
  template <class Body>
  auto transaction(TransactionOptions options, pool::RetryPolicy policy, Body& body, boost::source_location where = BOOST_CURRENT_LOCATION)
      -> std::invoke_result_t<Body&, Transaction&> {
    return repeat(options, policy, body, where);
  }
  template <class Body>
  void transaction(const Body&& body) = delete;
  template <class Body>
  void transaction(TransactionOptions options, const Body&& body) = delete;

  // PostgreSQL: READ COMMITTED; SQLite: BEGIN IMMEDIATE unless read_only. Rolls back unless committed.
  // `limit` bounds acquiring the connection and BEGIN. Read-only ones are all that asks its source for a connection that need not write.
  awaitable<Transaction> begin(TransactionOptions options = {}, boost::source_location where = BOOST_CURRENT_LOCATION);
  awaitable<Transaction> begin(Within limit, TransactionOptions options = {}, boost::source_location where = BOOST_CURRENT_LOCATION);

  // `script` (idempotent DDL) runs once in this worker before its first statement, in a transaction under PostgreSQL's advisory
  // lock, SQLite's BEGIN IMMEDIATE or MySQL's GET_LOCK, so that of all workers whichever comes first does the work. If it fails, the statement that
  // triggered it fails and the next one tries again; statements that come meanwhile wait. Copies of this object share it.
  void on_first_use(std::string postgres_script, std::string sqlite_script, std::string mysql_script = {});

  Dialect dialect() const noexcept { return dialect_; }
  pool::ConnectionSource& source() const noexcept { return *source_; }

 private:
  class FirstUse;
  class Gathering;
  awaitable<Rows> run(SqlText sql, std::vector<Value> parameters, CallLimit limit);
  // `known` has the text: that of `statement` may be empty unless the first use is pending.
  awaitable<Rows> run_known(Statement&& statement, KnownTextRef known, CallLimit limit, boost::source_location where);
  awaitable<Rows> run_prepared(Statement statement, KnownTextRef known, CallLimit limit, boost::source_location where);
  KnownTextRef known(std::string_view sql) const;
  bool has_company(const KnownTextRef& known) const noexcept;
  bool first_use_pending() const noexcept;
  awaitable<std::shared_ptr<Gathering>> gather(Deadline overall, boost::source_location where);
  awaitable<std::uint64_t> run_execute(Statement statement, std::optional<Within> limit, boost::source_location where);
  awaitable<Transaction> start(TransactionOptions options, std::optional<Within> limit, boost::source_location where);
  template <class Body>
  auto repeat(TransactionOptions options, pool::RetryPolicy policy, Body& body, boost::source_location where)
      -> std::invoke_result_t<Body&, Transaction&>;
  // A connection on which the first-use script has run. `overall` bounds the whole.
  awaitable<pool::Lease> acquire(Deadline overall, boost::source_location where, bool read_only = false);
  awaitable<void> prepare_first_use(Deadline overall, boost::source_location where);

  pool::ConnectionSource* source_;
  const SqlConnector* connector_;
  std::shared_ptr<StatementWatch> watch_;
  Dialect dialect_;
  std::shared_ptr<FirstUse> first_use_;
  std::weak_ptr<Gathering> gathering_;
  std::shared_ptr<Pipeline> pipeline_;  // null: every statement has a connection of its own
};

template <class Body>
auto Database::repeat(TransactionOptions options, pool::RetryPolicy policy, Body& body, boost::source_location where)
    -> std::invoke_result_t<Body&, Transaction&> {
  using Result = typename std::invoke_result_t<Body&, Transaction&>::value_type;
  pool::RetryLoop retry(policy);
  while (co_await retry.again()) {
    std::optional<Transaction> transaction;
    bool committing = false;
    try {
      transaction = co_await begin(options, where);
      if constexpr (std::is_void_v<Result>) {
        co_await body(*transaction);
        committing = transaction->open();  // the body may have ended it itself
        if (committing) co_await transaction->commit();
        co_return;
      } else {
        Result result = co_await body(*transaction);
        committing = transaction->open();
        if (committing) co_await transaction->commit();
        co_return result;
      }
    } catch (const std::exception&) {
      // What the body committed itself is not repeated, whatever came after.
      if (!committing && transaction && !transaction->open()) throw;
      const bool not_begun = !transaction;  // an SQLite file that others kept locked, a connection that had died while it was idle
      retry.failed(not_begun);
    }
  }
  throw Error("a transaction's retry loop ended without an attempt");
}

}  // namespace sluice::sql
