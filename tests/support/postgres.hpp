// A private PostgreSQL for tests: its own directory, a free port of 127.0.0.1 and a Unix socket, fsync off. It dies with the
// thread that called start() (parent-death signal), so call that on the main thread. Role `app` (password "secret", no
// superuser, scram) owns database `app`. Not thread-safe. Calls throw std::runtime_error with the end of the server's log.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

struct pg_conn;

namespace sluice::test {

struct PostgresOptions {
  int max_connections = 20;
  bool ssl = false;                             // certificate for localhost and 127.0.0.1, signed by ca_file()
  std::map<std::string, std::string> settings;  // further settings: {"authentication_timeout", "2s"}
};

// As pg_stat_activity shows it.
struct PostgresSession {
  int pid = 0;
  std::string application_name;
  std::string state;
  std::string query;
  std::uint64_t birth = 0;  // backend_start, microseconds since 1970
};

class PostgresServer {
 public:
  enum class Stop { fast, immediate };

  // False: no server binaries on this machine.
  static bool available();
  // What a test begins with. False: not available, said on stderr; fails the running process' test by throwing
  // if SLUICE_REQUIRE_SERVERS=1.
  static bool require();

  explicit PostgresServer(PostgresOptions options = {});
  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  void start();  // returns when the server accepts connections; the port is kept over restarts
  void stop(Stop mode = Stop::fast);
  void kill_hard();  // SIGKILL to the postmaster; its backends notice and end
  void restart(Stop mode = Stop::fast);
  bool running() const noexcept { return postmaster_ > 0; }

  int port() const noexcept { return port_; }
  pid_t postmaster() const noexcept { return postmaster_; }
  std::string url(const std::string& user = "app", const std::string& password = "secret", const std::string& database = "app") const;
  std::string superuser_url(const std::string& database = "app") const;
  // Of the Unix socket, as role app.
  std::string socket_url() const;
  const std::string& directory() const noexcept { return directory_; }
  std::string ca_file() const;

  // Everything the server logged so far, over restarts. Only warnings and worse, so every refused connection is a FATAL line.
  std::string log() const;
  // Connections refused because no slot was free.
  std::size_t refused() const;

  // As superuser in database app, on one kept connection (application_name "sluice-test"); NULL is "".
  std::vector<std::vector<std::string>> query(const std::string& sql);
  // Client sessions whose application_name starts with the prefix.
  std::vector<PostgresSession> sessions(const std::string& application_prefix = "");

 private:
  void configure();
  bool launch();

  PostgresOptions options_;
  std::string directory_;
  int port_ = 0;
  pid_t postmaster_ = -1;
  pg_conn* superuser_ = nullptr;
};

// A CA and a server certificate for `names` ("DNS:localhost,IP:127.0.0.1") in `directory`: ca.pem, server.pem, server.key.
void make_certificates(const std::string& directory, const std::string& names);

// A port of 127.0.0.1 on which nobody listens now.
int free_port();

}  // namespace sluice::test
