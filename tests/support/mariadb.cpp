#include "support/mariadb.hpp"

#include "support/command.hpp"
#include "support/postgres.hpp"  // free_port(), make_certificates()

#include <grp.h>
#include <mysql.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>

namespace sluice::test {
namespace {

namespace fs = std::filesystem;

std::string find_program(const std::string& name) {
  std::string path = (std::getenv("PATH") ? std::getenv("PATH") : "") + std::string(":/usr/sbin:/usr/bin");
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find(':', begin), path.size());
    const fs::path file = fs::path(path.substr(begin, end - begin)) / name;
    std::error_code none;
    if (fs::exists(file, none)) return file.string();
    begin = end + 1;
  }
  return {};
}

const std::string& server_program() {
  static const std::string path = find_program("mariadbd");
  return path;
}

const std::string& install_program() {
  static const std::string path = find_program("mariadb-install-db");
  return path;
}

// MariaDB refuses to run as root.
RunAs server_user() {
  if (::geteuid() != 0) return {};
  for (const char* name : {"mysql", "nobody"}) {
    if (const passwd* user = ::getpwnam(name)) return {user->pw_uid, user->pw_gid};
  }
  throw std::runtime_error("neither user mysql nor nobody exists: no user to run MariaDB as");
}

void give_to_server(const std::string& path) {
  const RunAs user = server_user();
  if (user.uid != 0 && ::chown(path.c_str(), user.uid, user.gid) != 0) throw std::runtime_error("chown " + path + ": " + std::strerror(errno));
}

std::string make_directory() {
  const char* base = std::getenv("TMPDIR");
  // A Unix socket's path has 107 bytes.
  std::string path = (base && std::strlen(base) < 60 ? std::string(base) : std::string("/tmp")) + "/sluice-mariadb-XXXXXX";
  if (!::mkdtemp(path.data())) throw std::runtime_error("mkdtemp " + path + ": " + std::strerror(errno));
  give_to_server(path);
  return path;
}

const std::vector<std::string> cheap = {"--skip-log-bin",
                                        "--innodb-flush-log-at-trx-commit=0",
                                        "--innodb-buffer-pool-size=32M",
                                        "--innodb-log-file-size=16M",
                                        "--innodb-doublewrite=0",
                                        "--innodb-use-native-aio=0",
                                        "--key-buffer-size=1M",
                                        "--aria-pagecache-buffer-size=1M",
                                        "--sync-frm=0"};

// A fresh data directory with the users, made once in a process and copied for every server.
class Template {
 public:
  Template() : directory_(make_directory()), owner_(::getpid()) {
    const std::string log = directory_ + "/install.log", script = directory_ + "/create.sql";
    std::vector<std::string> install = {install_program(),     "--no-defaults",  "--datadir=" + data(),   "--auth-root-authentication-method=normal",
                                        "--skip-name-resolve", "--skip-test-db", "--tmpdir=" + directory_};
    install.insert(install.end(), cheap.begin(), cheap.end());
    run(install, log, server_user());
    // One statement in a line, as --bootstrap reads them.
    std::ofstream(script) << "USE mysql;\n"
                             "DELETE FROM global_priv WHERE User = '';\n"
                             "FLUSH PRIVILEGES;\n"
                             "CREATE DATABASE app CHARACTER SET utf8mb4;\n"
                             "CREATE USER app@'%' IDENTIFIED BY 'secret';\n"
                             "CREATE USER other@'%' IDENTIFIED BY 'secret';\n"
                             "GRANT ALL ON app.* TO app@'%';\n"
                             "GRANT ALL ON app.* TO other@'%';\n";
    give_to_server(script);
    std::vector<std::string> bootstrap = {server_program(), "--no-defaults", "--bootstrap", "--datadir=" + data(), "--skip-grant-tables=0"};
    bootstrap.insert(bootstrap.end(), cheap.begin(), cheap.end());
    run(bootstrap, log, server_user(), script);
  }
  ~Template() {
    if (::getpid() != owner_) return;  // a forked child that called exit()
    std::error_code ignored;
    fs::remove_all(directory_, ignored);
  }
  std::string data() const { return directory_ + "/data"; }

 private:
  std::string directory_;
  pid_t owner_;
};

const Template& server_template() {
  static const Template made;
  return made;
}

std::string tail(std::string text) {
  if (text.size() > 3000) text.erase(0, text.size() - 3000);
  return text;
}

}  // namespace

bool MariaDbServer::available() { return !server_program().empty() && !install_program().empty(); }

bool MariaDbServer::require() {
  if (available()) return true;
  const char* required = std::getenv("SLUICE_REQUIRE_SERVERS");
  if (required && std::string(required) == "1") throw std::runtime_error("MariaDB's server is not installed (apt install mariadb-server)");
  std::cerr << "SKIP: MariaDB's server is not installed (apt install mariadb-server)\n";
  return false;
}

MariaDbServer::MariaDbServer(MariaDbOptions options) : options_(std::move(options)) {
  if (!available()) throw std::runtime_error("MariaDB's server is not installed");
  const std::string& prepared = server_template().data();
  directory_ = make_directory();
  run({"cp", "-a", prepared, directory_ + "/data"}, directory_ + "/setup.log");
  if (!options_.ssl) return;
  make_certificates(directory_, "DNS:localhost,IP:127.0.0.1");
  for (const char* name : {"server.key", "server.pem"}) {
    give_to_server(directory_ + "/" + name);
    ::chmod((directory_ + "/" + name).c_str(), 0600);
  }
  ::chmod(ca_file().c_str(), 0644);
}

MariaDbServer::~MariaDbServer() {
  kill_hard();
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

std::vector<std::string> MariaDbServer::command() const {
  std::vector<std::string> arguments = {server_program(),
                                        "--no-defaults",
                                        "--datadir=" + directory_ + "/data",
                                        "--socket=" + directory_ + "/s.sock",
                                        "--pid-file=" + directory_ + "/pid",
                                        "--tmpdir=" + directory_,
                                        "--bind-address=127.0.0.1",
                                        "--port=" + std::to_string(port_),
                                        "--skip-name-resolve",
                                        "--max-connect-errors=1000000",
                                        "--max-connections=" + std::to_string(options_.max_connections)};
  arguments.insert(arguments.end(), cheap.begin(), cheap.end());
  if (options_.ssl) {
    arguments.push_back("--ssl-cert=" + directory_ + "/server.pem");
    arguments.push_back("--ssl-key=" + directory_ + "/server.key");
  }
  for (const auto& [name, value] : options_.settings) arguments.push_back("--" + name + "=" + value);
  return arguments;
}

// One attempt. False: the server ended before it was ready. Its own word, the pid file, comes when it accepts connections.
bool MariaDbServer::launch() {
  std::error_code ignored;
  fs::remove(directory_ + "/pid", ignored);
  process_ = spawn(command(), directory_ + "/server.log", server_user());
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (std::chrono::steady_clock::now() < give_up) {
    if (std::atoi(read_text(directory_ + "/pid").c_str()) == process_) return true;
    if (wait_end(process_, 10)) {
      process_ = -1;
      return false;
    }
  }
  throw std::runtime_error("MariaDB is not ready after 60 s:\n" + tail(log()));
}

void MariaDbServer::start() {
  if (running()) return;
  const bool first = port_ == 0;
  // A server is told from the one before it by the second of its start: no two of ours share one. Nothing but the
  // clock tells when a second has passed.
  while (std::time(nullptr) == started_) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  for (int attempt = 0; attempt < 20; ++attempt) {  // the port may be taken meanwhile
    if (first) port_ = free_port();
    started_ = std::time(nullptr);
    if (launch()) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  throw std::runtime_error("MariaDB does not start:\n" + tail(log()));
}

void MariaDbServer::disconnect() {
  if (root_) mysql_close(std::exchange(root_, nullptr));
}

void MariaDbServer::stop() {
  disconnect();
  if (!running()) return;
  ::kill(process_, SIGTERM);
  const bool ended = wait_end(process_, 30000);
  if (!ended) {
    ::kill(process_, SIGKILL);
    wait_end(process_, 5000);
  }
  process_ = -1;
  if (!ended) throw std::runtime_error("MariaDB did not stop within 30 s:\n" + tail(log()));
}

void MariaDbServer::kill_hard() {
  disconnect();
  if (!running()) return;
  ::kill(process_, SIGKILL);
  wait_end(process_, 5000);
  process_ = -1;
}

void MariaDbServer::restart() {
  stop();
  start();
}

std::string MariaDbServer::url(const std::string& user, const std::string& password, const std::string& database) const {
  return "mysql://" + user + ":" + password + "@127.0.0.1:" + std::to_string(port_) + "/" + database;
}

std::string MariaDbServer::socket_url() const { return "mariadb://app:secret@/app?socket=" + directory_ + "/s.sock"; }

std::string MariaDbServer::log() const { return read_text(directory_ + "/server.log"); }

std::vector<std::vector<std::string>> MariaDbServer::query(const std::string& sql) {
  // A kept connection may have died with an earlier server: one second try on a new one.
  for (int attempt = 0;; ++attempt) {
    bool connected = root_ != nullptr;
    if (!connected) {
      root_ = mysql_init(nullptr);
      const unsigned protocol = MYSQL_PROTOCOL_SOCKET;
      mysql_options(root_, MYSQL_OPT_PROTOCOL, &protocol);
      connected = mysql_real_connect(root_, nullptr, "root", "", "app", 0, (directory_ + "/s.sock").c_str(), 0) != nullptr;
    }
    if (connected && mysql_query(root_, sql.c_str()) == 0) {
      const std::unique_ptr<MYSQL_RES, void (*)(MYSQL_RES*)> result(mysql_store_result(root_), mysql_free_result);
      std::vector<std::vector<std::string>> rows;
      while (const MYSQL_ROW row = result ? mysql_fetch_row(result.get()) : nullptr) {
        auto& cells = rows.emplace_back();
        for (unsigned c = 0; c < mysql_num_fields(result.get()); ++c) cells.emplace_back(row[c] ? row[c] : "");
      }
      return rows;
    }
    const std::string reason = mysql_error(root_);
    const unsigned code = mysql_errno(root_);
    if (code >= 2000 || code == 1040 || code == 1053) disconnect();
    if (root_ || attempt > 0) throw std::runtime_error("query of the test failed: " + reason + "\n" + sql + "\n" + tail(log()));
  }
}

std::vector<MariaDbSession> MariaDbServer::sessions() {
  std::vector<MariaDbSession> sessions;
  for (const auto& row : query("SELECT ID, USER, COMMAND, INFO FROM information_schema.PROCESSLIST WHERE USER IN ('app', 'other') ORDER BY ID"))
    sessions.push_back({std::stoull(row[0]), row[1], row[2], row[3]});
  return sessions;
}

std::uint64_t MariaDbServer::status(const std::string& name) {
  const auto rows = query("SHOW GLOBAL STATUS LIKE '" + name + "'");
  if (rows.size() != 1) throw std::runtime_error("the server has no status variable " + name);
  return std::stoull(rows[0][1]);
}

}  // namespace sluice::test
