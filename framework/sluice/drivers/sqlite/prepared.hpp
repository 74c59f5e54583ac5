// Prepared statements of one connection, kept by their text: least recently used first out. Used by the connection's thread.
#pragma once

#include <sluice/drivers/sqlite/alteration.hpp>
#include <sluice/sql/result_set.hpp>

#include <sqlite3.h>
#include <cstddef>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace sluice::sqlite {

// What a column was declared as, where SQLite has no type of its own for it.
enum class Hint : std::uint8_t { none, boolean, timestamp, date, time, uuid };

class Prepared {
 public:
  // Throws SqlError(prepare), also for more than one statement; SqlError(encode) for a bad placeholder.
  Prepared(sqlite3* db, const std::string& sql, bool keep);

  sqlite3_stmt* get() const noexcept { return statement_.get(); }  // null: nothing but blanks and comments
  unsigned parameters() const noexcept { return parameters_; }
  bool reads_only() const noexcept { return !statement_ || sqlite3_stmt_readonly(statement_.get()) != 0; }

  // `parameter` must live until reset(). Throws SqlError(encode) that shows `sql`.
  void bind(int number, const sql::Value& parameter, const std::string& sql);
  // Ends the run and forgets the parameters. Returns its result code.
  int reset() noexcept;

  // As of the last step: a changed schema changes them.
  const sql::ColumnNames& columns();
  sql::Value value(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* s) const noexcept { sqlite3_finalize(s); }
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  unsigned parameters_ = 0;
  int described_ = -1;  // how often SQLite had prepared it anew when the columns were read
  sql::ColumnNames columns_;
  std::vector<Hint> hints_;
};

class PreparedCache {
 public:
  explicit PreparedCache(std::size_t capacity) : capacity_(capacity) {}

  // Valid until the next call. With capacity 0 nothing is kept beyond that. `compiled` is set, by others, while SQLite compiles: a
  // statement that alters its connection does so by being compiled, so it is compiled each time.
  Prepared& get(sqlite3* db, const std::string& sql, const Altered& compiled);
  void clear() noexcept;
  std::size_t size() const noexcept { return entries_.size(); }

 private:
  struct Entry {
    std::string sql;
    Prepared prepared;
    bool once;
  };
  std::size_t capacity_;
  std::list<Entry> entries_;  // most recently used first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> by_text_;
};

}  // namespace sluice::sqlite
