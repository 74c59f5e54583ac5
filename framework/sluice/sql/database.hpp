// The SQL face of a pool: `auto& db = context().sql("main");`. One loop's own; lives as long as the statements it started.
//
// Arguments are encoded before anything suspends, so references to locals are safe. Statements run on a pooled connection
// in autocommit; a transaction holds one connection until it ends. Nothing here blocks the loop.
//
// Time: acquiring a connection is bounded by the pool's acquire_timeout, the statement by its statement_timeout (0: unbounded).
// A call with within(…) takes no longer than that in all; its limit then replaces statement_timeout.
// Errors: PoolError (no connection), SqlError (the statement), TimedOut (past the deadline; the statement was ended on the server).
// A statement whose connection is lost is not repeated.
#pragma once

#include <sluice/pool/pool.hpp>
#include <sluice/sql/session.hpp>
#include <sluice/sql/sql_text.hpp>
#include <sluice/sql/transaction.hpp>

#include <boost/assert/source_location.hpp>
#include <memory>
#include <optional>
#include <string>

namespace sluice::sql {

class Database {
 public:
  // Throws sluice::Error naming the pool if its driver does not speak SQL. Statements are counted in `stats` (this pool's block), if given.
  explicit Database(pool::Pool& pool, shm::PoolStats* stats = nullptr);

  template <class... Args>
  awaitable<Rows> query(SqlText sql, const Args&... args) { return run(make_statement(sql.text, args...), std::nullopt, sql.where); }
  template <class... Args>
  awaitable<Rows> query(Within limit, SqlText sql, const Args&... args) { return run(make_statement(sql.text, args...), limit, sql.where); }
  // The number of rows changed.
  template <class... Args>
  awaitable<std::uint64_t> execute(SqlText sql, const Args&... args) { return run_execute(make_statement(sql.text, args...), std::nullopt, sql.where); }
  template <class... Args>
  awaitable<std::uint64_t> execute(Within limit, SqlText sql, const Args&... args) { return run_execute(make_statement(sql.text, args...), limit, sql.where); }

  // PostgreSQL: READ COMMITTED; SQLite: BEGIN IMMEDIATE unless read_only. Rolls back unless committed.
  // `limit` bounds acquiring the connection and BEGIN.
  awaitable<Transaction> begin(TransactionOptions options = {}, boost::source_location where = BOOST_CURRENT_LOCATION);
  awaitable<Transaction> begin(Within limit, TransactionOptions options = {}, boost::source_location where = BOOST_CURRENT_LOCATION);

  // `script` (idempotent DDL) runs once in this worker before its first statement, in a transaction under PostgreSQL's advisory
  // lock or SQLite's BEGIN IMMEDIATE, so that of all workers whichever comes first does the work. If it fails, the statement that
  // triggered it fails and the next one tries again; statements that come meanwhile wait. Copies of this object share it.
  void on_first_use(std::string postgres_script, std::string sqlite_script);

  Dialect dialect() const noexcept { return dialect_; }
  pool::Pool& pool() const noexcept { return *pool_; }

 private:
  class FirstUse;
  awaitable<Rows> run(Statement statement, std::optional<Within> limit, boost::source_location where);
  awaitable<std::uint64_t> run_execute(Statement statement, std::optional<Within> limit, boost::source_location where);
  awaitable<Transaction> start(TransactionOptions options, std::optional<Within> limit, boost::source_location where);
  // A connection on which the first-use script has run. `overall` bounds the whole.
  awaitable<pool::Lease> acquire(Deadline overall, boost::source_location where);
  awaitable<pool::Lease> lease(Deadline overall, boost::source_location where);
  awaitable<void> prepare_first_use(Deadline overall, boost::source_location where);
  Deadline statement_deadline(Deadline overall) const noexcept;

  pool::Pool* pool_;
  shm::PoolStats* stats_;
  Dialect dialect_;
  std::shared_ptr<FirstUse> first_use_;
};

}  // namespace sluice::sql
