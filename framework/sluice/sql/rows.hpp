// The result of a statement, owned and immutable; cheap to copy (shared). Usable on any thread.
//
//   for (auto row : rows) row["name"].as<std::string>();      // by name or position
//   rows[0]["age"].as<std::optional<int>>();                  // NULL
//   rows.as<User>();                                          // struct by Boost.Describe, columns matched by name
//
// Errors: SqlError(decode) naming column, asked type and the value's class: NULL into a plain type, out of range, unknown column.
#pragma once

#include <sluice/sql/error.hpp>
#include <sluice/sql/result_set.hpp>
#include <sluice/sql/value.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::sql {

class Field;
class Row;

class Rows {
 public:
  Rows() = default;
  explicit Rows(std::shared_ptr<const ResultSet> set) noexcept : set_(std::move(set)) {}

  std::size_t size() const noexcept { return set_ ? set_->row_count : 0; }
  bool empty() const noexcept { return size() == 0; }
  Row operator[](std::size_t index) const;  // throws SqlError(decode) past the end
  Rows from(std::size_t index) const;       // a copy of the rows from this one on; none past the end
  const std::vector<std::string>& columns() const noexcept;
  std::uint64_t affected() const noexcept { return set_ ? set_->affected : 0; }
  std::int64_t last_insert_id() const noexcept { return set_ ? set_->last_insert_id : 0; }

  template <class T>
  std::vector<T> as() const;  // sql/describe.hpp, included below

  class Iterator;
  Iterator begin() const;
  Iterator end() const;

 private:
  friend class Row;
  std::shared_ptr<const ResultSet> set_;
};

}  // namespace sluice::sql

#include <sluice/sql/row.hpp>
