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

#include <optional>

namespace sluice::sql {

class Transaction {
 public:
  // `statement_timeout` (0: none) bounds each statement, COMMIT and ROLLBACK. The lease's connection is an sql::Session in a transaction.
  Transaction(pool::Lease lease, Duration statement_timeout, shm::PoolStats* stats = nullptr) noexcept
      : lease_(std::move(lease)), statement_timeout_(statement_timeout), stats_(stats) {}
  Transaction(Transaction&&) noexcept = default;
  Transaction& operator=(Transaction&& other) noexcept;
  ~Transaction() { abandon(); }

  template <class... Args>
  awaitable<Rows> query(SqlText sql, const Args&... args) { return run(make_statement(sql.text, args...), std::nullopt); }
  template <class... Args>
  awaitable<Rows> query(Within limit, SqlText sql, const Args&... args) { return run(make_statement(sql.text, args...), limit); }
  template <class... Args>
  awaitable<std::uint64_t> execute(SqlText sql, const Args&... args) { return run_execute(make_statement(sql.text, args...), std::nullopt); }
  template <class... Args>
  awaitable<std::uint64_t> execute(Within limit, SqlText sql, const Args&... args) { return run_execute(make_statement(sql.text, args...), limit); }

  // Afterwards the connection is back in the pool, whatever came of it. Throws SqlError(commit) if the outcome is unknown
  // (connection lost, deadline) or the commit was refused (then nothing was committed).
  awaitable<void> commit();
  // Never fails for the server's reasons: a connection that cannot roll back is closed, which rolls back.
  awaitable<void> rollback();
  bool open() const noexcept { return static_cast<bool>(lease_); }

 private:
  awaitable<Rows> run(Statement statement, std::optional<Within> limit);
  awaitable<std::uint64_t> run_execute(Statement statement, std::optional<Within> limit);
  Session& session() const;  // throws sluice::Error once the transaction is over
  Deadline deadline(std::optional<Within> limit) const noexcept;
  void abandon() noexcept;

  pool::Lease lease_;
  Duration statement_timeout_;
  shm::PoolStats* stats_;
};

}  // namespace sluice::sql
