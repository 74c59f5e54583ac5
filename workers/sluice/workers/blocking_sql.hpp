// The synchronous face of an sql::Database for ordinary threads: the same calls by the same names, which return when it is done.
//
//   auto db = context.sql("main");
//   db.transaction([&](sluice::BlockingTransaction& tx) { tx.execute("UPDATE …", from); … });
//   auto rows = db.stream("SELECT * FROM events");
//   while (auto row = rows.next()) …;
//
// Times, limits and errors are those of sql/database.hpp, to which come two of sluice::Error: a call on the worker's own loop, which
// would wait for itself, fails at once; and one that still waits when the worker's graceful time is over is given up and cancelled.
// A BlockingDatabase may be copied and used by any threads at once. Transactions, streams, bulk inserts and listeners are one thread's
// at a time; they may move to another, and be destroyed in any: their connection goes back by way of the loop, before whatever
// the same thread asks for next. All must end before the worker does. Rows, notifications and errors may be kept and used anywhere.
#pragma once

#include <sluice/sql/database.hpp>
#include <sluice/workers/blocking_calls.hpp>

#include <boost/assert/source_location.hpp>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace sluice {

// A result in pieces of at most some hundred rows; the next is asked for when the last has been used, so the server waits for the
// thread. See sql/stream.hpp, for what becomes of the connection, too.
class BlockingStream {
 public:
  explicit BlockingStream(blocking::Held<sql::Stream> stream) noexcept : stream_(std::move(stream)) {}

  // The next row; nothing after the last.
  std::optional<sql::Row> next();
  // What has come so far; empty after the last. The two may alternate.
  sql::Rows next_rows();
  // Ends the statement on the server without reading the rest, and gives the connection back. Nothing if it has ended.
  void close();
  bool ended() const noexcept { return !stream_; }

 private:
  blocking::Held<sql::Stream> stream_;  // empty once it has ended
  sql::Rows piece_;
  std::size_t at_ = 0;
};

// Many rows into one table, all or none. Rows are gathered on this thread; the loop gets whole batches. See sql/bulk_insert.hpp.
class BlockingBulkInsert {
 public:
  explicit BlockingBulkInsert(blocking::Held<sql::BulkInsert> bulk) noexcept : bulk_(std::move(bulk)) {}

  // One value for each column; sends when a batch is full. Throws SqlError(encode) for a value that cannot be encoded and for another
  // number of values, and goes on without that row; after any other error it is over.
  template <class... Args>
  void add(const Args&... args) {
    require_open();
    bulk_->buffer(args...);
    if (bulk_->full()) flush();
  }
  // Sends the rest; commits if the transaction is its own. Returns the number of rows inserted.
  std::uint64_t finish();

  // Rows given to the server so far.
  std::uint64_t sent() const noexcept { return sent_; }
  // Called with sent() after each batch, on the thread that adds; must not throw.
  void on_progress(std::function<void(std::uint64_t)> observer) { observer_ = std::move(observer); }

 private:
  void require_open() const;
  void flush();

  blocking::Held<sql::BulkInsert> bulk_;  // empty once it is over
  std::uint64_t sent_ = 0;
  std::function<void(std::uint64_t)> observer_;
};

// Messages of a channel (PostgreSQL). See sql/listener.hpp.
class BlockingListener {
 public:
  explicit BlockingListener(blocking::Held<sql::Listener> listener) noexcept : listener_(std::move(listener)) {}

  void add(std::string channel);
  // Waits until the worker is asked to stop, which is a sluice::Error: then nothing is left to wait for.
  sql::Notification next();
  // The same, or TimedOut after the limit. Nothing that comes later is missed.
  sql::Notification next(Within limit);

 private:
  blocking::Held<sql::Listener> listener_;
};

// Rolls back unless committed. See sql/transaction.hpp.
class BlockingTransaction {
 public:
  explicit BlockingTransaction(blocking::Held<sql::Transaction> transaction) noexcept : transaction_(std::move(transaction)) {}

  template <class... Args>
  sql::Rows query(sql::SqlText sql, const Args&... args) {
    return run(sql::make_statement(sql.text, args...));
  }
  template <class... Args>
  sql::Rows query(Within limit, sql::SqlText sql, const Args&... args) {
    return run(sql::make_statement(sql.text, args...), limit);
  }
  // The number of rows changed.
  template <class... Args>
  std::uint64_t execute(sql::SqlText sql, const Args&... args) {
    return run(sql::make_statement(sql.text, args...)).affected();
  }
  template <class... Args>
  std::uint64_t execute(Within limit, sql::SqlText sql, const Args&... args) {
    return run(sql::make_statement(sql.text, args...), limit).affected();
  }
  sql::Rows run(sql::Statement statement, std::optional<Within> limit = {});

  // Both run in this transaction, which does nothing else until they have ended.
  template <class... Args>
  BlockingStream stream(sql::SqlText sql, const Args&... args) {
    return stream(sql::make_statement(sql.text, args...));
  }
  template <class... Args>
  BlockingStream stream(Within limit, sql::SqlText sql, const Args&... args) {
    return stream(sql::make_statement(sql.text, args...), limit);
  }
  BlockingStream stream(sql::Statement statement, std::optional<Within> limit = {});
  template <class... Columns>
  BlockingBulkInsert bulk_insert(std::string_view table, const Columns&... columns) {
    std::vector<std::string> names;
    (names.emplace_back(columns), ...);
    return bulk_insert(std::string(table), std::move(names));
  }
  BlockingBulkInsert bulk_insert(std::string table, std::vector<std::string> columns);

  // rollback_to() undoes what followed the savepoint and keeps it; release() keeps that and forgets the savepoint, and those made after it.
  sql::Savepoint savepoint();
  void rollback_to(sql::Savepoint to);
  void release(sql::Savepoint savepoint);

  // Afterwards the transaction is over and its connection back, whatever came of it; what commit() throws says what that is.
  void commit();
  void rollback();
  bool open() const noexcept { return static_cast<bool>(transaction_); }

 private:
  blocking::Held<sql::Transaction>& held();  // throws sluice::Error once it is over
  blocking::Held<sql::Transaction> take();   // …, and ends it
  blocking::Held<sql::Transaction> transaction_;
};

class BlockingDatabase {
 public:
  BlockingDatabase(std::shared_ptr<blocking::Calls> calls, sql::Database& db) noexcept : calls_(std::move(calls)), db_(&db) {}

  template <class... Args>
  sql::Rows query(sql::SqlText sql, const Args&... args) {
    return run(sql::make_statement(sql.text, args...), std::nullopt, sql.where);
  }
  template <class... Args>
  sql::Rows query(Within limit, sql::SqlText sql, const Args&... args) {
    return run(sql::make_statement(sql.text, args...), limit, sql.where);
  }
  // The number of rows changed.
  template <class... Args>
  std::uint64_t execute(sql::SqlText sql, const Args&... args) {
    return run(sql::make_statement(sql.text, args...), std::nullopt, sql.where).affected();
  }
  template <class... Args>
  std::uint64_t execute(Within limit, sql::SqlText sql, const Args&... args) {
    return run(sql::make_statement(sql.text, args...), limit, sql.where).affected();
  }
  sql::Rows run(sql::Statement statement, std::optional<Within> limit = {}, boost::source_location where = BOOST_CURRENT_LOCATION);

  template <class... Args>
  BlockingStream stream(sql::SqlText sql, const Args&... args) {
    return stream(sql::make_statement(sql.text, args...), std::nullopt, sql.where);
  }
  template <class... Args>
  BlockingStream stream(Within limit, sql::SqlText sql, const Args&... args) {
    return stream(sql::make_statement(sql.text, args...), limit, sql.where);
  }
  BlockingStream stream(sql::Statement statement, std::optional<Within> limit = {}, boost::source_location where = BOOST_CURRENT_LOCATION);
  // bulk_insert("orders", "user_id", "item")
  template <class... Columns>
  BlockingBulkInsert bulk_insert(sql::SqlText table, const Columns&... columns) {
    std::vector<std::string> names;
    (names.emplace_back(columns), ...);
    return bulk_insert(std::string(table.text), std::move(names), table.where);
  }
  BlockingBulkInsert bulk_insert(std::string table, std::vector<std::string> columns, boost::source_location where = BOOST_CURRENT_LOCATION);
  BlockingListener listen(std::string channel, boost::source_location where = BOOST_CURRENT_LOCATION);

  // Runs `body`, an ordinary function `T(BlockingTransaction&)`, in a transaction, and commits; rolls back if it throws; runs it again, from
  // the start and in a fresh transaction, after failures of which nothing remains (sql::Database::transaction() says which). So what
  // `body` does outside of the database it may do several times.
  template <class Body>
  auto transaction(Body&& body, boost::source_location where = BOOST_CURRENT_LOCATION) -> std::invoke_result_t<Body&, BlockingTransaction&> {
    return repeat(sql::TransactionOptions(), sql::retry_policy(), body, where);
  }
  template <class Body>
  auto transaction(sql::TransactionOptions options, Body&& body, boost::source_location where = BOOST_CURRENT_LOCATION)
      -> std::invoke_result_t<Body&, BlockingTransaction&> {
    return repeat(options, sql::retry_policy(), body, where);
  }
  template <class Body>
  auto transaction(sql::TransactionOptions options, pool::RetryPolicy policy, Body&& body, boost::source_location where = BOOST_CURRENT_LOCATION)
      -> std::invoke_result_t<Body&, BlockingTransaction&> {
    return repeat(options, policy, body, where);
  }

  // `limit` bounds acquiring the connection and BEGIN.
  BlockingTransaction begin(sql::TransactionOptions options = {}, boost::source_location where = BOOST_CURRENT_LOCATION);
  BlockingTransaction begin(Within limit, sql::TransactionOptions options = {}, boost::source_location where = BOOST_CURRENT_LOCATION);

  sql::Dialect dialect() const noexcept { return db_->dialect(); }

 private:
  template <class Body>
  auto repeat(sql::TransactionOptions options, pool::RetryPolicy policy, Body& body, boost::source_location where)
      -> std::invoke_result_t<Body&, BlockingTransaction&>;
  std::shared_ptr<blocking::Calls> calls_;
  sql::Database* db_;
};

template <class Body>
auto BlockingDatabase::repeat(sql::TransactionOptions options, pool::RetryPolicy policy, Body& body, boost::source_location where)
    -> std::invoke_result_t<Body&, BlockingTransaction&> {
  using Result = std::invoke_result_t<Body&, BlockingTransaction&>;
  const auto retry = std::make_shared<pool::RetryLoop>(policy);  // shared with the loop, where its pauses are
  while (calls_->run([retry] { return retry->again(); })) {
    std::optional<BlockingTransaction> transaction;
    bool committing = false;
    const auto commit = [&] {
      committing = transaction->open();  // the body may have ended it itself
      if (committing) transaction->commit();
    };
    try {
      transaction.emplace(begin(options, where));
      if constexpr (std::is_void_v<Result>) {
        body(*transaction);
        commit();
        return;
      } else {
        Result result = body(*transaction);
        commit();
        return result;
      }
    } catch (const std::exception&) {
      // What the body committed itself is not repeated, whatever came after.
      if (!committing && transaction && !transaction->open()) throw;
      const bool not_begun = !transaction;
      retry->failed(not_begun);
    }
  }
  throw Error("a transaction's retry loop ended without an attempt");
}

}  // namespace sluice
