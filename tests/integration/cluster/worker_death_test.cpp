// A worker dies: its slot lives on, its siblings notice nothing, and what it held comes back only when the server let it go.
#include "fixture.hpp"

#include <signal.h>

#include <algorithm>
#include <filesystem>

namespace sluice::test {

TEST_CASE("A worker killed under load serves again in its slot within a second, and only its own requests in flight are lost") {
  Database database;
  SUBCASE("on SQLite") {}
  SUBCASE("on PostgreSQL") {
    database.server = postgres();
    if (!database.server) return;
  }
  Cluster cluster({.workers = "4", .url = database.url()});
  SHOW_LOG_OF(cluster);
  const std::size_t refused = database.server ? database.server->refused() : 0;

  Load load(cluster.http_port());
  REQUIRE(load.wait_answers(2000));
  int victim = 0;
  for (int slot = 1; slot < 4; ++slot)
    if (load.answered_by(slot) > load.answered_by(victim)) victim = slot;
  const auto before = cluster.worker(victim);
  auto totals = cluster.ctl_json({"status"}).at("totals");

  const TimePoint killed = Clock::now();
  REQUIRE(::kill(before.at("pid").get<pid_t>(), SIGKILL) == 0);
  CHECK(eventually(1s, [&] { return nlohmann::json::parse(cluster.get("/ping").body).at("worker") == victim; }));
  MESSAGE("serving again after " << to_millis(Clock::now() - killed) << " ms");
  const auto after = cluster.worker(victim);
  CHECK(after.at("state") == "ready");
  CHECK(after.at("generation") == before.at("generation").get<int>() + 1);
  CHECK(after.at("pid") != before.at("pid"));
  CHECK(after.at("restarts") == before.at("restarts").get<int>() + 1);

  // Totals never go back, while the dead life's numbers are folded in.
  for (int i = 0; i < 20; ++i) {
    REQUIRE(load.wait_answers(50));
    const auto now = cluster.ctl_json({"status"}).at("totals");
    for (const auto& total : totals.items()) {
      INFO(total.key());
      CHECK(now.at(total.key()).get<std::uint64_t>() >= total.value().get<std::uint64_t>());
    }
    totals = now;
  }
  const LoadResult result = load.stop();
  CHECK(result.unexpected(victim, killed) == "");
  CHECK(result.failures_of(victim, killed) <= 32);
  CHECK(result.failures_of(victim, killed) > 0);
  MESSAGE(result.requests << " requests, " << result.failures_of(victim, killed) << " lost with the killed worker, slowest " << to_millis(result.slowest()) << " ms");

  const Duration left = scaled(5s) - (Clock::now() - killed);
  CHECK(wait_agreement(cluster, database.server, std::max(left, Duration(100ms))) == "");
  if (database.server) CHECK(database.server->refused() == refused);
  check_clean_end(cluster, database.server);
}

TEST_CASE("A worker killed while it connects blocks its permit no longer than the authentication timeout and five seconds") {
  PostgresServer* server = postgres();
  if (!server) return;
  Cluster cluster({.workers = "2", .url = server->url(), .flags = {"--pools.main.warm_up", "true", "--pools.main.min_idle", "6"}});
  SHOW_LOG_OF(cluster);
  // Killed again and again within its first connects: some of these lives end with rows in state connecting.
  for (int i = 0; i < 5; ++i) {
    const pid_t pid = cluster.worker_pid(0);
    if (pid > 0) ::kill(pid, SIGKILL);
    eventually(3s, [&] {
      const pid_t next = cluster.worker_pid(0);
      return next > 0 && next != pid;
    });
  }
  CHECK(wait_agreement(cluster, server, 2s + 5s) == "");
  check_clean_end(cluster, server);
}

TEST_CASE("The sessions of a second pool with another role are waited for too, though the janitor's role sees little of them") {
  PostgresServer* server = postgres();
  if (!server) return;
  Cluster cluster({.application = "testapp",
                   .workers = "1",
                   .url = server->url(),
                   .flags = {"--pools.second.warm_up", "false"},
                   .environment = {{"APP_POOLS__SECOND__URL", second_role(*server)}}});
  SHOW_LOG_OF(cluster);
  std::jthread client([&] { CHECK(cluster.try_get("/sleep/second?seconds=60", 90s).status == 0); });
  const auto asleep = [&] { return sleeping_session(*server, cluster); };
  REQUIRE(eventually(5s, [&] { return asleep() != 0; }));
  ::kill(cluster.worker_pid(0), SIGKILL);
  // Seen before and after the look at the table: it was there all the time, so it must have had its row.
  bool always_accounted = true;
  CHECK(eventually(5s, [&] {
    const int before = asleep();
    const auto permits = cluster.ctl_json({"permits"});
    if (before == 0 || asleep() != before) return before == 0;
    always_accounted = always_accounted && std::any_of(permits.begin(), permits.end(), [&](const auto& permit) { return permit.at("session") == before; });
    return false;
  }));
  CHECK(always_accounted);
  CHECK(wait_agreement(cluster, server, 5s) == "");
  check_clean_end(cluster, server);
}

TEST_CASE("The first restart after a healthy life is immediate, the next waits its backoff") {
  Cluster cluster({.application = "testapp", .flags = {"--restart.healthy_after", "1s", "--restart.backoff_min", "5s", "--restart.backoff_max", "8s"}});
  SHOW_LOG_OF(cluster);
  REQUIRE(eventually(5s, [&] { return cluster.worker(1).at("uptime_ms").get<int>() > 1100; }));
  ::kill(cluster.worker_pid(1), SIGKILL);
  CHECK(cluster.wait_generation_above(1, 1, 1s));
  ::kill(cluster.worker_pid(1), SIGKILL);
  CHECK(eventually(1s, [&] { return cluster.worker(1).at("state") == "backoff"; }));
  CHECK(cluster.worker(1).at("retry_in_ms").get<int>() > 0);
  CHECK(cluster.worker(1).at("last_exit") == "signal");
  CHECK(cluster.worker(1).at("last_exit_status") == 128 + SIGKILL);
  CHECK(cluster.worker(0).at("generation") == 1);
  check_clean_end(cluster);
}

TEST_CASE("A slot whose lives keep failing is given up, says why, and leaves the others alone") {
  Cluster cluster({.application = "testapp",
                   .flags = {"--restart.breaker_deaths", "3", "--restart.backoff_min", "10ms", "--restart.backoff_max", "40ms", "--app.die_in_start", "1"},
                   .wait_ready = false});
  SHOW_LOG_OF(cluster);
  REQUIRE(eventually(10s, [&] {
    const auto row = std::filesystem::exists(cluster.control()) ? cluster.worker(1) : nlohmann::json();
    return !row.is_null() && row.at("state") == "failed";
  }));
  const auto row = cluster.worker(1);
  CHECK(row.at("generation") == 3);
  CHECK(row.at("reason").get<std::string>().find("start() was told to fail") != std::string::npos);
  CHECK(cluster.worker(0).at("state") == "ready");
  CHECK(cluster.worker(0).at("generation") == 1);
  CHECK(cluster.get("/ping").status == 200);
  check_clean_end(cluster);
}

TEST_CASE("A worker that exits with 78 stops the instance with 78, for a wrong configuration is not cured by restarts") {
  Cluster cluster({.application = "testapp"});
  SHOW_LOG_OF(cluster);
  CHECK_THROWS(cluster.post("/crash?exit=78", ""));
  CHECK(cluster.wait_exit(10s) == 78);
  CHECK(cluster.leftovers() == "");
}

TEST_CASE("What a worker started dies with it") {
  Cluster cluster({.application = "testapp"});
  SHOW_LOG_OF(cluster);
  const auto answer = nlohmann::json::parse(cluster.post("/fork", "").body);
  const pid_t grandchild = answer.at("child");
  const int slot = answer.at("worker");
  const pid_t worker = cluster.worker_pid(slot);
  REQUIRE(process(grandchild).pid == grandchild);
  CHECK(process(worker).group == worker);
  CHECK(process(grandchild).group == worker);
  ::kill(worker, SIGKILL);
  CHECK(cluster.wait_generation_above(slot, 1, 3s));
  CHECK(eventually(1s, [&] { return cluster.processes(), process(grandchild).pid == 0; }));
  check_clean_end(cluster);
}

TEST_CASE("While the only worker is dead, clients wait in the listener instead of being refused") {
  Cluster cluster({.application = "testapp", .workers = "1", .flags = {"--restart.healthy_after", "100ms"}});
  SHOW_LOG_OF(cluster);
  REQUIRE(eventually(2s, [&] { return cluster.worker(0).at("uptime_ms").get<int>() > 150; }));
  ::kill(cluster.worker_pid(0), SIGKILL);
  const auto response = cluster.get("/ping");
  CHECK(response.status == 200);
  CHECK(nlohmann::json::parse(response.body).at("generation") == 2);
  check_clean_end(cluster);
}

}  // namespace sluice::test
