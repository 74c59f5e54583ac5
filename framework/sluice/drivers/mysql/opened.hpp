// A fresh connection, as the connecting thread hands it over.
#pragma once

#include <sluice/drivers/mysql/errors.hpp>
#include <sluice/drivers/mysql/settings.hpp>

#include <cstdint>
#include <memory>

struct st_mysql;

namespace sluice::mysql {

struct CloseHandle {
  void operator()(st_mysql* handle) const noexcept;  // says goodbye; blocks
};
using Handle = std::unique_ptr<st_mysql, CloseHandle>;

struct Opened {
  Handle handle;  // null: see cause
  ConnectCause cause;
  std::uint64_t session = 0;        // 0: something between us and the server makes the ids up
  std::uint64_t session_birth = 0;  // when the server started, seconds since 1970: thread ids begin anew then
  std::uint64_t max_packet = 0;     // the longest statement with its parameters, bytes
  std::size_t statements = 0;       // one connection's part of what the server can keep prepared
  bool mariadb = true;              // else MySQL
};

// Connects, blocking: for a thread that nobody waits for. Its timeouts are whole seconds, rounded up. Nothing is thrown.
Opened open_connection(const Settings& settings, Duration limit) noexcept;

// What every session runs with: UTC, utf8mb4, strict mode, autocommit, READ COMMITTED. Run at connect and after each reset.
std::string session_setup(bool mariadb, Duration statement_timeout);
inline constexpr const char* isolation_setup = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";

// "SET SESSION max_statement_time=…" (MariaDB, all statements) or max_execution_time (MySQL, SELECT only); 0: no limit.
std::string limit_setup(bool mariadb, Duration limit);

}  // namespace sluice::mysql
