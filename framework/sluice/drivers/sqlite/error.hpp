// SQLite's result codes as what an application can do about them. SQLite has no SQLSTATE; native_code() is the extended code.
#pragma once

#include <sluice/sql/error.hpp>

#include <string>

struct sqlite3;

namespace sluice::sqlite {

sql::Class classify(sql::Phase phase, int extended_code) noexcept;

// With the connection's own message; `db` may be null (then the code's general text).
sql::SqlError make_error(sql::Phase phase, sqlite3* db, int extended_code, const std::string& statement);

// The connection is of no use after this: reopening finds out what is wrong with the file.
bool ends_connection(int extended_code) noexcept;

// Why a file cannot be opened, with the remedy: "directory /x does not exist: create it or change the pool's url".
std::string explain_cannot_open(const std::string& path, bool read_only, bool create, const std::string& sqlite_message);

}  // namespace sluice::sqlite
