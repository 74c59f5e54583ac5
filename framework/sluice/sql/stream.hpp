// A result that is read row by row in bounded memory, however large it is:
//
//   sql::Stream rows = co_await db.stream("SELECT * FROM events WHERE day = $1", day);
//   while (auto row = co_await rows.next()) use((*row)["id"].as<std::int64_t>());
//
// It holds its connection (from Database: until it has ended; within a transaction: the transaction's, which runs nothing else
// meanwhile and must outlive it). The server waits while nobody reads. Destroyed before its end it closes the connection, which ends the
// statement; close() ends it in good order. Each wait for the server is bounded by statement_timeout; the limit of
// within(…) bounds the whole stream. Errors as of query(); rows before an error have been handed out then.
// SQLite: the snapshot that is read keeps the write-ahead log from shrinking; a writing statement's rows (RETURNING) come in one piece.
#pragma once

#include <sluice/pool/pool.hpp>
#include <sluice/sql/session.hpp>
#include <sluice/sql/statement_watch.hpp>

#include <memory>
#include <optional>

namespace sluice::sql {

class Stream {
 public:
  // For Database and Transaction. `lease` may be empty: then the session is somebody else's.
  Stream(pool::Lease lease, std::unique_ptr<RowSource> source, std::shared_ptr<StatementWatch> watch, StatementWatch::Running running,
         Duration statement_timeout, Deadline overall) noexcept;
  Stream(Stream&&) noexcept = default;
  ~Stream() = default;

  // The next row; nothing after the last.
  awaitable<std::optional<Row>> next();
  // What has come so far, some hundred rows at most; empty after the last. Cheaper per row than next(); the two may alternate.
  awaitable<Rows> next_rows();
  // Ends the statement on the server without reading the rest, and gives the connection back. Nothing if it has ended.
  awaitable<void> close();
  bool ended() const noexcept { return !source_; }

 private:
  Deadline deadline() const noexcept;
  void end() noexcept;
  void refuse_open_transaction();

  std::shared_ptr<StatementWatch> watch_;
  std::optional<StatementWatch::Running> running_;
  pool::Lease lease_;
  std::unique_ptr<RowSource> source_;  // ends before the lease
  Duration statement_timeout_;
  Deadline overall_;
  Rows piece_;
  std::size_t at_ = 0;
};

}  // namespace sluice::sql
