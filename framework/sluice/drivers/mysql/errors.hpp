// MySQL's and MariaDB's errors as sluice ones. Pure.
#pragma once

#include <sluice/sql/error.hpp>

#include <string>
#include <string_view>

namespace sluice::mysql {

// What a call of the client library, or the server through it, reported.
struct Report {
  unsigned code = 0;  // 0: none; 1000…1999 and above 3000: the server's, 2000…2999: the library's, 5000…: MariaDB's library
  std::string sqlstate;
  std::string message;
};

// By error number where SQLSTATE is too coarse (most are HY000 or 23000), then by SQLSTATE.
sql::Class classify(unsigned code, std::string_view sqlstate) noexcept;

// The connection is gone, or its protocol is in disorder.
bool is_lost(unsigned code) noexcept;
// KILL QUERY or the session's own limit of time ended the statement.
bool is_interrupted(unsigned code) noexcept;

// The statement's prepared form is no longer known, or its tables changed too much: it did not run.
constexpr bool is_stale(unsigned code) noexcept { return code == 1243 || code == 1615 || code == 2030; }
// The session, or its transaction, is read-only.
constexpr bool is_write_refused(unsigned code) noexcept { return code == 1792; }
// ER_MAX_PREPARED_STMT_COUNT_REACHED: of all clients together.
constexpr bool is_too_many_prepared(unsigned code) noexcept { return code == 1461; }

// Text with error number, SQLSTATE and the shortened statement. Values that the server quotes are in it only with `show_values`
// (log_parameters).
sql::SqlError statement_error(const Report& report, sql::Phase phase, const std::string& statement, bool show_values = false);

// Why a connect failed.
struct ConnectCause {
  std::string text;        // one line, the library's or the server's words, then what to do about it
  bool permanent = false;  // will not get better by itself
  bool released = false;   // the server holds nothing of the attempt: it was not reached, or it refused before it counted
};
ConnectCause connect_cause(const Report& report, const std::string& pool);

}  // namespace sluice::mysql
