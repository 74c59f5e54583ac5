// A transaction on one leased connection. Rolls back unless committed: rollback() may be awaited; a transaction that is
// destroyed unfinished gives its connection back dirty, and the pool rolls it back (reset) before anyone else gets it.
//
// A failed statement ends a PostgreSQL transaction: further statements and commit() fail. On SQLite the other statements stand
// unless the failure rolled everything back (deadline in the middle of a change, disk full); then, too, further statements and
// commit() fail. One loop's own; one statement at a time.
#pragma once

#include <sluice/pool/pool.hpp>
#include <sluice/sql/session.hpp>
#include <sluice/sql/sql_text.hpp>
#include <sluice/sql/statement_watch.hpp>
#include <sluice/sql/stream.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::sql {

class BulkInsert;

// A point within a transaction to which it can be rolled back. Only a number.
struct Savepoint {
  unsigned number = 0;
};

class Transaction {
 public:
  // `statement_timeout` (0: none) bounds each statement, COMMIT and ROLLBACK. The lease's connection is an sql::Session in a transaction.
  Transaction(pool::Lease lease, Duration statement_timeout, std::shared_ptr<StatementWatch> watch) noexcept
      : lease_(std::move(lease)), statement_timeout_(statement_timeout), watch_(std::move(watch)) {}
  Transaction(Transaction&&) noexcept = default;
  Transaction& operator=(Transaction&& other) noexcept;
  ~Transaction() { abandon(); }

  template <class... Args>
  awaitable<Rows> query(SqlText sql, const Args&... args) {
    return run(make_statement(sql.text, args...), std::nullopt);
  }
  template <class... Args>
  awaitable<Rows> query(Within limit, SqlText sql, const Args&... args) {
    return run(make_statement(sql.text, args...), limit);
  }
  template <class... Args>
  awaitable<std::uint64_t> execute(SqlText sql, const Args&... args) {
    return run_execute(make_statement(sql.text, args...), std::nullopt);
  }
  template <class... Args>
  awaitable<std::uint64_t> execute(Within limit, SqlText sql, const Args&... args) {
    return run_execute(make_statement(sql.text, args...), limit);
  }

  // One statement that is put together already.
  awaitable<Rows> run(Statement statement, std::optional<Within> limit = {});
  // Rows one by one in bounded memory; the transaction runs nothing else until the stream has ended, and must outlive it.
  template <class... Args>
  awaitable<Stream> stream(SqlText sql, const Args&... args) {
    return stream(make_statement(sql.text, args...), std::nullopt);
  }
  template <class... Args>
  awaitable<Stream> stream(Within limit, SqlText sql, const Args&... args) {
    return stream(make_statement(sql.text, args...), limit);
  }
  awaitable<Stream> stream(Statement statement, std::optional<Within> limit = {});
  // Many rows as a part of this transaction: bulk_insert("orders", "user_id", "item").
  template <class... Columns>
  awaitable<BulkInsert> bulk_insert(std::string_view table, const Columns&... columns) {
    std::vector<std::string> names;
    (names.emplace_back(columns), ...);
    return bulk_insert(std::string(table), std::move(names));
  }
  awaitable<BulkInsert> bulk_insert(std::string table, std::vector<std::string> columns);

  // What follows can be undone by itself: rollback_to() undoes it and keeps the savepoint, release() keeps it and forgets the
  // savepoint (and those made after it). On PostgreSQL a failed statement blocks the transaction until it is rolled back to one.
  awaitable<Savepoint> savepoint();
  awaitable<void> rollback_to(Savepoint to);
  awaitable<void> release(Savepoint savepoint);

  // Afterwards the connection is back in the pool, whatever came of it. Throws SqlError(commit) if the outcome is unknown
  // (connection lost, deadline) or the commit was refused (then nothing was committed).
  awaitable<void> commit();
  // Never fails for the server's reasons: a connection that cannot roll back is closed, which rolls back.
  awaitable<void> rollback();
  bool open() const noexcept { return static_cast<bool>(lease_); }

 private:
  awaitable<std::uint64_t> run_execute(Statement statement, std::optional<Within> limit);
  void refuse_open_stream(const char* what) const;
  Session& session() const;  // throws sluice::Error once the transaction is over
  Deadline deadline(std::optional<Within> limit) const noexcept;
  void abandon() noexcept;

  pool::Lease lease_;
  Duration statement_timeout_;
  std::shared_ptr<StatementWatch> watch_;
  unsigned savepoints_ = 0;
};

}  // namespace sluice::sql
