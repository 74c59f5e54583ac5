// PostgreSQL's errors as sluice ones. Pure.
#pragma once

#include <sluice/sql/error.hpp>

#include <string>
#include <string_view>

struct pg_result;

namespace sluice::postgres {

// By SQLSTATE (PostgreSQL documentation, appendix A).
sql::Class classify(std::string_view sqlstate) noexcept;

// What the server said of an error. Empty: it did not say.
struct ServerReport {
  std::string severity;  // never translated
  std::string sqlstate, message, hint, position, internal_query, schema, table, column, datatype, constraint;

  // By the protocol's code; null: one that nobody here asks for.
  std::string* field(char code) noexcept;
  // The connection is over with this error: the server says so (severity FATAL or PANIC), or it is libpq's own, about an answer that
  // it does not understand (no SQLSTATE).
  bool ends_connection() const noexcept { return severity == "FATAL" || severity == "PANIC" || sqlstate.empty(); }
};
ServerReport report_of(const pg_result* result);

// An error that the server reported for a statement: text with hint and position. Values that the server quotes are in it only with
// `show_values` (log_parameters).
sql::SqlError server_error(const ServerReport& report, sql::Phase phase, const std::string& statement, bool show_values);

std::string sqlstate_of(const pg_result* result);
// As ServerReport says; false for what is no error.
bool ends_connection(const pg_result* result) noexcept;

// Why a connect failed.
struct ConnectCause {
  std::string text;      // one line, libpq's or the server's words, then what to do about it
  std::string sqlstate;  // "" unless the server answered
  bool permanent = false;
  bool no_tls = false;  // the server offers no TLS
};
// `message`: PQerrorMessage at PQERRORS_VERBOSE, the only place where libpq tells a failed connect's SQLSTATE.
ConnectCause connect_cause(std::string_view message, const std::string& pool);

}  // namespace sluice::postgres
