// What a pool's url and TLS options mean for MySQL and MariaDB, decided once and without connecting.
//
//   mysql://user:password@host:port/database?sslmode=verify-full&sslrootcert=/etc/ca.pem
//   mariadb://user:password@/database?socket=/run/mysqld/mysqld.sock      (or the path as host, percent-encoded)
//
// Parameters are named as for PostgreSQL: sslmode, sslrootcert, sslcert, sslkey; and socket. `sslmode` absent means: none over
// a Unix socket, else `prefer`, TLS if the server offers it. Option files (~/.my.cnf) are not read. Throws sluice::Error for
// anything malformed or unknown; no message holds the password.
#pragma once

#include <sluice/config/config.hpp>
#include <sluice/pool/registry.hpp>

#include <cstdint>
#include <string>

namespace sluice::mysql {

enum class Tls { disable, prefer, require, verify_ca, verify_full };

struct Settings {
  std::string pool;  // the pool's name, for messages
  std::string host;  // "" with a socket
  std::uint16_t port = 3306;
  std::string socket;  // path of a Unix socket; "" for TCP
  std::string user;
  std::string password;
  std::string database;
  Tls tls = Tls::prefer;
  std::string tls_ca;
  std::string tls_cert;
  std::string tls_key;
  std::string application;  // the identity's text: program_name in performance_schema.session_connect_attrs
  std::string validation_query;
  std::size_t statement_cache = 0;
  Duration statement_timeout{};  // 0: none
  Duration close_timeout{};
  bool show_values = false;               // errors show what the server quotes
  bool keep_statements_on_reset = false;  // an unchanged session needs only a ROLLBACK

  bool local() const noexcept { return !socket.empty(); }
  // "db.example.com:3306" or the socket's path, for messages.
  std::string place() const;
};

Settings parse_settings(const config::Pool& pool, const pool::Identity& identity);

}  // namespace sluice::mysql
