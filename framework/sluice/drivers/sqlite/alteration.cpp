#include <sluice/drivers/sqlite/alteration.hpp>

#include <sqlite3.h>
#include <strings.h>

#include <algorithm>
#include <initializer_list>
#include <string_view>

namespace sluice::sqlite {
namespace {

bool is_one_of(const char* name, std::initializer_list<const char*> names) noexcept {
  return std::any_of(names.begin(), names.end(), [name](const char* one) { return ::strcasecmp(name, one) == 0; });
}

// Without an argument a pragma only asks.
Altered by_pragma(const char* name, const char* argument) noexcept {
  if (!name || !argument) return Altered::no;
  if (is_one_of(name, {"foreign_keys", "synchronous", "query_only"})) return Altered::settings;
  const bool passes = is_one_of(name, {"table_info", "table_xinfo", "table_list", "index_info", "index_xinfo", "index_list", "foreign_key_list",
                                       "foreign_key_check", "integrity_check", "quick_check", "wal_checkpoint", "incremental_vacuum", "optimize"}) ||
                      is_one_of(name, {"user_version", "application_id"});  // they are in the file
  return passes ? Altered::no : Altered::lasting;
}

}  // namespace

Altered alteration(int action, const char* first, const char* second, const char* schema) noexcept {
  switch (action) {
    case SQLITE_PRAGMA: return by_pragma(first, second);
    case SQLITE_ATTACH:
    case SQLITE_DETACH: return Altered::lasting;
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_FUNCTION:
    case SQLITE_RECURSIVE: return Altered::no;
    default: return schema && std::string_view(schema) == "temp" ? Altered::lasting : Altered::no;
  }
}

}  // namespace sluice::sqlite
