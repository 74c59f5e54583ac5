// Several workers as threads of one process.
#include "fixture.hpp"

#include <signal.h>

#include <set>

namespace sluice::test {

TEST_CASE("In thread mode all workers live in one process") {
  Database database;
  SUBCASE("on SQLite") {}
  SUBCASE("on PostgreSQL") {
    database.server = postgres();
    if (!database.server) return;
  }
  Cluster cluster({.workers = "web=4", .url = database.url(), .flags = {"--mode", "thread"}});
  SHOW_LOG_OF(cluster);
  std::set<int> pids, tids, slots;
  for (const auto& worker : cluster.workers()) {
    pids.insert(worker.at("pid").get<int>());
    tids.insert(worker.at("tid").get<int>());
    slots.insert(worker.at("slot").get<int>());
  }
  CHECK(pids.size() == 1);
  CHECK(tids.size() == 4);
  CHECK(slots == std::set<int>{0, 1, 2, 3});
  Load load(cluster.http_port(), {.users = 100, .requests_per_connection = 50});
  REQUIRE(load.wait_answers(3000));
  const LoadResult result = load.stop();
  CHECK(result.unexpected() == "");
  CHECK(result.by_worker.size() == 4);
  CHECK(wait_agreement(cluster, database.server, 5s) == "");
  check_clean_end(cluster, database.server);
}

TEST_CASE("In thread mode an exception that ends worker 2 restarts worker 2 alone") {
  Cluster cluster({.application = "testapp", .workers = "web=4", .flags = {"--mode", "thread"}});
  SHOW_LOG_OF(cluster);
  const auto before = cluster.workers();
  ask_slot(cluster, "POST", "/fail", 2);
  CHECK(cluster.wait_generation_above(2, 1, 3s));
  const auto after = cluster.workers();
  for (std::size_t i = 0; i < 4; ++i) {
    INFO(after[i].dump());
    CHECK(after[i].at("pid") == before[i].at("pid"));
    CHECK(after[i].at("generation") == (after[i].at("slot") == 2 ? 2 : 1));
    CHECK(after[i].at("state") == "ready");
  }
  CHECK(nlohmann::json::parse(ask_slot(cluster, "GET", "/ping", 2).body).at("generation") == 2);
  check_clean_end(cluster);
}

TEST_CASE("In thread mode a signal takes the process with all its workers, and all come back") {
  Cluster cluster({.application = "testapp", .workers = "web=3", .flags = {"--mode", "thread"}});
  SHOW_LOG_OF(cluster);
  ::kill(cluster.worker_pid(0), SIGKILL);
  for (int slot = 0; slot < 3; ++slot) CHECK(cluster.wait_generation_above(slot, 1, 5s));
  CHECK(cluster.get("/ping").status == 200);
  check_clean_end(cluster);
}

TEST_CASE("With --threads 2 four workers live in two processes, and the death of one process leaves the other alone") {
  Cluster cluster({.application = "testapp", .workers = "web=4", .flags = {"--threads", "2"}});
  SHOW_LOG_OF(cluster);
  const auto before = cluster.workers();
  CHECK(before[0].at("pid") == before[1].at("pid"));
  CHECK(before[2].at("pid") == before[3].at("pid"));
  CHECK(before[0].at("pid") != before[2].at("pid"));
  ::kill(cluster.worker_pid(2), SIGKILL);
  CHECK(cluster.wait_generation_above(2, 1, 5s));
  CHECK(cluster.wait_generation_above(3, 1, 5s));
  CHECK(cluster.worker(0).at("generation") == 1);
  CHECK(cluster.worker(1).at("generation") == 1);
  check_clean_end(cluster);
}

TEST_CASE("In thread mode scaling adds and removes threads of the same process under load") {
  Cluster cluster({.workers = "web=2", .flags = {"--mode", "thread"}});
  SHOW_LOG_OF(cluster);
  Load load(cluster.http_port(), {.users = 100, .requests_per_connection = 50});
  const pid_t pid = cluster.worker_pid(0);
  CHECK(cluster.ctl({"scale", "web=5"}).exit_code == 0);
  CHECK(cluster.wait_workers(5));
  CHECK(cluster.worker_pid(4) == pid);
  REQUIRE(load.wait_answers(500));
  CHECK(cluster.ctl({"scale", "web=1"}).exit_code == 0);
  CHECK(cluster.wait_workers(1));
  CHECK(cluster.worker_pid(0) == pid);
  REQUIRE(load.wait_answers(500));
  CHECK(load.stop().unexpected() == "");
  check_clean_end(cluster);
}

}  // namespace sluice::test
