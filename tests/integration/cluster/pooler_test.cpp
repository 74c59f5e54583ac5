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

  explicit PgBouncer(const PostgresServer& server, const std::string& mode = "session") : port_(unused_port()) {
    std::ofstream(directory_ / "pgbouncer.ini") << "[databases]\napp = host=127.0.0.1 port=" << server.port() << " dbname=app user=app password=secret\n"
                                                << "[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = " << port_ << "\nunix_socket_dir =\n"
                                                << "auth_type = any\npool_mode = " << mode << "\ndefault_pool_size = 8\n";
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

TEST_CASE("A pooler in between without via: proxy is found, total: auto is not asked through it, nothing is given out, and the remedy is said") {
  PostgresServer* server = postgres();
  if (!server || !PgBouncer::available()) return;
  std::string mode = "session";
  SUBCASE("a session for a client") {}
  SUBCASE("a session for a transaction") { mode = "transaction"; }
  const PgBouncer pooler(*server, mode);
  Cluster cluster({.workers = "1", .url = pooler.url(), .wait_ready = false});
  SHOW_LOG_OF(cluster);
  CHECK(eventually(10s, [&] { return cluster.log().find(remedy) != std::string::npos; }));
  CHECK(cluster.log().find("a connection pooler answers there") != std::string::npos);
  CHECK(eventually(5s, [&] { return main_server(cluster).at("janitor_error").get<std::string>().find(remedy) != std::string::npos; }));
  const auto status = main_server(cluster);
  CHECK(status.at("state") == "asking");
  for (const char* held : {"idle", "leased"}) CHECK(status.at(held) == 0);
  const http::Response ready = cluster.admin_get("/readyz");
  CHECK(ready.status == 503);
  CHECK(ready.body.find(remedy) != std::string::npos);
  CHECK(cluster.stop() == 0);
  CHECK(cluster.leftovers() == "");
}

TEST_CASE("A number as total does not hide a pooler: the instance is not ready and says the remedy, and a killed worker's permit stays taken until it is followed") {
  PostgresServer* server = postgres();
  if (!server || !PgBouncer::available()) return;
  const PgBouncer pooler(*server);
  const std::vector<std::string> total{"--servers.main.total", "9"};
  // Its first life, without the pooler, ends well: the next one may use its budget at once.
  Cluster cluster({.application = "testapp", .workers = "1", .url = server->url(), .flags = total});
  SHOW_LOG_OF(cluster);
  REQUIRE(wait_agreement(cluster, server, 10s) == "");
  REQUIRE(cluster.stop() == 0);
  cluster.reconfigure(pooler.url(), total);
  cluster.start();
  const auto says = [&](const char* probe) {
    const http::Response answer = cluster.admin_get(probe);
    return answer.body.find("the permits of a killed worker do not come back: ") != std::string::npos && answer.body.find(remedy) != std::string::npos ? answer.status : 0;
  };
  CHECK(eventually(10s, [&] { return cluster.try_get("/query/main").status == 200; }));
  CHECK(eventually(10s, [&] { return says("/readyz") == 503; }));
  CHECK(says("/health") == 200);  // it serves, but not for ever

  std::jthread client([&] { CHECK(cluster.try_get("/hold/main?ms=60000", 90s).status == 0); });
  CHECK(eventually(5s, [&] { return main_server(cluster).at("leased") == 1; }));
  kill_life(cluster, 0);
  CHECK(eventually(5s, [&] { return cluster.try_get("/query/main").status == 200; }));
  const auto in_quarantine = [&] { return main_server(cluster).at("quarantined").get<int>(); };
  const int left = in_quarantine();
  CHECK(left >= 1);
  CHECK(always(3s, [&] { return in_quarantine() == left; }));  // longer than any other proof takes here
  CHECK(says("/readyz") == 503);
  CHECK(main_server(cluster).at("janitor_error").get<std::string>().find(remedy) != std::string::npos);
  const std::string log = cluster.log();
  CHECK(log.find(remedy) != std::string::npos);
  CHECK(log.find(remedy, log.find(remedy) + 1) == std::string::npos);  // told once, however often it is tried again
  CHECK(cluster.stop() == 0);

  cluster.reconfigure(pooler.url(), {"--servers.main.total", "9", "--servers.main.via", "proxy"});
  cluster.start();
  cluster.wait_ready(20s);
  CHECK(wait_agreement(cluster, nullptr, 15s) == "");
  CHECK(main_server(cluster).at("janitor_error") == "");
  CHECK(cluster.stop() == 0);
  CHECK(cluster.leftovers() == "");
}

TEST_CASE("Behind a pooler with via: proxy and a total everything works, and a killed worker's permits come back") {
  PostgresServer* server = postgres();
  if (!server || !PgBouncer::available()) return;
  std::string mode = "session";
  std::vector<std::string> flags{"--servers.main.via", "proxy", "--servers.main.total", "9"};
  SUBCASE("a session for a client") {}
  SUBCASE("a session for a transaction, with nothing prepared") {
    mode = "transaction";
    flags.insert(flags.end(), {"--pools.main.statement_cache", "0"});
  }
  const PgBouncer pooler(*server, mode);
  Cluster cluster({.workers = "2", .url = pooler.url(), .flags = flags});
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
