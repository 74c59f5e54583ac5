// How an instance ends.
#include "fixture.hpp"

#include <sluice/core/error.hpp>

#include <signal.h>

#include <algorithm>
#include <thread>

namespace sluice::test {

namespace {

// Stops a loaded cluster in this way: whoever was accepted is answered.
void check_graceful_stop(const Database& database, const std::function<void(Cluster&)>& stop) {
  Cluster cluster({.workers = "3", .url = database.url()});
  SHOW_LOG_OF(cluster);
  Load load(cluster.http_port());
  REQUIRE(load.wait_answers(500));
  load.expect_end();
  stop(cluster);
  CHECK(cluster.wait_exit(15s) == 0);
  CHECK(load.stop().unexpected() == "");
  CHECK(cluster.leftovers() == "");
  if (database.server) CHECK(sessions(*database.server, cluster).empty());
}

}  // namespace

TEST_CASE("A graceful stop under load answers every request that it accepted, and exits with 0") {
  Database database;
  SUBCASE("on SQLite") {}
  SUBCASE("on PostgreSQL") {
    database.server = postgres();
    if (!database.server) return;
  }
  check_graceful_stop(database, [](Cluster& cluster) { ::kill(cluster.master(), SIGTERM); });
  check_graceful_stop(database, [](Cluster& cluster) { ::kill(cluster.master(), SIGINT); });
  check_graceful_stop(database, [](Cluster& cluster) { CHECK(cluster.ctl({"stop"}).exit_code == 0); });
}

TEST_CASE("A graceful stop lets a slow request finish") {
  PostgresServer* server = postgres();
  if (!server) return;
  Cluster cluster({.application = "testapp", .url = server->url()});
  SHOW_LOG_OF(cluster);
  std::atomic<int> status{0};
  std::jthread client([&] { status = static_cast<int>(cluster.try_get("/sleep/main?seconds=1.5", 10s).status); });
  CHECK(eventually(3s, [&] {
    for (const auto& worker : cluster.workers())
      if (worker.at("in_flight") == 1) return true;
    return false;
  }));
  CHECK(cluster.stop(SIGTERM) == 0);
  client.join();
  CHECK(status == 200);
  CHECK(cluster.leftovers() == "");
  CHECK(sessions(*server, cluster).empty());
}

TEST_CASE("SIGQUIT, and a second SIGTERM, end at once even what would take a minute") {
  PostgresServer* server = postgres();
  if (!server) return;
  Cluster cluster({.application = "testapp", .url = server->url(), .flags = {"--http.request_timeout", "2min"}});
  SHOW_LOG_OF(cluster);
  std::jthread client([&] { CHECK(cluster.try_get("/sleep/main?seconds=60", 90s).status == 0); });
  CHECK(eventually(3s, [&] {
    const auto all = sessions(*server, cluster);
    return std::any_of(all.begin(), all.end(), [](const auto& s) { return s.state == "active"; });
  }));
  const TimePoint asked = Clock::now();
  SUBCASE("SIGQUIT") { CHECK(cluster.stop(SIGQUIT, 3s) >= 0); }
  SUBCASE("a second SIGTERM") {
    ::kill(cluster.master(), SIGTERM);
    CHECK(always(500ms, [&] { return cluster.stop(0, 0s) < 0; }));
    CHECK(cluster.stop(SIGTERM, 3s) >= 0);
  }
  CHECK(Clock::now() - asked < scaled(3500ms));
  CHECK(cluster.wait_exit(0s) == 0);
  client.join();
  CHECK(cluster.leftovers() == "");
  CHECK(eventually(2s, [&] { return sessions(*server, cluster).empty(); }));
}

TEST_CASE("A worker that does not finish within the graceful timeout is ended") {
  Cluster cluster({.application = "testapp", .flags = {"--graceful_timeout", "1s"}});
  SHOW_LOG_OF(cluster);
  std::jthread client([&] { cluster.try_get("/hold/main?ms=60000", 90s); });
  CHECK(eventually(3s, [&] {
    for (const auto& worker : cluster.workers())
      if (worker.at("in_flight") == 1) return true;
    return false;
  }));
  const TimePoint asked = Clock::now();
  CHECK(cluster.stop(SIGTERM) == 0);
  CHECK(Clock::now() - asked < scaled(4s));
  client.join();
  CHECK(cluster.leftovers() == "");
}

TEST_CASE("In the foreground one worker serves in the only process") {
  Database database;
  SUBCASE("on SQLite") {}
  SUBCASE("on PostgreSQL") {
    database.server = postgres();
    if (!database.server) return;
  }
  Cluster cluster({.url = database.url(), .flags = {"--foreground"}, .wait_ready = false});
  SHOW_LOG_OF(cluster);
  REQUIRE(eventually(10s, [&] {
    try {
      return cluster.post("/orders", R"({"user":1,"item":"book","quantity":1})", {{"Content-Type", "application/json"}}).status < 300;
    } catch (const Error&) {
      return cluster.wait_exit(0s) >= 0;
    }
  }));
  CHECK(cluster.processes().size() == 1);
  CHECK(cluster.stop(SIGTERM) == 0);
  CHECK(cluster.leftovers() == "");
  if (database.server) CHECK(sessions(*database.server, cluster).empty());
}

}  // namespace sluice::test
