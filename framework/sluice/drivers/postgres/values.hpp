// Values to and from PostgreSQL's text format. Pure.
//
// Parameters travel as text with an unspecified type, so that the server infers it from the statement (`$1::int` where it
// cannot); only bytes travel binary, as bytea. Results: bool, int2/4/8, oid, float4/8, numeric, bytea, date, time, timestamp,
// timestamptz, uuid and arrays of them become their Value (a timestamp without zone is read as UTC; ±infinity is
// Timestamp::max()/min()); everything else, json and what is beyond a Value's range included, is the server's exact text.
#pragma once

#include <sluice/sql/rows.hpp>
#include <sluice/sql/value.hpp>

#include <boost/container/small_vector.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct pg_result;

namespace sluice::postgres {

// The arrays that libpq wants. Throws SqlError(encode) for text with a zero byte, which PostgreSQL cannot hold.
class Parameters {
 public:
  // `sql`: the statement, for errors. The values are kept here, or stay the caller's and must outlive this.
  explicit Parameters(std::vector<sql::Value>&& values, const std::string& sql = {});
  explicit Parameters(const std::vector<sql::Value>& values, const std::string& sql = {});
  Parameters(const Parameters&) = delete;
  Parameters& operator=(const Parameters&) = delete;

  int count() const noexcept { return static_cast<int>(pointers_.size()); }
  const char* const* values() const noexcept { return pointers_.data(); }
  // Null where all are text.
  const unsigned* types() const noexcept { return binary_ ? binary_->types.data() : nullptr; }
  const int* lengths() const noexcept { return binary_ ? binary_->lengths.data() : nullptr; }
  const int* formats() const noexcept { return binary_ ? binary_->formats.data() : nullptr; }

 private:
  struct Binary {
    explicit Binary(std::size_t n) : types(n), lengths(n), formats(n) {}
    std::vector<unsigned> types;
    std::vector<int> lengths, formats;
  };
  void point_at(const std::vector<sql::Value>& values, const std::string& sql);

  // Most statements have few parameters, which then need no memory of their own.
  template <class T>
  using Few = boost::container::small_vector<T, 4>;
  std::vector<sql::Value> values_;  // keeps text and bytes alive
  Few<std::string> texts_;
  Few<const char*> pointers_;
  std::unique_ptr<Binary> binary_;  // where there are bytes
};

// What names a statement's prepared form: its text and, behind that, which parameters are bytea. Put together in `room` where there are such.
const std::string& prepared_key(const std::string& sql, const std::vector<sql::Value>& parameters, std::string& room);

// What a value looks like inside of a statement's parameter. REQUIRES: not NULL.
std::string format_value(const sql::Value& value);

// One cell that is not NULL. `type` is the column's OID.
sql::Value decode(unsigned type, std::string_view text);

// What each row of a statement's result is like.
struct RowShape {
  sql::ColumnNames names;
  std::vector<unsigned> types;  // OIDs; as many as there are names
};

// `remembered`: of the statement's last result, if there was one; brought up to date.
std::shared_ptr<const sql::ResultSet> decode_result(const pg_result* result, RowShape* remembered = nullptr);
// Rows changed, by a command's tag.
std::uint64_t affected_by(std::string_view tag) noexcept;
// The result's rows behind those of `set`, and its columns if it has none yet. Returns the bytes that the server sent for them.
std::size_t append_rows(const pg_result* result, sql::ResultSet& set);

std::string format_timestamp(sql::Timestamp t);
// "2024-02-29 12:34:56.789+01:30", " BC" and infinity too. nullopt: another form, or beyond Timestamp's range.
std::optional<sql::Timestamp> parse_timestamp(std::string_view text);

}  // namespace sluice::postgres
