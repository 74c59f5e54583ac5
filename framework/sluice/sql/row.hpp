// One row and one field of a result. Both share ownership of the result, so they may outlive the Rows they came from.
// What as<T>() makes of which value: sql/conversion.hpp.
#pragma once

#include <sluice/sql/conversion.hpp>
#include <sluice/sql/rows.hpp>

#include <concepts>
#include <iterator>
#include <optional>

namespace sluice::sql {

class Field {
 public:
  bool is_null() const noexcept { return std::holds_alternative<Null>(value()); }
  const Value& value() const noexcept { return set_->cells[cell_]; }
  const std::string& name() const noexcept { return set_->columns[cell_ % set_->columns.size()]; }

  template <class T>
  T as() const {
    return Conversion(value(), *set_, cell_).template as<T>();
  }

 private:
  friend class Row;
  Field(std::shared_ptr<const ResultSet> set, std::size_t cell) noexcept : set_(std::move(set)), cell_(cell) {}

  std::shared_ptr<const ResultSet> set_;
  std::size_t cell_;
};

class Row {
 public:
  std::size_t size() const noexcept { return set_->columns.size(); }
  std::size_t index() const noexcept { return index_; }
  const std::vector<std::string>& columns() const noexcept { return set_->columns.list(); }
  // Exact name; of several columns with one name, the first. Unknown: SqlError(decode) listing the columns.
  Field operator[](std::string_view column) const { return Field(set_, cell(find(column))); }
  Field operator[](const char* column) const { return (*this)[std::string_view(column)]; }
  // By position from 0; past the end: SqlError(decode).
  template <std::integral I>
  Field operator[](I position) const {
    return at(static_cast<std::size_t>(position));
  }
  // Whether the column exists, for optional mappings.
  bool has(std::string_view column) const noexcept;

 private:
  friend class Rows;
  Row(std::shared_ptr<const ResultSet> set, std::size_t index) noexcept : set_(std::move(set)), index_(index) {}
  std::size_t find(std::string_view column) const;
  Field at(std::size_t position) const;
  std::size_t cell(std::size_t column) const noexcept { return index_ * set_->columns.size() + column; }

  std::shared_ptr<const ResultSet> set_;
  std::size_t index_;
};

class Rows::Iterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = Row;
  using difference_type = std::ptrdiff_t;
  using pointer = void;
  using reference = Row;

  Iterator() = default;
  Row operator*() const { return (*rows_)[index_]; }
  Iterator& operator++() noexcept {
    ++index_;
    return *this;
  }
  Iterator operator++(int) noexcept {
    Iterator before = *this;
    ++index_;
    return before;
  }
  friend bool operator==(const Iterator&, const Iterator&) = default;

 private:
  friend class Rows;
  Iterator(const Rows* rows, std::size_t index) noexcept : rows_(rows), index_(index) {}
  const Rows* rows_ = nullptr;
  std::size_t index_ = 0;
};

inline Rows::Iterator Rows::begin() const { return Iterator(this, 0); }
inline Rows::Iterator Rows::end() const { return Iterator(this, size()); }

// "YYYY-MM-DD", "YYYY-MM-DD HH:MM:SS", a 'T' between, up to nine decimals (beyond microseconds: cut), and "Z", "+HH", "+HHMM"
// or "+HH:MM" behind (none: UTC). Nothing for any other text.
std::optional<Timestamp> parse_timestamp(std::string_view text) noexcept;
// UTC as "YYYY-MM-DD HH:MM:SS.ffffff": sorts like the instants for years 0 to 9999.
std::string format_timestamp(Timestamp t);

}  // namespace sluice::sql

#include <sluice/sql/describe.hpp>
