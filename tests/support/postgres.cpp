#include "support/postgres.hpp"

#include "support/command.hpp"

#include <arpa/inet.h>
#include <grp.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <thread>
#include <utility>

namespace sluice::test {
namespace {

namespace fs = std::filesystem;

// The newest installed server, or "" if there is none.
std::string find_binaries() {
  std::vector<std::pair<int, std::string>> found;
  std::error_code none;
  for (const auto& version : fs::directory_iterator("/usr/lib/postgresql", none)) {
    const fs::path bin = version.path() / "bin";
    if (fs::exists(bin / "initdb") && fs::exists(bin / "postgres")) found.emplace_back(std::atoi(version.path().filename().c_str()), bin.string());
  }
  if (!found.empty()) return std::max_element(found.begin(), found.end())->second;
  std::string path = std::getenv("PATH") ? std::getenv("PATH") : "";
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find(':', begin), path.size());
    const fs::path bin = path.substr(begin, end - begin);
    if (fs::exists(bin / "initdb") && fs::exists(bin / "postgres")) return bin.string();
    begin = end + 1;
  }
  return {};
}

const std::string& binaries() {
  static const std::string path = find_binaries();
  return path;
}

// PostgreSQL refuses to run as root.
RunAs server_user() {
  if (::geteuid() != 0) return {};
  for (const char* name : {"postgres", "nobody"}) {
    if (const passwd* user = ::getpwnam(name)) return {user->pw_uid, user->pw_gid};
  }
  throw std::runtime_error("neither user postgres nor nobody exists: no user to run PostgreSQL as");
}

std::string make_directory() {
  const char* base = std::getenv("TMPDIR");
  // A Unix socket's path has 107 bytes.
  std::string path = (base && std::strlen(base) < 60 ? std::string(base) : std::string("/tmp")) + "/sluice-postgres-XXXXXX";
  if (!::mkdtemp(path.data())) throw std::runtime_error("mkdtemp " + path + ": " + std::strerror(errno));
  const RunAs user = server_user();
  if (user.uid != 0 && ::chown(path.c_str(), user.uid, user.gid) != 0) throw std::runtime_error("chown " + path + ": " + std::strerror(errno));
  return path;
}

// A fresh cluster with role and database `app`, made once in a process and copied for every server.
class Template {
 public:
  Template() : directory_(make_directory()), owner_(::getpid()) {
    const std::string log = directory_ + "/initdb.log";
    const std::string script = directory_ + "/create.sql";
    run({binaries() + "/initdb", "-D", data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"}, log, server_user());
    std::ofstream(script) << "CREATE ROLE app LOGIN PASSWORD 'secret';\nCREATE DATABASE app OWNER app;\n";
    run({binaries() + "/postgres", "--single", "-F", "-D", data(), "postgres"}, log, server_user(), script);
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

const Template& cluster_template() {
  static const Template made;
  return made;
}

std::string tail(std::string text) {
  if (text.size() > 3000) text.erase(0, text.size() - 3000);
  return text;
}

// "ready" is the postmaster's own word in its pid file; asking over a connection would leave FATAL lines in the log.
bool says_ready(const std::string& pid_file, pid_t pid) {
  std::ifstream file(pid_file);
  std::string line, first;
  for (int n = 1; std::getline(file, line); ++n) {
    if (n == 1) first = line;
    if (n == 8) return line.rfind("ready", 0) == 0 && std::atoi(first.c_str()) == pid;
  }
  return false;
}

}  // namespace

int free_port() {
  const int s = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(s, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::getsockname(s, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    ::close(s);
    throw std::runtime_error("no free port");
  }
  ::close(s);
  return ntohs(address.sin_port);
}

void make_certificates(const std::string& directory, const std::string& names) {
  const std::string d = directory + "/", log = d + "openssl.log", extensions = d + "server.ext";
  std::ofstream(extensions) << "subjectAltName=" << names << "\n";
  const std::vector<std::string> key = {"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"};
  const auto openssl = [&](std::vector<std::string> arguments, const std::vector<std::string>& more) {
    arguments.insert(arguments.begin(), "openssl");
    arguments.insert(arguments.end(), more.begin(), more.end());
    run(arguments, log);
  };
  openssl({"req", "-x509", "-days", "30", "-subj", "/CN=Sluice test authority", "-keyout", d + "ca.key", "-out", d + "ca.pem"}, key);
  openssl({"req", "-subj", "/CN=sluice-test-server", "-keyout", d + "server.key", "-out", d + "server.csr"}, key);
  openssl({"x509", "-req", "-days", "30", "-in", d + "server.csr", "-CA", d + "ca.pem", "-CAkey", d + "ca.key", "-CAcreateserial", "-out",
           d + "server.pem"},
          {"-extfile", extensions});
}

bool PostgresServer::available() { return !binaries().empty(); }

bool PostgresServer::require() {
  if (available()) return true;
  const char* required = std::getenv("SLUICE_REQUIRE_SERVERS");
  if (required && std::string(required) == "1") throw std::runtime_error("PostgreSQL's server is not installed (apt install postgresql)");
  std::cerr << "SKIP: PostgreSQL's server is not installed (apt install postgresql)\n";
  return false;
}

PostgresServer::PostgresServer(PostgresOptions options) : options_(std::move(options)) {
  if (!available()) throw std::runtime_error("PostgreSQL's server is not installed");
  const std::string& prepared = cluster_template().data();
  directory_ = make_directory();
  run({"cp", "-a", prepared, directory_ + "/data"}, directory_ + "/setup.log");
  if (options_.ssl) make_certificates(directory_, "DNS:localhost,IP:127.0.0.1");
  configure();
}

PostgresServer::~PostgresServer() {
  try {
    stop(Stop::immediate);
  } catch (const std::exception& e) {
    std::cerr << e.what() << "\n";
  }
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

void PostgresServer::configure() {
  const std::string data = directory_ + "/data";
  std::ofstream hba(data + "/pg_hba.conf");
  hba << "local all postgres trust\nhost all postgres 127.0.0.1/32 trust\nlocal all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n";
  hba.close();
  std::map<std::string, std::string> settings = {{"listen_addresses", "127.0.0.1"},
                                                 {"unix_socket_directories", directory_},
                                                 {"max_connections", std::to_string(options_.max_connections)},
                                                 {"fsync", "off"},
                                                 {"synchronous_commit", "off"},
                                                 {"full_page_writes", "off"},
                                                 {"shared_buffers", "16MB"},
                                                 {"max_wal_size", "256MB"},
                                                 {"autovacuum", "off"},
                                                 {"log_min_messages", "warning"},
                                                 {"log_checkpoints", "off"},
                                                 {"log_line_prefix", "%m [%p] "},
                                                 {"jit", "off"},
                                                 {"lc_messages", "C"}};
  if (options_.ssl) {
    const RunAs user = server_user();
    for (const char* name : {"server.key", "server.pem"}) {
      const std::string path = directory_ + "/" + name;
      if (user.uid != 0 && ::chown(path.c_str(), user.uid, user.gid) != 0) throw std::runtime_error("chown " + path);
      ::chmod(path.c_str(), 0600);
    }
    ::chmod(ca_file().c_str(), 0644);
    settings["ssl"] = "on";
    settings["ssl_cert_file"] = directory_ + "/server.pem";
    settings["ssl_key_file"] = directory_ + "/server.key";
  }
  for (const auto& [name, value] : options_.settings) settings[name] = value;
  std::ofstream file(data + "/postgresql.conf", std::ios::app);
  for (const auto& [name, value] : settings) file << name << " = '" << value << "'\n";
}

// One attempt. False: the postmaster ended before it was ready.
bool PostgresServer::launch() {
  const std::string data = directory_ + "/data";
  // SIGQUIT is an immediate shutdown: the postmaster takes its backends with it when the test process dies.
  postmaster_ = spawn({binaries() + "/postgres", "-D", data, "-p", std::to_string(port_)}, directory_ + "/server.log", server_user(), {}, SIGQUIT);
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (std::chrono::steady_clock::now() < give_up) {
    if (says_ready(data + "/postmaster.pid", postmaster_)) return true;
    if (wait_end(postmaster_, 10)) {
      postmaster_ = -1;
      return false;
    }
  }
  throw std::runtime_error("PostgreSQL is not ready after 30 s:\n" + tail(log()));
}

void PostgresServer::start() {
  if (running()) return;
  const bool first = port_ == 0;
  // Tries again if the port was taken meanwhile, or if backends of a killed postmaster still hold its shared memory.
  for (int attempt = 0; attempt < 50; ++attempt) {
    if (first) port_ = free_port();
    if (launch()) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  throw std::runtime_error("PostgreSQL does not start:\n" + tail(log()));
}

void PostgresServer::stop(Stop mode) {
  if (superuser_) PQfinish(std::exchange(superuser_, nullptr));
  if (!running()) return;
  ::kill(postmaster_, mode == Stop::fast ? SIGINT : SIGQUIT);
  const bool ended = wait_end(postmaster_, 20000);
  if (!ended) {
    ::kill(postmaster_, SIGKILL);
    wait_end(postmaster_, 5000);
  }
  postmaster_ = -1;
  if (!ended) throw std::runtime_error("PostgreSQL did not stop within 20 s:\n" + tail(log()));
}

void PostgresServer::kill_hard() {
  if (superuser_) PQfinish(std::exchange(superuser_, nullptr));
  if (!running()) return;
  ::kill(postmaster_, SIGKILL);
  wait_end(postmaster_, 5000);
  postmaster_ = -1;
}

void PostgresServer::restart(Stop mode) {
  stop(mode);
  start();
}

std::string PostgresServer::url(const std::string& user, const std::string& password, const std::string& database) const {
  return "postgresql://" + user + ":" + password + "@127.0.0.1:" + std::to_string(port_) + "/" + database;
}

std::string PostgresServer::superuser_url(const std::string& database) const {
  return "postgresql://postgres@127.0.0.1:" + std::to_string(port_) + "/" + database;
}

std::string PostgresServer::socket_url() const {
  std::string host;
  for (char c : directory_) host += c == '/' ? std::string("%2F") : std::string(1, c);
  return "postgresql://app:secret@" + host + ":" + std::to_string(port_) + "/app";
}

std::string PostgresServer::ca_file() const { return directory_ + "/ca.pem"; }

std::string PostgresServer::log() const { return read_text(directory_ + "/server.log"); }

std::size_t PostgresServer::refused() const {
  const std::string text = log();
  std::size_t count = 0;
  for (const char* words : {"sorry, too many clients", "remaining connection slots are reserved", "too many connections for"}) {
    for (std::size_t at = text.find(words); at != std::string::npos; at = text.find(words, at + 1)) ++count;
  }
  return count;
}

std::vector<std::vector<std::string>> PostgresServer::query(const std::string& sql) {
  // A kept connection may have died with an earlier server: one second try on a new one.
  for (int attempt = 0;; ++attempt) {
    if (!superuser_) {
      const std::string conninfo =
          "host=" + directory_ + " port=" + std::to_string(port_) + " user=postgres dbname=app application_name=sluice-test connect_timeout=10";
      superuser_ = PQconnectdb(conninfo.c_str());
    }
    std::unique_ptr<PGresult, void (*)(PGresult*)> result(PQexec(superuser_, sql.c_str()), PQclear);
    const ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
      std::vector<std::vector<std::string>> rows(static_cast<std::size_t>(PQntuples(result.get())));
      for (int r = 0; r < PQntuples(result.get()); ++r) {
        for (int c = 0; c < PQnfields(result.get()); ++c) rows[static_cast<std::size_t>(r)].emplace_back(PQgetvalue(result.get(), r, c));
      }
      return rows;
    }
    const std::string reason = PQerrorMessage(superuser_);
    const bool lost = PQstatus(superuser_) != CONNECTION_OK;
    if (lost) PQfinish(std::exchange(superuser_, nullptr));
    if (!lost || attempt > 0) throw std::runtime_error("query of the test failed: " + reason + "\n" + sql + "\n" + tail(log()));
  }
}

std::vector<PostgresSession> PostgresServer::sessions(const std::string& application_prefix) {
  std::string quoted;
  for (char c : application_prefix) quoted += c == '\'' ? std::string("''") : std::string(1, c);
  const auto rows = query(
      "SELECT pid, application_name, coalesce(state, ''), query, (extract(epoch from backend_start) * 1000000)::bigint FROM pg_stat_activity "
      "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND starts_with(application_name, '" +
      quoted + "') ORDER BY backend_start");
  std::vector<PostgresSession> sessions;
  for (const auto& row : rows) {
    PostgresSession s;
    s.pid = std::stoi(row[0]);
    s.application_name = row[1];
    s.state = row[2];
    s.query = row[3];
    s.birth = std::stoull(row[4]);
    sessions.push_back(std::move(s));
  }
  return sessions;
}

}  // namespace sluice::test
