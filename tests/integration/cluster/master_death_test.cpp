// The master is killed: nothing survives it, not even a statement on the server, and the next start finds its budget.
#include "fixture.hpp"

#include <sluice/core/error.hpp>

#include <signal.h>

#include <thread>

namespace sluice::test {

TEST_CASE("After a kill of the master its children and their sessions are gone within two seconds, and a new start keeps the budget") {
  PostgresServer* server = postgres();
  if (!server) return;
  const std::size_t refused = server->refused();
  SessionWatch watch(server->superuser_url());
  Cluster cluster({.workers = "3", .url = server->url(), .flags = {"--app.report_deadline", "90s", "--http.request_timeout", "90s"}});
  SHOW_LOG_OF(cluster);

  std::jthread client([&] { CHECK(cluster.try_get("/report?seconds=60", 90s).status == 0); });
  CHECK(eventually(5s, [&] {
    for (const PostgresSession& session : sessions(*server, cluster))
      if (session.state == "active" && session.query.find("pg_sleep") != std::string::npos) return true;
    return false;
  }));
  {
    Load load(cluster.http_port(), {.users = 50});
    REQUIRE(load.wait_answers(500));
    const TimePoint killed = Clock::now();
    REQUIRE(::kill(cluster.master(), SIGKILL) == 0);
    CHECK(cluster.wait_exit(2s) == 128 + SIGKILL);
    CHECK(eventually(2s, [&] { return cluster.processes().empty(); }));
    CHECK(eventually(scaled(2s) - (Clock::now() - killed), [&] { return sessions(*server, cluster).empty(); }));
    MESSAGE("all gone after " << to_millis(Clock::now() - killed) << " ms");
    load.stop();
  }
  client.join();
  CHECK(port_is_free(cluster.http_port()));
  CHECK(port_is_free(cluster.admin_port()));

  // Right afterwards, on the same ports and the same lock: an unclean start.
  cluster.start();
  cluster.wait_ready(15s);
  Load load(cluster.http_port(), {.users = 50});
  CHECK(load.wait_answers(500));
  CHECK(load.stop().unexpected() == "");
  CHECK(wait_agreement(cluster, server, 2s + 5s) == "");
  check_clean_end(cluster, server);
  CHECK(watch.stop() <= default_budget);
  CHECK(server->refused() == refused);
}

TEST_CASE("After a kill of everything while sessions live on, the next start waits for them and stays within the budget") {
  PostgresServer* server = postgres();
  if (!server) return;
  const std::size_t refused = server->refused();
  SessionWatch watch(server->superuser_url());
  Cluster cluster({.workers = "2", .url = server->url(), .flags = {"--pools.main.min_idle", "6"}});
  SHOW_LOG_OF(cluster);
  CHECK(eventually(5s, [&] { return sessions(*server, cluster).size() >= 12; }));
  for (int i = 0; i < 3; ++i) {
    ::kill(cluster.master(), SIGKILL);
    REQUIRE(cluster.wait_exit(2s) == 128 + SIGKILL);
    cluster.start();
    cluster.wait_ready(15s);
  }
  CHECK(eventually(10s, [&] { return sessions(*server, cluster).size() >= 12; }));
  CHECK(watch.stop() <= default_budget);
  CHECK(server->refused() == refused);
  check_clean_end(cluster, server);
}

TEST_CASE("A killed admin process comes back, and neither workers nor requests notice") {
  Cluster cluster({.workers = "2"});
  SHOW_LOG_OF(cluster);
  Load load(cluster.http_port(), {.users = 50});
  const pid_t admin = cluster.process_titled("admin");
  REQUIRE(admin > 0);
  ::kill(admin, SIGKILL);
  CHECK(eventually(3s, [&] {
    const pid_t next = cluster.process_titled("admin");
    return next > 0 && next != admin && cluster.ctl({"status"}).exit_code == 0;
  }));
  CHECK(cluster.admin_get("/readyz").status == 200);
  for (const auto& worker : cluster.workers()) CHECK(worker.at("generation") == 1);
  REQUIRE(load.wait_answers(100));
  CHECK(load.stop().unexpected() == "");
  check_clean_end(cluster);
}

}  // namespace sluice::test
