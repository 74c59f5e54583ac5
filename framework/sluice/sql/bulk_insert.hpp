// Many rows into one table: COPY on PostgreSQL, INSERT with many rows elsewhere. All or nothing.
//
//   sql::BulkInsert rows = co_await db.bulk_insert("orders", "user_id", "item");
//   for (const Order& o : orders) co_await rows.add(o.user, o.item);
//   const std::uint64_t count = co_await rows.finish();
//
// From Database it has a transaction of its own that finish() commits; destroyed before, nothing is inserted. From a
// transaction it is a part of that, which runs nothing else meanwhile and must outlive it. Memory: one batch. Errors: SqlError as of a
// statement, often only at finish(); the insert is over then. "schema.table" is split at its dot; other names are quoted as they are.
#pragma once

#include <sluice/sql/session.hpp>
#include <sluice/sql/statement_watch.hpp>
#include <sluice/sql/transaction.hpp>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::sql {

class BulkInsert {
 public:
  // For Database and Transaction: bulk_begin() has gone well on `session`. `running` stands for it from its beginning to its end.
  BulkInsert(std::optional<Transaction> own, Session& session, std::size_t columns, Duration statement_timeout, std::shared_ptr<StatementWatch> watch,
             StatementWatch::Running running) noexcept;
  BulkInsert(BulkInsert&&) noexcept = default;

  // One value for each column, encoded before anything suspends; sends when a batch is full. Throws SqlError(encode) for another number of values.
  template <class... Args>
  awaitable<void> add(const Args&... args) {
    buffer(args...);
    return send_if_full();
  }
  // The same in two steps, for those who cannot suspend where they have a row: it is kept only, and flush() is due once full().
  template <class... Args>
  void buffer(const Args&... args) {
    begin_row(sizeof...(Args));
    std::array<Value, sizeof...(Args)> row{encode(args)...};  // all or none: a value that cannot be encoded leaves no half row behind
    for (Value& value : row) append(std::move(value));
  }
  bool full() const noexcept { return batch_.size() >= rows_at_once * columns_ || batch_bytes_ >= bytes_at_once; }
  // Sends what is kept; nothing if that is nothing.
  awaitable<void> flush();
  // Sends the rest; commits if the transaction is its own. Returns the number of rows inserted.
  awaitable<std::uint64_t> finish();

  // Rows given to the server so far.
  std::uint64_t sent() const noexcept { return sent_; }
  // Called with sent() after each batch; must not throw.
  void on_progress(std::function<void(std::uint64_t)> observer) { observer_ = std::move(observer); }

 private:
  static constexpr std::size_t rows_at_once = 1024;
  static constexpr std::size_t bytes_at_once = 256 * 1024;
  void begin_row(std::size_t values);
  void append(Value value);
  awaitable<void> send_if_full();
  Deadline deadline() const noexcept;

  struct FailureEnds;

  std::shared_ptr<StatementWatch> watch_;
  std::optional<StatementWatch::Running> running_;
  std::optional<Transaction> own_;
  Session* session_;
  std::size_t columns_;
  Duration statement_timeout_;
  std::vector<Value> batch_;
  std::size_t batch_bytes_ = 0;
  std::uint64_t sent_ = 0;
  std::function<void(std::uint64_t)> observer_;
};

// Splits "schema.table".
BulkTarget bulk_target(std::string_view table, std::vector<std::string> columns);
// What is shown while it runs: "bulk insert into orders (user_id, item)".
std::string describe(const BulkTarget& target);

}  // namespace sluice::sql
