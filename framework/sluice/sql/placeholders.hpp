// Statements use $1, $2, … in every dialect; a backend with another notation gets them translated by number, never by order
// of appearance. Pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sluice::sql {

struct Placeholders {
  std::string sql;       // translated
  unsigned highest = 0;  // the highest number used; 0: none
};

// Replaces $n by <marker>n ('?' for SQLite) outside of 'literals', "identifiers", `identifiers`, [identifiers], comments and
// names that contain a dollar. $0 and numbers above 32766 are SqlError(encode).
Placeholders translate_placeholders(std::string_view sql, char marker);

// Throws SqlError(encode) unless exactly `given` parameters are what the statement asks for.
void check_parameter_count(unsigned highest, std::size_t given, const std::string& sql);

}  // namespace sluice::sql
