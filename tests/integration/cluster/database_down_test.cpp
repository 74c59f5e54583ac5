// The database is away: nobody dies of it, callers hear so in time, and all comes back by itself.
#include "fixture.hpp"

#include <sluice/core/descriptor.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <filesystem>

namespace sluice::test {
namespace {

const std::vector<std::string> impatient{"--pools.main.acquire_timeout", "1s",   "--pools.main.connect_timeout", "1s",    "--pools.main.connect_backoff_max", "300ms",
                                        "--pools.main.keepalive",       "500ms", "--pools.main.close_timeout",   "500ms"};

bool answers(const Cluster& cluster) {
  return eventually(10s, [&] {
    try {
      return cluster.get("/ping").status == 200 && cluster.admin_get("/livez").status == 200;
    } catch (const Error&) {
      return false;
    }
  });
}

// Every worker lives its first life.
void check_nobody_died(const Cluster& cluster) {
  for (const auto& worker : cluster.workers()) {
    INFO(worker.dump());
    CHECK(worker.at("generation") == 1);
    CHECK(worker.at("restarts") == 0);
    CHECK(worker.at("state") != "failed");
  }
}

void check_refused_in_time(const Cluster& cluster) {
  for (const char* target : {"/users/1", "/orders/1"}) {
    const TimePoint asked = Clock::now();
    const auto response = cluster.get(target, 10s);
    INFO(target << ": " << response.status << " " << response.body);
    CHECK(response.status == 503);
    CHECK(Clock::now() - asked < scaled(2s));
    CHECK(response.body.find("secret") == std::string::npos);
  }
}

std::string readiness_reason(const Cluster& cluster, const std::string& expected) {
  http::Response response;
  eventually(5s, [&] { return (response = cluster.admin_get("/readyz")).status == 503 && response.body.find(expected) != std::string::npos; });
  CHECK(response.status == 503);
  return response.body;
}

bool serves(const Cluster& cluster) {
  return eventually(15s, [&] {
    return cluster.post("/orders", R"({"user":1,"item":"book","quantity":1})", {{"Content-Type", "application/json"}}).status < 300 &&
           cluster.admin_get("/readyz").status == 200;
  });
}

}  // namespace

TEST_CASE("A database that is down at the start: 503 in time, /readyz says why, and all recovers when it comes") {
  if (!PostgresServer::require()) return;
  PostgresServer server({.max_connections = 20, .settings = {{"authentication_timeout", "2s"}}});
  server.start();
  server.stop();
  Cluster cluster({.workers = "2", .url = server.url(), .flags = impatient, .wait_ready = false});
  SHOW_LOG_OF(cluster);
  REQUIRE(answers(cluster));
  check_refused_in_time(cluster);
  CHECK(readiness_reason(cluster, "refused").find("main") != std::string::npos);
  CHECK(cluster.admin_get("/livez").status == 200);
  check_nobody_died(cluster);
  server.start();
  CHECK(serves(cluster));
  check_nobody_died(cluster);
  CHECK(wait_agreement(cluster, &server, 10s) == "");
  check_clean_end(cluster, &server);
}

TEST_CASE("A database that goes away while it is used: 503 in time, and all recovers when it is back") {
  if (!PostgresServer::require()) return;
  PostgresServer server({.max_connections = 20, .settings = {{"authentication_timeout", "2s"}}});
  server.start();
  Cluster cluster({.workers = "2", .url = server.url(), .flags = impatient});
  SHOW_LOG_OF(cluster);
  REQUIRE(serves(cluster));
  SUBCASE("in good order") { server.stop(PostgresServer::Stop::fast); }
  SUBCASE("by a kill") {
    server.kill_hard();
    CHECK(eventually(2s, [&] { return cluster.get("/users/1").status == 503; }));  // its backends notice a moment later
  }
  check_refused_in_time(cluster);
  readiness_reason(cluster, "main");
  server.start();
  CHECK(serves(cluster));
  check_nobody_died(cluster);
  CHECK(wait_agreement(cluster, &server, 10s) == "");
  CHECK(server.refused() == 0);
  check_clean_end(cluster, &server);
}

TEST_CASE("An unreachable database: nobody exits, 503 within the deadline, /readyz says why") {
  const std::uint16_t port = unused_port();
  const Descriptor silent(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(silent.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(silent.get(), 64) == 0);
  auto flags = impatient;
  flags.insert(flags.end(), {"--servers.main.total", "8"});
  const std::string url = "postgres://app:secret@" + local(port) + "/app";
  Cluster cluster({.workers = "2"});
  SHOW_LOG_OF(cluster);
  REQUIRE(cluster.stop() == 0);
  SUBCASE("after a clean end, when workers may connect at once") {}
  SUBCASE("after an unclean end, when no permit is free before the server was asked") { std::filesystem::remove(cluster.directory() / (cluster.instance() + ".lock")); }
  cluster.reconfigure(url, flags);
  cluster.start();
  REQUIRE(answers(cluster));
  check_refused_in_time(cluster);
  CHECK(readiness_reason(cluster, "main").find("secret") == std::string::npos);
  check_nobody_died(cluster);
  check_clean_end(cluster);
}

TEST_CASE("A wrong password: nobody exits, /readyz says so without showing it, and the right one heals all") {
  if (!PostgresServer::require()) return;
  PostgresServer server({.max_connections = 20, .settings = {{"authentication_timeout", "2s"}}});
  server.start();
  Cluster cluster({.workers = "2", .url = server.url("app", "Wr0ng-pa55word"), .flags = impatient, .wait_ready = false});
  SHOW_LOG_OF(cluster);
  REQUIRE(answers(cluster));
  check_refused_in_time(cluster);
  const std::string reason = readiness_reason(cluster, "password");
  INFO(reason);
  CHECK(reason.find("authentication failed") != std::string::npos);
  CHECK(reason.find("Wr0ng-pa55word") == std::string::npos);
  CHECK(cluster.log().find("Wr0ng-pa55word") == std::string::npos);
  check_nobody_died(cluster);
  server.query("ALTER ROLE app PASSWORD 'Wr0ng-pa55word'");
  CHECK(serves(cluster));
  check_nobody_died(cluster);
  check_clean_end(cluster, &server);
}

TEST_CASE("A restart of the database under load costs its requests only, and no refused connection") {
  if (!PostgresServer::require()) return;
  PostgresServer server({.max_connections = 20, .settings = {{"authentication_timeout", "2s"}}});
  server.start();
  Cluster cluster({.workers = "4", .url = server.url(), .flags = impatient});
  SHOW_LOG_OF(cluster);
  Load load(cluster.http_port(), {.users = 50});
  REQUIRE(load.wait_answers(500));
  server.restart(PostgresServer::Stop::fast);
  CHECK(load.wait_answers(500));
  const LoadResult result = load.stop();
  for (const LoadFailure& failure : result.failures) CHECK_MESSAGE(failure.what.find("status 503") != std::string::npos, failure.what);
  check_nobody_died(cluster);
  CHECK(server.refused() == 0);
  CHECK(wait_agreement(cluster, &server, 10s) == "");
  check_clean_end(cluster, &server);
}

}  // namespace sluice::test
