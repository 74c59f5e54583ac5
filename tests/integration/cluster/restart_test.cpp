// Workers are replaced while clients are served: nobody is refused, the budget holds, and a newcomer that fails harms nobody.
#include "fixture.hpp"

#include <fstream>

namespace sluice::test {
namespace {

std::vector<std::uint64_t> generations(const Cluster& cluster) {
  std::vector<std::uint64_t> out;
  for (const auto& worker : cluster.workers()) out.push_back(worker.at("generation"));
  return out;
}

using Generations = std::vector<std::uint64_t>;

// The test application, and a file that says what newcomers suffer from.
struct Troubled {
  explicit Troubled(std::vector<std::string> more_flags = {}) {
    std::vector<std::string> flags = {"--app.trouble_file", directory / "trouble"};
    flags.insert(flags.end(), more_flags.begin(), more_flags.end());
    cluster = std::make_unique<Cluster>(Cluster::Setup{.application = "testapp", .workers = "3", .flags = flags});
  }
  void from_now_on(const std::string& trouble) { std::ofstream(directory / "trouble") << trouble << std::endl; }

  TemporaryDirectory directory;
  std::unique_ptr<Cluster> cluster;
};

}  // namespace

TEST_CASE("A rolling restart under load replaces every worker, fails no request and stays within the budget") {
  PostgresServer* server = postgres();
  if (!server) return;
  std::vector<std::string> flags;
  std::string workers = "4";
  SUBCASE("with one worker more meanwhile") {}
  SUBCASE("in place, for the budget has room for no more workers") { workers = "12"; }
  SUBCASE("as threads of one process") { flags = {"--mode", "thread"}; }
  SessionWatch watch(server->superuser_url());
  Cluster cluster({.workers = workers, .url = server->url(), .flags = flags});
  SHOW_LOG_OF(cluster);
  Load load(cluster.http_port(), {.requests_per_connection = 20});
  REQUIRE(load.wait_answers(500));
  const Finished restarted = cluster.ctl({"restart"}, 60s);
  INFO(restarted.out << restarted.err);
  CHECK(restarted.exit_code == 0);
  CHECK(restarted.out == workers + " of " + workers + " workers replaced\n");
  CHECK(load.wait_answers(500));
  const LoadResult result = load.stop();
  CHECK(result.unexpected() == "");
  CHECK(generations(cluster) == Generations(static_cast<std::size_t>(std::stoi(workers)), 2));
  CHECK(cluster.wait_workers(std::stoi(workers)));
  const auto rollout = cluster.ctl_json({"status"}).at("rollout");
  CHECK(rollout.at("state") == "done");
  CHECK(rollout.at("replaced") == std::stoi(workers));
  CHECK(wait_agreement(cluster, server, 5s) == "");
  CHECK(watch.stop() <= default_budget);
  MESSAGE(result.requests << " requests, slowest " << to_millis(result.slowest()) << " ms; most sessions " << watch.most() << " in " << watch.samples() << " looks");
  check_clean_end(cluster, server);
}

TEST_CASE("A newcomer that never becomes ready is given up, and the old workers serve on") {
  std::string trouble;
  SUBCASE("it dies") { trouble = "die"; }
  SUBCASE("it hangs in start()") { trouble = "hang"; }
  Troubled t({"--boot_timeout", std::to_string(to_millis(scaled(5s))) + "ms"});
  Cluster& cluster = *t.cluster;
  SHOW_LOG_OF(cluster);
  Load load(cluster.http_port(), {.targets = {"/ping"}});
  REQUIRE(load.wait_answers(100));
  t.from_now_on(trouble);
  const Finished refused = cluster.ctl({"restart"}, 60s);
  INFO(refused.out << refused.err);
  CHECK(refused.exit_code == 70);
  CHECK(refused.out.find("0 of 3 workers replaced") != std::string::npos);
  CHECK(refused.out.find("slot 3") != std::string::npos);
  CHECK(load.wait_answers(100));
  CHECK(load.stop().unexpected() == "");
  CHECK(cluster.wait_workers(3));
  CHECK(generations(cluster) == Generations{1, 1, 1});
  // Once it is mended, another try does what the first was for.
  t.from_now_on("nothing");
  CHECK(cluster.ctl({"restart"}, 60s).exit_code == 0);
  CHECK(generations(cluster) == Generations{2, 2, 2});
  check_clean_end(cluster);
}

TEST_CASE("One slot is restarted alone, and what cannot be restarted is refused with one clear message") {
  Troubled t;
  Cluster& cluster = *t.cluster;
  SHOW_LOG_OF(cluster);
  CHECK(cluster.ctl({"restart", "1"}, 60s).exit_code == 0);
  CHECK(generations(cluster) == Generations{1, 2, 1});
  const Finished empty = cluster.ctl({"restart", "7"});
  CHECK(empty.exit_code == 64);
  CHECK(empty.err.find("no worker in slot 7") != std::string::npos);
  const Finished beyond = cluster.ctl({"restart", "70000"});
  CHECK(beyond.exit_code == 64);
  const Finished unknown = cluster.ctl({"restart", "wbe"});
  CHECK(unknown.exit_code == 64);
  CHECK(unknown.err.find("wbe") != std::string::npos);
  CHECK(generations(cluster) == Generations{1, 2, 1});
  check_clean_end(cluster);
}

TEST_CASE("While a rolling restart is under way another is refused, a scale is not, and a stop ends it") {
  Troubled t({"--boot_timeout", "60s"});
  Cluster& cluster = *t.cluster;
  SHOW_LOG_OF(cluster);
  t.from_now_on("hang");
  const Finished begun = cluster.ctl({"restart", "--no-wait"});
  CHECK(begun.exit_code == 0);
  CHECK(begun.out == "rolling restart 1 of 3 workers begins\n");
  const Finished second = cluster.ctl({"restart"});
  CHECK(second.exit_code == 75);
  CHECK(second.err.find("0 of 3 workers replaced") != std::string::npos);
  CHECK(cluster.ctl({"status"}).out.find("rolling restart 1: 0 of 3 workers replaced") != std::string::npos);
  CHECK(cluster.get("/ping").status == 200);
  CHECK(cluster.admin_get("/readyz").status == 200);  // the additional worker is not a wanted one
  CHECK(cluster.ctl({"scale", "-1"}).out == "web: 3 → 2 workers\n");
  check_clean_end(cluster);
}

}  // namespace sluice::test
