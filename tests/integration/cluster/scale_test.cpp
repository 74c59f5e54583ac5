// The number of workers changes while clients are served: limits are derived anew, nobody is refused, the budget holds.
#include "fixture.hpp"

namespace sluice::test {
namespace {

using Limits = std::vector<int>;

// Refusals of any kind, in the server's own words.
std::size_t complaints(const std::string& log) {
  std::size_t count = 0;
  for (const char* words : {"too many clients", "remaining connection slots", "too many connections"})
    for (std::size_t at = log.find(words); at != std::string::npos; at = log.find(words, at + 1)) ++count;
  return count;
}

}  // namespace

TEST_CASE("Scaling 2, 8, 3, 1 under load derives the limits anew, fails no request and stays within the budget") {
  Database database;
  SUBCASE("on SQLite") {}
  SUBCASE("on PostgreSQL") {
    database.server = postgres();
    if (!database.server) return;
  }
  const std::size_t complaints_before = database.server ? complaints(database.server->log()) : 0;
  std::unique_ptr<SessionWatch> watch;
  if (database.server) watch = std::make_unique<SessionWatch>(database.server->superuser_url());
  Cluster cluster({.workers = "2", .url = database.url()});
  SHOW_LOG_OF(cluster);
  Load load(cluster.http_port(), {.requests_per_connection = 20});
  REQUIRE(load.wait_answers(1000));

  const auto scale_to = [&](const std::string& number, int workers, const Limits& expected) {
    if (!number.empty()) {
      const Finished scaled_to = cluster.ctl({"scale", number});
      INFO(scaled_to.out << scaled_to.err);
      REQUIRE(scaled_to.exit_code == 0);
    }
    CHECK(cluster.wait_workers(workers));
    std::vector<std::uint64_t> before;
    for (int slot = 0; slot < workers; ++slot) before.push_back(load.answered_by(slot));
    CHECK(eventually(10s, [&] {  // every one of them serves
      for (int slot = 0; slot < workers; ++slot)
        if (load.answered_by(slot) <= before[static_cast<std::size_t>(slot)]) return false;
      return true;
    }));
    CHECK(load.wait_answers(500));
    if (database.server) CHECK(limits(cluster) == expected);
    if (database.server) CHECK(cluster.ctl_json({"status"}).at("servers").at(0).at("budget") == default_budget);
  };
  scale_to("", 2, {6, 6});
  scale_to("web=8", 8, {2, 2, 2, 2, 1, 1, 1, 1});
  scale_to("3", 3, {4, 4, 4});
  scale_to("-2", 1, {12});
  scale_to("+1", 2, {6, 6});

  const LoadResult result = load.stop();
  CHECK(result.unexpected() == "");
  MESSAGE(result.requests << " requests, slowest " << to_millis(result.slowest()) << " ms");
  CHECK(wait_agreement(cluster, database.server, 5s) == "");
  check_clean_end(cluster, database.server);
  if (database.server) {
    CHECK(watch->stop() <= default_budget);
    CHECK(watch->most() > 2);
    CHECK(complaints(database.server->log()) == complaints_before);
    MESSAGE("most sessions seen: " << watch->most() << " in " << watch->samples() << " samples");
  }
}

TEST_CASE("Scaling beyond what the budget can serve is refused with the arithmetic, and nothing changes") {
  PostgresServer* server = postgres();
  if (!server) return;
  Cluster cluster({.workers = "2", .url = server->url()});
  SHOW_LOG_OF(cluster);
  const Finished refused = cluster.ctl({"scale", "web=13"});
  CHECK(refused.exit_code == 78);
  CHECK(refused.out == "");
  INFO(refused.err);
  CHECK(refused.err.find("13") != std::string::npos);
  CHECK(refused.err.find("14") != std::string::npos);  // 13 workers × 1 + 1 to confirm
  CHECK(cluster.wait_workers(2));
  CHECK(limits(cluster) == Limits{6, 6});
  check_clean_end(cluster, server);
}

TEST_CASE("Scaling beyond max_workers and unknown kinds are refused with one clear message") {
  Cluster cluster({.workers = "2", .flags = {"--max_workers", "4"}});
  SHOW_LOG_OF(cluster);
  const Finished beyond = cluster.ctl({"scale", "web=5"});
  CHECK(beyond.exit_code != 0);
  CHECK(beyond.err.find("max_workers") != std::string::npos);
  const Finished unknown = cluster.ctl({"scale", "wbe=3"});
  CHECK(unknown.exit_code == 64);
  CHECK(unknown.err.find("wbe") != std::string::npos);
  CHECK(unknown.err.find("web") != std::string::npos);
  CHECK(cluster.wait_workers(2));
  check_clean_end(cluster);
}

TEST_CASE("All workers start from one budget: eight of them create the schema once and serve") {
  PostgresServer* server = postgres();
  if (!server) return;
  server->query("DROP SCHEMA public CASCADE");
  server->query("CREATE SCHEMA public AUTHORIZATION app");
  Cluster cluster({.workers = "8", .url = server->url()});
  SHOW_LOG_OF(cluster);
  CHECK(limits(cluster) == Limits{2, 2, 2, 2, 1, 1, 1, 1});
  Load load(cluster.http_port(), {.users = 20, .requests_per_connection = 5});
  REQUIRE(load.wait_answers(2000));
  const LoadResult result = load.stop();
  CHECK(result.unexpected() == "");
  check_clean_end(cluster, server);
}

}  // namespace sluice::test
