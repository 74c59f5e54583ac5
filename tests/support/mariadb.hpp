// A private MariaDB for tests: its own directory, a free port of 127.0.0.1 and a Unix socket, no durability. It dies with the
// thread that called start() (parent-death signal), so call that on the main thread. User `app` (password "secret", no SUPER,
// no PROCESS) owns database `app`; `other` (password "secret") may use it too. Not thread-safe. Calls throw std::runtime_error
// with the end of the server's log.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <map>
#include <string>
#include <vector>

struct st_mysql;

namespace sluice::test {

struct MariaDbOptions {
  int max_connections = 20;
  bool ssl = false;                             // certificate for localhost and 127.0.0.1, signed by ca_file()
  std::map<std::string, std::string> settings;  // further settings: {"connect_timeout", "2"}
};

// As the process list shows it.
struct MariaDbSession {
  std::uint64_t id = 0;
  std::string user;
  std::string command;  // "Sleep", "Query", "Execute"
  std::string info;     // the statement
};

class MariaDbServer {
 public:
  // False: no server binaries on this machine.
  static bool available();
  // What a test begins with. False: not available, said on stderr; fails the running process' test by throwing
  // if SLUICE_REQUIRE_SERVERS=1.
  static bool require();

  explicit MariaDbServer(MariaDbOptions options = {});
  ~MariaDbServer();
  MariaDbServer(const MariaDbServer&) = delete;
  MariaDbServer& operator=(const MariaDbServer&) = delete;

  void start();      // returns when the server accepts connections; the port is kept over restarts
  void stop();       // orderly
  void kill_hard();  // SIGKILL
  void restart();
  bool running() const noexcept { return process_ > 0; }

  int port() const noexcept { return port_; }
  pid_t process() const noexcept { return process_; }
  std::string url(const std::string& user = "app", const std::string& password = "secret", const std::string& database = "app") const;
  // Of the Unix socket, as user app.
  std::string socket_url() const;
  const std::string& directory() const noexcept { return directory_; }
  std::string ca_file() const { return directory_ + "/ca.pem"; }
  std::string log() const;

  // As root in database app, on one kept connection over the Unix socket; NULL is "". The connection counts against
  // max_connections, like everybody's, until disconnect().
  std::vector<std::vector<std::string>> query(const std::string& sql);
  void disconnect();
  // Of users app and other.
  std::vector<MariaDbSession> sessions();
  // Status variable `name`, a number.
  std::uint64_t status(const std::string& name);
  // Connections refused because no slot was free, since the server's start; and the most that there were at once.
  std::uint64_t refused() { return status("Connection_errors_max_connections"); }
  std::uint64_t most_used() { return status("Max_used_connections"); }

 private:
  std::vector<std::string> command() const;
  bool launch();

  MariaDbOptions options_;
  std::string directory_;
  int port_ = 0;
  pid_t process_ = -1;
  std::time_t started_ = 0;
  st_mysql* root_ = nullptr;
};

}  // namespace sluice::test
