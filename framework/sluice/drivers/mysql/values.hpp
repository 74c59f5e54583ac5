// Values to and from the binary protocol of prepared statements, as the client library's bindings carry them. Pure, apart from
// reading a row that the library holds.
//
// Parameters: booleans are TINYINT 0 and 1, a Timestamp is a DATETIME in UTC (sessions run in UTC), a UUID travels as text.
// Results: integers of all widths, YEAR and BIT are integers; DECIMAL a Decimal, exact; DATE, TIME, DATETIME and TIMESTAMP a
// Date, Time or Timestamp (zero dates, which no calendar has, are text); binary strings and BLOB bytes; JSON, ENUM, SET and all
// else text. A BOOLEAN column is TINYINT(1) and comes as an integer, which as<bool>() takes.
#pragma once

#include <sluice/sql/rows.hpp>
#include <sluice/sql/value.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

struct st_mysql_bind;
struct st_mysql_stmt;

namespace sluice::mysql {

// The bindings for a statement whose '?' number k takes the value order[k]. Throws SqlError(encode) for what the server cannot
// hold: arrays, NaN and infinity, timestamps outside of the years 0 to 9999, dates beyond them, times beyond ±838:59:59,
// text that is not UTF-8.
class Parameters {
 public:
  // `sql`: the statement, for errors.
  Parameters(std::vector<sql::Value> values, const std::vector<unsigned>& order, const std::string& sql);
  ~Parameters();
  Parameters(const Parameters&) = delete;
  Parameters& operator=(const Parameters&) = delete;

  st_mysql_bind* bindings() noexcept;
  std::vector<sql::Value> values() && noexcept { return std::move(values_); }
  std::size_t bytes() const noexcept { return bytes_; }  // about what travels

 private:
  struct Slot;
  std::vector<sql::Value> values_;  // keeps text and bytes alive
  std::unique_ptr<Slot[]> slots_;
  std::vector<st_mysql_bind> bindings_;
  std::size_t bytes_ = 0;
};

// Reads the rows of one executed statement, whose result set it binds.
class RowReader {
 public:
  explicit RowReader(st_mysql_stmt* statement);
  ~RowReader();
  RowReader(const RowReader&) = delete;
  RowReader& operator=(const RowReader&) = delete;

  const std::vector<std::string>& columns() const& noexcept { return names_; }
  std::vector<std::string> columns() && noexcept { return std::move(names_); }
  // The row that mysql_stmt_fetch has just read.
  void read(std::vector<sql::Value>& cells);

 private:
  struct Column;
  sql::Value value_of(Column& column, unsigned index);

  st_mysql_stmt* statement_;
  std::vector<std::string> names_;
  std::unique_ptr<Column[]> columns_;
  std::vector<st_mysql_bind> bindings_;
};

// A cell of the text protocol, for statements that cannot be prepared. `type` and `flags` as in MYSQL_FIELD.
sql::Value decode_text(int type, unsigned flags, unsigned charset, std::string_view text);

}  // namespace sluice::mysql
