// PostgreSQL's array literals: {1,NULL,"a b"}, nested for several dimensions. Pure.
#pragma once

#include <sluice/sql/value.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace sluice::postgres {

std::string format_array(const sql::Array& array);

// The type of an array type's elements; 0: not an array type that is known here.
unsigned element_type(unsigned array_type) noexcept;
// Elements decoded as `element`. nullopt: another form (bounds like [0:2]={…}), or not well-formed.
std::optional<sql::Array> parse_array(unsigned element, std::string_view text);

}  // namespace sluice::postgres
