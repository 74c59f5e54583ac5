// The budget is changed while clients are served: nobody is refused, and the server never sees more than what is in force.
#include <sluice/http/client.hpp>

#include "fixture.hpp"

namespace sluice::test {
namespace {

// Waits until exactly this many permits exist.
bool wait_in_force(const Cluster& cluster, int budget) {
  return eventually(10s, [&] {
    const nlohmann::json server = main_server(cluster);
    return server.at("in_force") == budget && server.at("shrinking") == false;
  });
}

void set(const Cluster& cluster, const std::string& target) {
  const Finished done = cluster.ctl({"budget", "set", target});
  INFO(done.out << done.err);
  REQUIRE(done.exit_code == 0);
}

}  // namespace

TEST_CASE("The budget goes 13, 6, 17 and back under load: no request fails, and no more sessions are seen than are in force") {
  if (!PostgresServer::require()) return;
  // 3 places are kept for superusers, and the test's own three superusers take three more: 18 are left, for 17.
  PostgresServer server({.max_connections = 24, .settings = {{"authentication_timeout", "2s"}}});
  server.start();
  Cluster cluster({.workers = "2", .url = server.url(), .flags = {"--servers.main.total", "13"}});
  SHOW_LOG_OF(cluster);
  Load load(cluster.http_port(), {.connections = 48, .targets = {"/report?seconds=0.02", "/users/1"}});
  SessionWatch all(server.superuser_url());
  REQUIRE(load.wait_answers(1000));
  CHECK(eventually(10s, [&] { return all.most() > 6; }));  // so that there is something to give back

  set(cluster, "main=6");
  CHECK(wait_in_force(cluster, 6));
  {
    SessionWatch watch(server.superuser_url());
    CHECK(load.wait_answers(2000));
    CHECK(eventually(5s, [&] { return watch.samples() > 50; }));
    CHECK(watch.stop() <= 6);
    CHECK(watch.most() > 1);
  }
  CHECK(limits(cluster) == std::vector<int>{3, 2});
  CHECK(all.most() <= 13);

  set(cluster, "main=17");
  CHECK(wait_in_force(cluster, 17));
  CHECK(limits(cluster) == std::vector<int>{8, 8});
  CHECK(eventually(10s, [&] { return all.most() > 13; }));
  CHECK(load.wait_answers(2000));
  set(cluster, "main=auto");
  CHECK(wait_in_force(cluster, default_budget));
  {
    SessionWatch watch(server.superuser_url());
    CHECK(eventually(5s, [&] { return watch.samples() > 50; }));
    CHECK(watch.stop() <= default_budget);
  }

  const LoadResult result = load.stop();
  CHECK(result.unexpected() == "");
  CHECK(all.stop() <= 17);
  CHECK(server.refused() == 0);
  MESSAGE(result.requests << " requests, slowest " << to_millis(result.slowest()) << " ms; most sessions " << all.most() << " in " << all.samples() << " samples");
  CHECK(wait_agreement(cluster, &server, 5s) == "");
  check_clean_end(cluster, &server);
}

TEST_CASE("A budget set while running survives a scale, and the scale is judged by it") {
  PostgresServer* server = postgres();
  if (!server) return;
  Cluster cluster({.workers = "2", .url = server->url()});
  SHOW_LOG_OF(cluster);
  set(cluster, "main=5");
  CHECK(wait_in_force(cluster, 5));
  CHECK(cluster.ctl({"scale", "4"}).exit_code == 0);
  CHECK(cluster.wait_workers(4));
  CHECK(limits(cluster) == std::vector<int>{1, 1, 1, 1});
  CHECK(main_server(cluster).at("wished_total") == 5);
  const Finished beyond = cluster.ctl({"scale", "5"});
  CHECK(beyond.exit_code == 78);
  CHECK(beyond.err.find("5 workers × floor 1 + 1 = 6 > 5") != std::string::npos);
  const Finished shown = cluster.ctl({"budget"});
  CHECK(shown.out.find("total 5 was set while running") != std::string::npos);
  check_clean_end(cluster, server);
}

TEST_CASE("option capacity: no budget beyond it can be set while the instance runs") {
  PostgresServer* server = postgres();
  if (!server) return;
  Cluster cluster({.application = "testapp", .workers = "2", .url = server->url(), .flags = {"--servers.main.capacity", "15"}});
  SHOW_LOG_OF(cluster);
  REQUIRE(eventually(10s, [&] { return main_server(cluster).at("budget") == default_budget; }));
  const Finished refused = cluster.ctl({"budget", "set", "main=16"});
  INFO(refused.err);
  CHECK(refused.exit_code == 78);
  CHECK(refused.err.find("budget 16 > capacity 15") != std::string::npos);
  CHECK(cluster.ctl({"budget", "set", "main=15"}).exit_code == 0);
  check_clean_end(cluster, server);
}

TEST_CASE("A budget that cannot be is refused with its arithmetic, and nothing changes") {
  PostgresServer* server = postgres();
  if (!server) return;
  Cluster cluster({.workers = "2", .url = server->url()});
  SHOW_LOG_OF(cluster);
  REQUIRE(eventually(10s, [&] { return main_server(cluster).at("budget") == default_budget; }));
  const auto refused = [&](const std::string& target, int code, const char* why) {
    const Finished done = cluster.ctl({"budget", "set", target});
    INFO(done.err);
    CHECK(done.exit_code == code);
    CHECK(done.out == "");
    CHECK(done.err.find(why) != std::string::npos);
  };
  refused("main=2", 78, "2 workers × floor 1 + 1 = 3 > 2");
  refused("main=18", 78, "the server accepts 17 (max_connections 20 − 3 reserved)");
  refused("main=2000", 78, "budget 2000 > capacity 1024");
  refused("mian=8", 64, "unknown server \"mian\"; did you mean \"main\"? This instance has: main");
  refused("other=8", 64, "unknown server \"other\". This instance has: main");
  refused("main=many", 64, "main=auto");
  // What --what-if says is what the refusal says.
  const Finished asked = cluster.ctl({"budget", "--what-if", "workers=13"});
  const Finished scaled_to = cluster.ctl({"scale", "13"});
  CHECK(asked.exit_code == 78);
  CHECK(scaled_to.exit_code == 78);
  CHECK(scaled_to.err.find(asked.out.substr(0, asked.out.find('\n'))) != std::string::npos);
  CHECK(main_server(cluster).at("budget") == default_budget);
  CHECK(limits(cluster) == std::vector<int>{6, 6});
  // The admin address is read-only without a token.
  const http::Response stranger = http::fetch(local(cluster.admin_port()), "POST", "/api/budget", R"({"server":"main","total":8})", 5s);
  CHECK(stranger.status == 403);
  check_clean_end(cluster, server);
}

TEST_CASE("ctl budget --what-if says the arithmetic and each worker's limit for other numbers, refuses what cannot be, and changes nothing") {
  PostgresServer* server = postgres();
  if (!server) return;
  Cluster cluster({.workers = "2", .url = server->url()});
  SHOW_LOG_OF(cluster);
  const std::string total = "server 'main': total 13 = floor((max_connections 20 − 3 reserved) × 80 %), ";
  const auto check = [&](std::vector<std::string> numbers, const std::string& said, int code = 0) {
    if (!numbers.empty()) numbers.insert(numbers.begin(), "--what-if");
    numbers.insert(numbers.begin(), "budget");
    const Finished done = cluster.ctl(numbers);
    INFO(done.err);
    CHECK(done.out == total + said + "\n");
    CHECK(done.exit_code == code);
  };
  check({}, "budget 13, 1 kept to confirm closes, 12 shared by 2 workers: 6 each");
  check({"workers=8"}, "budget 13, 1 kept to confirm closes, 12 shared by 8 workers: 1 to 2 each");
  check({"instances=3"}, "budget 4 = floor(13 / 3 instances), 1 kept to confirm closes, 3 shared by 2 workers: 1 to 2 each");
  check({"workers=3", "instances=3"}, "budget 4 = floor(13 / 3 instances), 1 kept to confirm closes, 3 shared by 3 workers: 1 each");
  check({"workers=8", "instances=3"},
        "budget 4 = floor(13 / 3 instances), 1 kept to confirm closes, 3 shared by 8 workers; refused: 8 workers × floor 1 + 1 = 9 > 4; raise servers.main.total or run fewer workers",
        78);

  const auto ask = [&](const std::string& query) { return nlohmann::json::parse(cluster.admin_get("/api/budget" + query).body).at(0); };
  CHECK(ask("").at("limits") == nlohmann::json({6, 6}));
  CHECK(ask("?workers=8").at("limits") == nlohmann::json({2, 2, 2, 2, 1, 1, 1, 1}));
  CHECK(ask("?instances=3").at("limits") == nlohmann::json({2, 1}));
  CHECK(ask("?workers=3&instances=3").at("limits") == nlohmann::json({1, 1, 1}));
  const nlohmann::json refused = ask("?workers=8&instances=3");
  CHECK(refused.at("refused") == true);
  CHECK(refused.at("budget") == 4);
  CHECK(refused.at("limits").empty());

  const auto wrong = [&](const std::string& query, const std::string& reason) {
    for (const http::Response& answer : {cluster.admin_get("/api/budget" + query), cluster.control_request("GET", "/api/budget" + query)}) {
      INFO(query << ": " << answer.body);
      CHECK(answer.status == 400);
      const auto error = nlohmann::json::parse(answer.body).at("error");
      CHECK(error.at("reason") == reason);
      CHECK(error.at("code") == 64);
    }
  };
  wrong("?workers=0", "workers=0 must be between 1 and 100000");
  wrong("?instances=100001", "instances=100001 must be between 1 and 100000");
  wrong("?workers=99999999999", "workers=99999999999 is out of range");
  wrong("?workers=-1", "workers=-1 must be an integer");
  wrong("?instances=1.5", "instances=1.5 must be an integer");
  wrong("?workers=", "workers= must be an integer");
  wrong("?wrokers=8", "unknown parameter \"wrokers\"; there are workers and instances");
  CHECK(cluster.ctl({"budget", "--what-if", "workers=0"}).exit_code == 64);

  CHECK(main_server(cluster).at("budget") == default_budget);
  CHECK(limits(cluster) == std::vector<int>{6, 6});
  CHECK(cluster.workers().size() == 2);
  check_clean_end(cluster, server);
}

}  // namespace sluice::test
