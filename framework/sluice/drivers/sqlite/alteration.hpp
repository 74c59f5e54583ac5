// What a statement leaves in its connection, as SQLite itself tells while it compiles it (sqlite3_set_authorizer). Pure.
#pragma once

#include <cstdint>

namespace sluice::sqlite {

enum class Altered : std::uint8_t {
  no,
  settings,  // that a reset puts back
  lasting    // that only a new connection is free of: attached databases, temporary tables, other settings
};
// `action` and what follows it: the arguments of the authorizer.
Altered alteration(int action, const char* first, const char* second, const char* schema) noexcept;

}  // namespace sluice::sqlite
