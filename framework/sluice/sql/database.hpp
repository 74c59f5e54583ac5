// The SQL face of a pool: `auto& db = context().sql("main");`. One loop's own.
//
// Arguments are encoded before anything suspends, so references to locals are safe. Statements run on a pooled connection
// in autocommit; a transaction holds one connection until it ends. Nothing here blocks the loop.
#pragma once

#include <sluice/pool/pool.hpp>
#include <sluice/sql/session.hpp>
#include <sluice/sql/transaction.hpp>

#include <boost/assert/source_location.hpp>
#include <functional>
#include <string>
#include <string_view>

namespace sluice::sql {

class Database {
 public:
  // `first_use`: run once per worker before the first statement (schema creation); see on_first_use().
  explicit Database(pool::Pool& pool);

  template <class... Args>
  awaitable<Rows> query(std::string_view sql, const Args&... args) { return run(bind(sql, args...), std::nullopt); }
  template <class... Args>
  awaitable<Rows> query(Within limit, std::string_view sql, const Args&... args) { return run(bind(sql, args...), limit); }
  // The number of rows changed.
  template <class... Args>
  awaitable<std::uint64_t> execute(std::string_view sql, const Args&... args) { return run_execute(bind(sql, args...), std::nullopt); }
  template <class... Args>
  awaitable<std::uint64_t> execute(Within limit, std::string_view sql, const Args&... args) { return run_execute(bind(sql, args...), limit); }

  // PostgreSQL: READ COMMITTED; SQLite: BEGIN IMMEDIATE unless read_only. Rolls back unless committed.
  // `limit` bounds acquiring the connection and BEGIN.
  awaitable<Transaction> begin(TransactionOptions options = {});
  awaitable<Transaction> begin(Within limit, TransactionOptions options = {});

  // `script` (idempotent DDL) runs once in this worker before its first statement, under pg_advisory_lock / BEGIN IMMEDIATE,
  // so that of all workers whichever comes first does the work. If it fails, the statement that triggered it fails and the next one tries again.
  void on_first_use(std::string postgres_script, std::string sqlite_script);

  Dialect dialect() const noexcept;
  pool::Pool& pool() const noexcept { return *pool_; }

 private:
  template <class... Args>
  static Statement bind(std::string_view sql, const Args&... args) {
    std::vector<Value> parameters;
    parameters.reserve(sizeof...(Args));
    (parameters.push_back(encode(args)), ...);
    return Statement(std::string(sql), std::move(parameters));
  }
  awaitable<Rows> run(Statement statement, std::optional<Within> limit);
  awaitable<std::uint64_t> run_execute(Statement statement, std::optional<Within> limit);

  struct FirstUse;
  pool::Pool* pool_;
  std::shared_ptr<FirstUse> first_use_;
};

}  // namespace sluice::sql
