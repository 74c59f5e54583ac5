// A connection pooler in between: found, and said with the remedy; with the remedy it works.
#include "fixture.hpp"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iostream>

namespace sluice::test {
namespace {

// A real PgBouncer before the shared server, in front of database app.
class PgBouncer {
 public:
  static bool available() {
    if (::access(program, X_OK) == 0) return true;
    const char* required = std::getenv("SLUICE_REQUIRE_SERVERS");
    if (required && std::string(required) == "1") throw std::runtime_error("PgBouncer is not installed (apt install pgbouncer)");
    std::cerr << "SKIP: PgBouncer is not installed (apt install pgbouncer)\n";
    return false;
  }

  explicit PgBouncer(const PostgresServer& server) : port_(unused_port()) {
    std::ofstream(directory_ / "pgbouncer.ini") << "[databases]\napp = host=127.0.0.1 port=" << server.port() << " dbname=app user=app password=secret\n"
                                                << "[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = " << port_ << "\nunix_socket_dir =\n"
                                                << "auth_type = any\npool_mode = session\ndefault_pool_size = 8\n";
    // PgBouncer does not run as root; its configuration is in a directory that is ours alone, so it reads it through a descriptor.
    const std::string as_nobody = ::geteuid() == 0 ? "setpriv --reuid nobody --regid nogroup --clear-groups " : "";
    const std::vector<std::string> command{"/bin/sh", "-c", "exec " + as_nobody + program + " /dev/fd/9 9<" + (directory_ / "pgbouncer.ini")};
    pid_ = launch_session(command, {}, directory_ / "out", directory_ / "err");
    if (!eventually(10s, [&] { return !port_is_free(port_); })) throw std::runtime_error("PgBouncer does not listen: " + read_file(directory_ / "err"));
  }
  ~PgBouncer() {
    ::kill(pid_, SIGKILL);
    wait_for_exit(pid_, 5s);
  }
  PgBouncer(const PgBouncer&) = delete;
  PgBouncer& operator=(const PgBouncer&) = delete;
  std::string url() const { return "postgres://app:secret@127.0.0.1:" + std::to_string(port_) + "/app"; }

 private:
  static constexpr const char* program = "/usr/sbin/pgbouncer";
  TemporaryDirectory directory_;
  std::uint16_t port_;
  pid_t pid_ = 0;
};

constexpr const char* remedy = "set servers.main.via: proxy";

}  // namespace

TEST_CASE("A pooler in between without via: proxy is found, total: auto is not asked through it, and the remedy is said") {
  PostgresServer* server = postgres();
  if (!server || !PgBouncer::available()) return;
  const PgBouncer pooler(*server);
  Cluster cluster({.workers = "1", .url = pooler.url(), .wait_ready = false});
  SHOW_LOG_OF(cluster);
  CHECK(eventually(10s, [&] { return cluster.log().find(remedy) != std::string::npos; }));
  CHECK(cluster.log().find("a connection pooler answers there") != std::string::npos);
  const auto status = cluster.ctl_json({"status"}).at("servers").at(0);
  CHECK(status.at("state") == "asking");  // workers get nothing
  CHECK(status.at("janitor_error").get<std::string>().find(remedy) != std::string::npos);
  CHECK(cluster.admin_get("/readyz").status == 503);
  CHECK(cluster.stop() == 0);
  CHECK(cluster.leftovers() == "");
}

TEST_CASE("Behind a pooler with via: proxy and a total everything works, and a killed worker's permits come back") {
  PostgresServer* server = postgres();
  if (!server || !PgBouncer::available()) return;
  const PgBouncer pooler(*server);
  Cluster cluster({.workers = "2", .url = pooler.url(), .flags = {"--servers.main.via", "proxy", "--servers.main.total", "9"}});
  SHOW_LOG_OF(cluster);
  make_orders(cluster, 10);
  CHECK(limits(cluster) == std::vector<int>{4, 4});
  const auto before = cluster.worker(0);
  ::kill(before.at("pid").get<pid_t>(), SIGKILL);
  CHECK(cluster.wait_generation_above(0, before.at("generation").get<std::uint64_t>(), 10s));
  CHECK(wait_agreement(cluster, nullptr, 15s) == "");
  make_orders(cluster, 5);
  CHECK(cluster.stop() == 0);
  CHECK(cluster.leftovers() == "");
}

}  // namespace sluice::test
