#include <sluice/drivers/mysql/opened.hpp>

#include <sluice/core/text.hpp>

#include <fcntl.h>
#include <mysql.h>

#include <algorithm>
#include <charconv>
#include <exception>
#include <mutex>

namespace sluice::mysql {
namespace {

// UNIX_TIMESTAMP() and Uptime of one statement refer to the same instant, so their difference is exact.
std::string identify_sql(bool mariadb) {
  return text("SELECT CONNECTION_ID(), UNIX_TIMESTAMP() - VARIABLE_VALUE, @@max_allowed_packet, @@max_prepared_stmt_count, @@max_connections FROM ",
              mariadb ? "information_schema" : "performance_schema", ".global_status WHERE VARIABLE_NAME = 'Uptime'");
}

void initialize_library() {
  static std::once_flag once;
  std::call_once(once, [] { mysql_library_init(0, nullptr, nullptr); });
}

Report report_of(MYSQL* m) { return {mysql_errno(m), mysql_sqlstate(m), mysql_error(m)}; }

std::uint64_t number(const char* text) {
  const std::string_view s = text ? text : "0";
  std::uint64_t n = 0;
  std::from_chars(s.data(), s.data() + s.size(), n);
  return n;
}

void set_options(MYSQL* m, const Settings& settings, Duration limit) {
  const auto seconds = static_cast<unsigned>(std::max<std::int64_t>(std::chrono::ceil<std::chrono::seconds>(limit).count(), 1));
  const my_bool on = 1, off = 0;
  const unsigned protocol = settings.local() ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP, no_local_files = 0;
  mysql_options(m, MYSQL_OPT_NONBLOCK, nullptr);
  mysql_options(m, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
  mysql_options(m, MYSQL_OPT_READ_TIMEOUT, &seconds);
  mysql_options(m, MYSQL_OPT_WRITE_TIMEOUT, &seconds);
  mysql_options(m, MYSQL_OPT_RECONNECT, &off);
  mysql_options(m, MYSQL_OPT_PROTOCOL, &protocol);
  mysql_options(m, MYSQL_OPT_LOCAL_INFILE, &no_local_files);  // or a server could ask for any file of ours
  mysql_options(m, MYSQL_SET_CHARSET_NAME, "utf8mb4");
  mysql_options(m, MYSQL_REPORT_DATA_TRUNCATION, &off);  // long values are fetched in a second step
  mysql_options4(m, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", settings.application.c_str());
  const my_bool verify = settings.tls == Tls::verify_full;
  mysql_options(m, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
  if (settings.tls == Tls::disable) return;
  const auto file = [m](enum mysql_option option, const std::string& path) {
    if (!path.empty()) mysql_options(m, option, path.c_str());
  };
  mysql_options(m, MYSQL_OPT_SSL_ENFORCE, &on);  // in spite of its name: use TLS if the server has it
  file(MYSQL_OPT_SSL_CA, settings.tls_ca);
  file(MYSQL_OPT_SSL_CERT, settings.tls_cert);
  file(MYSQL_OPT_SSL_KEY, settings.tls_key);
}

const char* or_null(const std::string& s) { return s.empty() ? nullptr : s.c_str(); }

bool run(MYSQL* m, const std::string& sql) { return mysql_real_query(m, sql.data(), sql.size()) == 0; }

// Learns what names this session for ever, and the server's limits.
bool identify(MYSQL* m, Opened& opened) {
  if (!run(m, identify_sql(opened.mariadb))) return false;
  const std::unique_ptr<MYSQL_RES, void (*)(MYSQL_RES*)> result(mysql_store_result(m), mysql_free_result);
  const MYSQL_ROW row = result ? mysql_fetch_row(result.get()) : nullptr;
  if (!row) return false;
  if (number(row[0]) == mysql_thread_id(m)) {
    opened.session = number(row[0]);
    opened.session_birth = number(row[1]);
  }
  opened.max_packet = number(row[2]);
  opened.statements = number(row[3]) / std::max<std::uint64_t>(number(row[4]), 1);
  return true;
}

Opened connect(const Settings& settings, Duration limit) {
  initialize_library();
  Opened opened;
  Handle handle(mysql_init(nullptr));
  if (!handle) throw Error("out of memory");
  MYSQL* const m = handle.get();
  set_options(m, settings, limit);
  const auto failed = [&] {
    opened.cause = connect_cause(report_of(m), settings.pool);
    return std::move(opened);
  };
  if (!mysql_real_connect(m, or_null(settings.host), or_null(settings.user), settings.password.c_str(), or_null(settings.database), settings.port,
                          or_null(settings.socket), CLIENT_FOUND_ROWS)) {
    return failed();
  }
  ::fcntl(static_cast<int>(mysql_get_socket(m)), F_SETFD, FD_CLOEXEC);
  if (settings.tls >= Tls::require && !mysql_get_ssl_cipher(m)) {
    opened.cause = {text("the server offers no TLS, which sslmode asks for (pool ", settings.pool, ")"), true, false};
    return opened;
  }
  opened.mariadb = mariadb_connection(m);
  if (!run(m, session_setup(opened.mariadb, settings.statement_timeout)) || !run(m, isolation_setup) || !identify(m, opened)) return failed();
  opened.handle = std::move(handle);
  return opened;
}

}  // namespace

void CloseHandle::operator()(MYSQL* handle) const noexcept { mysql_close(handle); }

Opened open_connection(const Settings& settings, Duration limit) noexcept {
  try {
    return connect(settings, limit);
  } catch (const std::exception& e) {
    Opened opened;
    opened.cause.text = e.what();
    return opened;
  }
}

std::string session_setup(bool mariadb, Duration statement_timeout) {
  std::string limit = limit_setup(mariadb, statement_timeout);
  limit.erase(0, std::string_view("SET SESSION ").size());
  return text("SET NAMES utf8mb4, SESSION time_zone = '+00:00', SESSION autocommit = 1, SESSION ", limit,
              ", SESSION sql_mode = CONCAT_WS(',', NULLIF(@@SESSION.sql_mode, ''), 'STRICT_ALL_TABLES')");
}

std::string limit_setup(bool mariadb, Duration limit) {
  const auto millis = std::max<std::int64_t>(std::chrono::ceil<std::chrono::milliseconds>(limit).count(), 0);
  if (!mariadb) return text("SET SESSION max_execution_time = ", millis);
  const std::string thousandths = std::to_string(1000 + millis % 1000);
  return text("SET SESSION max_statement_time = ", millis / 1000, ".", thousandths.substr(1));
}

}  // namespace sluice::mysql
