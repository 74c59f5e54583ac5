// What a driver makes of an answer: columns and cells, row after row. Immutable once it is shared.
#pragma once

#include <sluice/sql/value.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace sluice::sql {

struct ResultSet {
  std::vector<std::string> columns;
  std::vector<Value> cells;  // row after row
  std::size_t row_count = 0;
  std::uint64_t affected = 0;       // rows changed by INSERT, UPDATE, DELETE
  std::int64_t last_insert_id = 0;  // SQLite, MySQL; 0 elsewhere
};

}  // namespace sluice::sql
