#include <sluice/drivers/postgres/errors.hpp>

#include <sluice/core/text.hpp>
#include <sluice/drivers/postgres/hidden_values.hpp>

#include <libpq-fe.h>

#include <algorithm>
#include <cctype>
#include <vector>

namespace sluice::postgres {
namespace {

std::string field(const PGresult* result, int code) {
  const char* value = PQresultErrorField(result, code);
  return value ? value : "";
}

bool is_code(std::string_view s) {
  return s.size() == 5 && std::all_of(s.begin(), s.end(), [](unsigned char c) { return std::isdigit(c) || std::isupper(c); });
}

const char* remedy(std::string_view code, std::string_view cause) {
  if (code == "28P01") return "check user and password in the url";
  if (code.starts_with("28")) return "check the user in the url and the server's pg_hba.conf";
  if (code == "3D000") return "create the database, or correct its name in the url";
  if (code == "53300")
    return "connections made outside this budget use up the server: lower servers.<name>.total or raise the server's max_connections";
  if (!code.empty()) return nullptr;
  if (cause.find("Connection refused") != cause.npos || cause.find("No such file or directory") != cause.npos)
    return "is the server running, and is the port right?";
  if (cause.find("root certificate file") != cause.npos) return "set tls_ca to the authority's certificate";
  if (cause.find("does not match host name") != cause.npos) return "connect by a name that is in the server's certificate";
  if (cause.find("no password supplied") != cause.npos) return "put the password into the url or ~/.pgpass";
  return nullptr;
}

}  // namespace

sql::Class classify(std::string_view code) noexcept {
  using sql::Class;
  if (code == "23505") return Class::unique_violation;
  if (code == "23503") return Class::foreign_key_violation;
  if (code == "23502") return Class::not_null_violation;
  if (code == "23514") return Class::check_violation;
  if (code == "40001") return Class::serialization_failure;
  if (code == "40P01") return Class::deadlock;
  if (code == "55P03" || code == "53300") return Class::busy;
  if (code == "57014") return Class::cancelled;
  if (code == "42501" || code.starts_with("28")) return Class::permission;
  if (code == "42804" || code == "42846" || code == "42P18" || code.starts_with("22")) return Class::type;
  if (code.starts_with("42") || code == "08P01") return Class::syntax;  // 08P01: another number of parameters than the statement has
  if (code == "53100" || code.starts_with("58")) return Class::disk;
  if (code.starts_with("08") || code == "57P01" || code == "57P02" || code == "57P03" || code == "57P05") return Class::connection;
  return Class::other;
}

std::string sqlstate_of(const PGresult* result) { return field(result, PG_DIAG_SQLSTATE); }

bool ends_connection(const PGresult* result) noexcept {
  if (PQresultStatus(result) != PGRES_FATAL_ERROR) return false;
  const char* value = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  const std::string_view severity = value ? value : "";
  const bool own = !PQresultErrorField(result, PG_DIAG_SQLSTATE);
  return severity == "FATAL" || severity == "PANIC" || own;
}

std::string* ServerReport::field(char code) noexcept {
  switch (code) {
    case PG_DIAG_SEVERITY_NONLOCALIZED: return &severity;
    case PG_DIAG_SQLSTATE: return &sqlstate;
    case PG_DIAG_MESSAGE_PRIMARY: return &message;
    case PG_DIAG_MESSAGE_HINT: return &hint;
    case PG_DIAG_STATEMENT_POSITION: return &position;
    case PG_DIAG_INTERNAL_QUERY: return &internal_query;
    case PG_DIAG_SCHEMA_NAME: return &schema;
    case PG_DIAG_TABLE_NAME: return &table;
    case PG_DIAG_COLUMN_NAME: return &column;
    case PG_DIAG_DATATYPE_NAME: return &datatype;
    case PG_DIAG_CONSTRAINT_NAME: return &constraint;
    default: return nullptr;
  }
}

ServerReport report_of(const PGresult* result) {
  ServerReport report;
  for (const char code : {PG_DIAG_SEVERITY_NONLOCALIZED, PG_DIAG_SQLSTATE, PG_DIAG_MESSAGE_PRIMARY, PG_DIAG_MESSAGE_HINT, PG_DIAG_STATEMENT_POSITION,
                          PG_DIAG_INTERNAL_QUERY, PG_DIAG_SCHEMA_NAME, PG_DIAG_TABLE_NAME, PG_DIAG_COLUMN_NAME, PG_DIAG_DATATYPE_NAME,
                          PG_DIAG_CONSTRAINT_NAME}) {
    *report.field(code) = field(result, code);
  }
  if (report.message.empty()) report.message = PQresultErrorMessage(result);
  return report;
}

sql::SqlError server_error(const ServerReport& report, sql::Phase phase, const std::string& statement, bool show_values) {
  std::string message = report.message;
  while (!message.empty() && message.back() == '\n') message.pop_back();
  if (!show_values) {
    message = hide_values(std::move(message), report.sqlstate,
                          {statement, report.schema, report.table, report.column, report.datatype, report.constraint, report.internal_query});
  }
  // The server's DETAIL of a data error quotes row values, so it stays out; the constraint's name says enough.
  if (!report.constraint.empty() && message.find(report.constraint) == message.npos) message += text(" (", report.constraint, ")");
  if (!report.hint.empty()) message += text("; ", report.hint);
  if (!report.position.empty()) message += text("; at character ", report.position);
  const std::string shown = sql::shorten(statement);
  if (!report.sqlstate.empty()) message += text(" [", report.sqlstate, "]");
  if (!shown.empty()) message += text(" in: ", shown);
  return sql::SqlError(phase, classify(report.sqlstate), report.sqlstate, 0, message, shown);
}

ConnectCause connect_cause(std::string_view message, const std::string& pool) {
  ConnectCause cause;
  // `connection to server at "127.0.0.1", port 5432 failed: FATAL:  28P01: password …\nLOCATION: …`
  if (message.starts_with("connection to server")) {
    if (const std::size_t at = message.find(" failed: "); at != message.npos) message.remove_prefix(at + 9);
  }
  std::string_view line = message.substr(0, message.find('\n'));
  for (std::size_t at = line.find(":  "); at != line.npos; at = line.find(":  ", at + 1)) {
    const std::string_view rest = line.substr(at + 3);
    if (rest.size() > 7 && rest.substr(5, 2) == ": " && is_code(rest.substr(0, 5))) {
      cause.sqlstate = std::string(rest.substr(0, 5));
      line = rest.substr(7);
      break;
    }
  }
  cause.no_tls = cause.sqlstate.empty() && line.find("server does not support SSL") != line.npos;
  cause.permanent = cause.sqlstate.starts_with("28") || cause.sqlstate == "3D000";
  cause.text = line.empty() ? "unknown reason" : std::string(line);
  if (!cause.sqlstate.empty()) cause.text += text(" [", cause.sqlstate, "]");
  if (const char* what_to_do = remedy(cause.sqlstate, line)) cause.text += text("; ", what_to_do, " (pool ", pool, ")");
  return cause;
}

}  // namespace sluice::postgres
