#include <sluice/drivers/mysql/errors.hpp>

#include <sluice/core/text.hpp>

#include <algorithm>
#include <array>
#include <system_error>

namespace sluice::mysql {
namespace {

const char* remedy(unsigned code) {
  switch (code) {
    case 1044:
    case 1045:
    case 1698: return "check user, password and the user's host (CREATE USER … @'%') and grants";
    case 1049: return "create the database, or correct its name in the url";
    case 1040: return "connections made outside this budget use up the server: lower servers.<name>.total or raise the server's max_connections";
    case 1203:
    case 1226: return "the user's own limit is used up: lower servers.<name>.total or raise MAX_USER_CONNECTIONS";
    case 1129: return "the server blocks this host after failed connects: FLUSH HOSTS there";
    case 2002:
    case 2003: return "is the server running, and is the port or socket right?";
    case 2026: return "check sslmode, tls_ca and the names in the server's certificate";
    default: return nullptr;
  }
}

// The library gives a connection that broke in the TLS handshake the code of a refused certificate; the system's words tell them apart.
bool broke_in_handshake(const Report& report) {
  if (report.code != 2026) return false;
  for (const std::errc broken : {std::errc::connection_reset, std::errc::broken_pipe, std::errc::connection_aborted, std::errc::timed_out}) {
    if (report.message.find(std::make_error_code(broken).message()) != std::string::npos) return true;
  }
  return report.message.find("unexpected eof") != std::string::npos;
}

// The server quotes the offending value in these; it may be a parameter. SQLSTATE 22… is about data, so what is new there may quote too.
bool quotes_value(unsigned code, std::string_view sqlstate) {
  static constexpr std::array<unsigned, 18> quoting = {1062, 1105, 1115, 1231, 1292, 1298, 1300, 1366, 1367, 1411,
                                                       1525, 1526, 1586, 1690, 1761, 1762, 1918, 3140};
  static constexpr std::array<unsigned, 3> naming = {1264, 1265, 1406};  // the column only
  if (std::find(quoting.begin(), quoting.end(), code) != quoting.end()) return true;
  return sqlstate.starts_with("22") && std::find(naming.begin(), naming.end(), code) == naming.end();
}

std::string without_value(const Report& report) {
  static constexpr std::string_view hidden = "(value hidden)";
  std::string message = report.message;
  if (!quotes_value(report.code, report.sqlstate)) return message;
  const char* unquoted = "for value ";  // of a partition
  if (const std::size_t at = message.find(unquoted); report.code == 1526 && at != message.npos)
    return message.replace(at + std::string_view(unquoted).size(), message.npos, hidden);
  const char mark = message.find('\'') == message.npos ? '"' : '\'';
  const std::size_t begin = message.find(mark);
  std::size_t end = message.rfind("' for ");
  if (end == message.npos || end < begin) end = message.rfind(mark);
  if (begin == message.npos || end <= begin) return message;
  return message.replace(begin, end - begin + 1, hidden);
}

}  // namespace

sql::Class classify(unsigned code, std::string_view sqlstate) noexcept {
  using sql::Class;
  switch (code) {
    case 1062:  // ER_DUP_ENTRY
    case 1169:
    case 1586: return Class::unique_violation;
    case 1216:
    case 1217:
    case 1451:  // ER_ROW_IS_REFERENCED_2
    case 1452: return Class::foreign_key_violation;
    case 1048:  // ER_BAD_NULL_ERROR
    case 1364: return Class::not_null_violation;
    case 3819:  // MySQL's ER_CHECK_CONSTRAINT_VIOLATED
    case 4025: return Class::check_violation;
    case 1213:  // ER_LOCK_DEADLOCK
    case 1614: return Class::deadlock;
    case 1020: return Class::serialization_failure;  // ER_CHECKREAD: innodb_snapshot_isolation
    case 1205:                                       // ER_LOCK_WAIT_TIMEOUT
    case 3572:                                       // NOWAIT
    case 1040:
    case 1203:
    case 1226:
    case 1461: return Class::busy;
    case 1317:
    case 1969:
    case 3024: return Class::cancelled;
    case 1044:
    case 1045:
    case 1142:
    case 1143:
    case 1227:
    case 1370:
    case 1698: return Class::permission;
    case 1021:  // ER_DISK_FULL
    case 1114:  // ER_RECORD_FILE_FULL
    case 1030: return Class::disk;
    case 1153:  // ER_NET_PACKET_TOO_LARGE
    case 1264:
    case 1265:
    case 1292:
    case 1366:
    case 1367:
    case 1406: return Class::type;
    case 1053:  // ER_SERVER_SHUTDOWN
    case 1927:
    case 1080: return Class::connection;
    default: break;
  }
  if (is_lost(code)) return Class::connection;
  if (sqlstate == "40001") return Class::serialization_failure;
  if (sqlstate.starts_with("42")) return Class::syntax;
  if (sqlstate.starts_with("22")) return Class::type;
  if (sqlstate.starts_with("28")) return Class::permission;
  if (sqlstate.starts_with("08")) return Class::connection;
  return Class::other;
}

bool is_lost(unsigned code) noexcept {
  switch (code) {
    case 1053:  // the server shuts down
    case 1927:  // the session was killed
    case 1152:
    case 1158:
    case 1159:
    case 1160:
    case 1161:
    case 2002:
    case 2003:
    case 2006:  // CR_SERVER_GONE_ERROR
    case 2013:  // CR_SERVER_LOST
    case 2014:  // CR_COMMANDS_OUT_OF_SYNC
    case 2020:
    case 2026:
    case 2027:  // CR_MALFORMED_PACKET
    case 2055:
    case 4031:  // MySQL: disconnected for inactivity
    case 5014:  // CR_ERR_NET_READ… of MariaDB's library
      return true;
    default: return false;
  }
}

bool is_interrupted(unsigned code) noexcept { return code == 1317 || code == 1969 || code == 3024; }

sql::SqlError statement_error(const Report& report, sql::Phase phase, const std::string& statement, bool show_values) {
  const std::string shown = sql::shorten(statement);
  std::string message = report.message.empty() ? "unknown error" : show_values ? report.message : without_value(report);
  for (char& c : message) c = c == '\n' ? ' ' : c;
  const sql::Class error_class = classify(report.code, report.sqlstate);
  if (report.code == 1461) message += "; lower pools.<name>.statement_cache or raise the server's max_prepared_stmt_count";
  message += text(" [", report.code, " ", report.sqlstate, "]");
  if (!shown.empty()) message += text(" in: ", shown);
  return sql::SqlError(phase, error_class, report.sqlstate, static_cast<int>(report.code), message, shown);
}

ConnectCause connect_cause(const Report& report, const std::string& pool) {
  ConnectCause cause;
  cause.text = report.message.empty() ? "unknown reason" : report.message;
  for (char& c : cause.text) c = c == '\n' ? ' ' : c;
  cause.text += text(" [", report.code, "]");
  const bool broke = broke_in_handshake(report);
  if (const char* what_to_do = broke ? nullptr : remedy(report.code)) cause.text += text("; ", what_to_do, " (pool ", pool, ")");
  static constexpr std::array<unsigned, 5> permanent = {1044, 1045, 1049, 1698, 2026};
  cause.permanent = !broke && std::find(permanent.begin(), permanent.end(), report.code) != permanent.end();
  // 2005: the name does not resolve. 1040 is answered instead of making a session. Everything else met a server that may hold one.
  static constexpr std::array<unsigned, 4> released = {1040, 2002, 2003, 2005};
  cause.released = std::find(released.begin(), released.end(), report.code) != released.end();
  return cause;
}

}  // namespace sluice::mysql
