// The long-running list, seen from outside of a real instance.
#include "fixture.hpp"

#include <thread>

namespace sluice::test {

TEST_CASE("ctl statements shows what runs, without its parameters, and forgets it when it has ended or its worker was killed") {
  Database database;
  SUBCASE("on SQLite") {}
  SUBCASE("on PostgreSQL") {
    database.server = postgres();
    if (!database.server) return;
  }
  SUBCASE("on MariaDB") {
    database.mariadb = mariadb();
    if (!database.mariadb) return;
  }
  Cluster cluster({.workers = "1", .url = database.url(), .flags = {"--app.report_deadline", "30s", "--pools.main.slow_statement", "300ms"}});
  SHOW_LOG_OF(cluster);
  const auto shown = [&] {
    nlohmann::json reports = nlohmann::json::array();
    for (const auto& s : cluster.ctl_json({"statements"}))
      if (s.at("statement").get<std::string>().find("AS amount_cents") != std::string::npos) reports.push_back(s);
    return reports;
  };
  CHECK(shown().empty());
  std::jthread slow([&] { cluster.try_get("/report?seconds=1", 30s); });
  nlohmann::json seen;
  CHECK(eventually(20s, [&] { return (seen = shown()).size() == 1; }));
  INFO(seen.dump());
  CHECK(seen[0].at("slot") == 0);
  CHECK(seen[0].at("pool") == "main");
  CHECK(seen[0].at("session").is_number());
  CHECK(seen[0].at("statement").get<std::string>().find("$1") != std::string::npos);
  const Finished table = cluster.ctl({"statements"});
  CHECK(table.exit_code == 0);
  CHECK(table.out.find("RUNNING") != std::string::npos);
  slow.join();
  CHECK(eventually(20s, [&] { return shown().empty(); }));
  CHECK(eventually(20s, [&] { return cluster.log().find("slow statement on pool main") != std::string::npos; }));

  std::jthread killed([&] { cluster.try_get("/report?seconds=20", 30s); });
  CHECK(eventually(20s, [&] { return shown().size() == 1; }));
  const std::uint64_t generation = cluster.worker(0).at("generation");
  ::kill(cluster.worker_pid(0), SIGKILL);
  CHECK(cluster.wait_generation_above(0, generation, 20s));
  CHECK(shown().empty());
  killed.join();
  check_clean_end(cluster, database);
}

}  // namespace sluice::test
