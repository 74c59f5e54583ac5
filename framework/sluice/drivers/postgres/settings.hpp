// What a pool's url and TLS options mean for libpq, decided once and without connecting.
//
// One host per url (groups of servers come with their own module). `sslmode` absent means: none over a Unix socket,
// else `prefer`, which is made of two separate attempts, TLS first and plain only if the server offers no TLS, because libpq
// must never open a second socket of its own. Throws sluice::Error for anything malformed; no message holds the password.
#pragma once

#include <sluice/config/config.hpp>
#include <sluice/pool/registry.hpp>

#include <string>
#include <utility>
#include <vector>

namespace sluice::postgres {

// One attempt's value of libpq's sslmode: "disable", "require", "verify-ca", "verify-full".
using TlsMode = const char*;

struct Settings {
  std::string pool;     // the pool's name, for messages
  std::string host;     // as in the url; a path: directory of a Unix socket; empty: libpq's default directory
  std::string address;  // `hostaddr` of the url; empty: resolve `host`
  std::string port;
  std::string application;                                      // the identity's text
  std::string options;                                          // the url's `options`
  std::vector<TlsMode> tls;                                     // attempts in this order
  std::vector<std::pair<std::string, std::string>> parameters;  // everything else that goes to libpq
  std::string validation_query;
  std::size_t statement_cache = 0;
  Duration close_timeout{};
  bool show_values = false;               // errors show what the server quotes
  bool keep_statements_on_reset = false;  // an unchanged session needs only a ROLLBACK

  bool local() const noexcept { return address.empty() && (host.empty() || host.front() == '/' || host.front() == '@'); }
  // "db.example.com:5432" or the socket's path, for messages.
  std::string place() const;
};

Settings parse_settings(const config::Pool& pool, const pool::Identity& identity);

}  // namespace sluice::postgres
