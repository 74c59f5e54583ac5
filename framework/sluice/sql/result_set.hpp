// What a driver makes of an answer: columns and cells, row after row. Immutable once it is shared.
#pragma once

#include <sluice/sql/value.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace sluice::sql {

// Shared by all results of a statement whose driver remembers them. Usable on any thread.
class ColumnNames {
 public:
  ColumnNames() noexcept = default;  // none
  ColumnNames(std::vector<std::string> names) : names_(std::make_shared<const std::vector<std::string>>(std::move(names))) {}

  const std::vector<std::string>& list() const noexcept {
    static const std::vector<std::string> none;
    return names_ ? *names_ : none;
  }
  std::size_t size() const noexcept { return names_ ? names_->size() : 0; }
  bool empty() const noexcept { return size() == 0; }
  // REQUIRES: at < size()
  const std::string& operator[](std::size_t at) const noexcept { return (*names_)[at]; }
  auto begin() const noexcept { return list().begin(); }
  auto end() const noexcept { return list().end(); }

 private:
  std::shared_ptr<const std::vector<std::string>> names_;
};

struct ResultSet {
  ColumnNames columns;
  std::vector<Value> cells;  // row after row
  std::size_t row_count = 0;
  std::uint64_t affected = 0;       // rows changed by INSERT, UPDATE, DELETE
  std::int64_t last_insert_id = 0;  // SQLite, MySQL; 0 elsewhere
};

}  // namespace sluice::sql
