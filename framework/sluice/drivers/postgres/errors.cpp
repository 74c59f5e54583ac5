#include <sluice/drivers/postgres/errors.hpp>

#include <sluice/core/text.hpp>

#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <cctype>

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

// Skips white space, comments and opening parentheses.
std::string_view skip_blank(std::string_view s) {
  for (;;) {
    while (!s.empty() && (std::isspace(static_cast<unsigned char>(s.front())) || s.front() == '(' || s.front() == ';')) s.remove_prefix(1);
    if (s.starts_with("--")) {
      s.remove_prefix(std::min(s.find('\n'), s.size()));
    } else if (s.starts_with("/*")) {
      const std::size_t end = s.find("*/", 2);
      s.remove_prefix(end == s.npos ? s.size() : end + 2);
    } else {
      return s;
    }
  }
}

std::string take_word(std::string_view& s) {
  s = skip_blank(s);
  std::string word;
  while (!s.empty() && (std::isalnum(static_cast<unsigned char>(s.front())) || s.front() == '_')) {
    word += static_cast<char>(std::toupper(static_cast<unsigned char>(s.front())));
    s.remove_prefix(1);
  }
  return word;
}

bool contains_ignoring_case(std::string_view text, std::string_view lower) {
  return std::search(text.begin(), text.end(), lower.begin(), lower.end(), [](unsigned char a, unsigned char b) { return std::tolower(a) == b; }) !=
         text.end();
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
  const char* value = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  const std::string_view severity = value ? value : "";
  const bool own = PQresultStatus(result) == PGRES_FATAL_ERROR && !PQresultErrorField(result, PG_DIAG_SQLSTATE);
  return severity == "FATAL" || severity == "PANIC" || own;
}

sql::SqlError server_error(const PGresult* result, sql::Phase phase, const std::string& statement) {
  const std::string code = sqlstate_of(result);
  std::string message = field(result, PG_DIAG_MESSAGE_PRIMARY);
  if (message.empty()) message = PQresultErrorMessage(result);
  while (!message.empty() && message.back() == '\n') message.pop_back();
  // The server's DETAIL of a data error quotes row values, so it stays out; the constraint's name says enough.
  if (const std::string name = field(result, PG_DIAG_CONSTRAINT_NAME); !name.empty() && message.find(name) == message.npos)
    message += text(" (", name, ")");
  if (const std::string hint = field(result, PG_DIAG_MESSAGE_HINT); !hint.empty()) message += text("; ", hint);
  if (const std::string at = field(result, PG_DIAG_STATEMENT_POSITION); !at.empty()) message += text("; at character ", at);
  const std::string shown = sql::shorten(statement);
  if (!code.empty()) message += text(" [", code, "]");
  if (!shown.empty()) message += text(" in: ", shown);
  return sql::SqlError(phase, classify(code), code, 0, message, shown);
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

Traces traces_of(std::string_view sql) {
  Traces traces;
  for (const char* call : {"set_config(", "pg_advisory_lock", "pg_try_advisory_lock"}) traces.state |= contains_ignoring_case(sql, call);
  // A script has several statements. A ';' inside a literal only starts a piece whose first word means nothing, or is checked once too often.
  while (!(sql = skip_blank(sql)).empty()) {
    const std::size_t end = std::min(sql.find(';'), sql.size());
    std::string_view piece = sql.substr(0, end);
    sql.remove_prefix(end);
    const std::string_view whole = piece;
    const std::string first = take_word(piece), second = take_word(piece), third = take_word(piece);
    if (first == "SET") traces.state |= second != "LOCAL" && second != "TRANSACTION" && second != "CONSTRAINTS";
    static constexpr std::array plain = {"RESET", "LISTEN", "UNLISTEN", "PREPARE", "DECLARE", "LOAD"};
    traces.state |= std::find(plain.begin(), plain.end(), first) != plain.end();
    const auto temporary = [](const std::string& word) { return word == "TEMP" || word == "TEMPORARY"; };
    traces.state |= first == "CREATE" && (temporary(second) || temporary(third) || (third == "REPLACE" && temporary(take_word(piece))));
    traces.state |= first == "CREATE" && contains_ignoring_case(whole, "pg_temp");
    traces.state |= first == "DO" || first == "CALL";  // code that may do anything
    traces.state |= (first == "SELECT" || first == "WITH") && contains_ignoring_case(piece, "into temp");
    traces.statements |= first == "DISCARD" || first == "DEALLOCATE";
  }
  return traces;
}

}  // namespace sluice::postgres
