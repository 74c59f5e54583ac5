// The budget is changed while clients are served: nobody is refused, and the server never sees more than what is in force.
#include <sluice/http/client.hpp>

#include "fixture.hpp"

namespace sluice::test {
namespace {

nlohmann::json main_server(const Cluster& cluster) { return cluster.ctl_json({"status"}).at("servers").at(0); }

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

}  // namespace sluice::test
