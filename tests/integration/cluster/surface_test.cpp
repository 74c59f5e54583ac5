// What people and scripts see: shapes of ctl, metrics, probes, process titles.
#include "fixture.hpp"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

namespace sluice::test {
namespace {

void check_keys(const nlohmann::json& object, const std::vector<std::string>& keys) {
  INFO(object.dump());
  REQUIRE(object.is_object());
  for (const std::string& key : keys) {
    INFO("expected key: " << key);
    CHECK(object.contains(key));
  }
}

// Established TCP connections among the descriptors of a process.
int connections_of(pid_t pid) {
  std::set<std::string> inodes;
  std::error_code gone;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd", gone)) {
    const std::string target = std::filesystem::read_symlink(entry.path(), gone).string();
    if (target.starts_with("socket:[")) inodes.insert(target.substr(8, target.size() - 9));
  }
  std::istringstream lines(read_file("/proc/net/tcp"));
  std::string line;
  std::getline(lines, line);
  int count = 0;
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    std::string number, local_address, remote, state, queues, timer, retransmits, uid, timeout, inode;
    fields >> number >> local_address >> remote >> state >> queues >> timer >> retransmits >> uid >> timeout >> inode;
    count += state == "01" && inodes.contains(inode);
  }
  return count;
}

}  // namespace

TEST_CASE("ctl status, workers, pools and permits have the documented shapes") {
  PostgresServer* server = postgres();
  if (!server) return;
  Cluster cluster({.workers = "2", .url = server->url()});
  SHOW_LOG_OF(cluster);
  make_orders(cluster, 20);

  const auto status = cluster.ctl_json({"status"});
  check_keys(status, {"instance", "state", "config_generation", "workers", "servers", "totals"});
  CHECK(status.at("instance") == cluster.instance());
  CHECK(status.at("state") == "running");
  CHECK(status.at("config_generation") == 1);
  CHECK(status.at("workers").size() == 2);
  check_keys(status.at("servers").at(0), {"server", "budget", "held", "free", "quarantined"});
  CHECK(status.at("servers").at(0).at("server") == "main");
  CHECK(status.at("servers").at(0).at("budget") == default_budget);
  CHECK(eventually(1s, [&] { return cluster.ctl_json({"status"}).at("totals").at("requests").get<int>() >= 20; }));

  const auto workers = cluster.ctl_json({"workers"});
  REQUIRE(workers.is_array());
  REQUIRE(workers.size() == 2);
  for (const auto& worker : workers) {
    check_keys(worker, {"kind", "slot", "generation", "state", "pid", "tid", "heartbeat_age_ms", "restarts"});
    CHECK(worker.at("kind") == "web");
    CHECK(worker.at("state") == "ready");
    CHECK(worker.at("heartbeat_age_ms").get<int>() < to_millis(scaled(200ms)));
    CHECK(process(worker.at("pid").get<pid_t>()).parent == cluster.master());
  }

  const auto permits = cluster.ctl_json({"permits"});
  REQUIRE(permits.is_array());
  CHECK(permits.size() == default_budget);
  bool held = false;
  for (const auto& permit : permits) {
    check_keys(permit, {"server", "row", "state", "slot", "generation", "session", "since_ms", "call_site"});
    if (permit.at("state") != "idle") continue;
    held = true;
    CHECK(permit.at("session").is_number());
    CHECK((permit.at("slot").is_number() || permit.at("slot") == "janitor"));
  }
  CHECK(held);

  const auto pools = cluster.ctl_json({"pools"});
  REQUIRE(pools.is_array());
  REQUIRE(pools.size() == 2);
  for (const auto& pool : pools) {
    check_keys(pool, {"pool", "slot", "limit", "held", "idle", "leased", "waiting", "acquires", "timeouts"});
    CHECK(pool.at("limit") == 6);
  }
  check_clean_end(cluster, server);
}

TEST_CASE("ctl permits names the line that holds a connection") {
  Cluster cluster({.application = "testapp", .workers = "1"});
  SHOW_LOG_OF(cluster);
  std::jthread client([&] { CHECK(cluster.try_get("/hold/main?ms=1500").status == 200); });
  CHECK(eventually(1400ms, [&] {
    const auto permits = cluster.ctl_json({"permits"});
    return std::any_of(permits.begin(), permits.end(), [](const auto& permit) {
      return permit.at("state") == "leased" && permit.at("call_site").is_string() && permit.at("call_site").template get<std::string>().find("main.cpp:") != std::string::npos;
    });
  }));
  client.join();
  check_clean_end(cluster);
}

TEST_CASE("ctl permits keeps a killed worker's slot, life, session and line for as long as the server has its session, whatever the next life leases") {
  PostgresServer* server = postgres();
  if (!server) return;
  // The janitor's role may not end the second one's session, which sleeps on: the row stays.
  Cluster cluster({.application = "testapp",
                   .workers = "1",
                   .url = server->url(),
                   .flags = {"--pools.second.warm_up", "false"},
                   .environment = {{"APP_POOLS__SECOND__URL", second_role(*server)}}});
  SHOW_LOG_OF(cluster);
  std::jthread client([&] { CHECK(cluster.try_get("/oversleep/second?seconds=60", 90s).status == 0); });
  int session = 0;
  REQUIRE(eventually(5s, [&] { return (session = sleeping_session(*server, cluster)) != 0; }));
  const auto row = [&] { return permit_of(cluster, static_cast<std::uint64_t>(session)); };
  REQUIRE(eventually(5s, [&] { return row().at("since_ms").get<std::int64_t>() > 1000; }));
  auto leased = row();
  CHECK(leased.at("state") == "leased");
  CHECK(leased.at("slot") == 0);
  CHECK(leased.at("generation") == 1);
  CHECK(leased.at("call_site").get<std::string>().find("main.cpp:") != std::string::npos);
  leased.erase("state");
  leased.erase("since_ms");

  const TimePoint killed = Clock::now();
  kill_life(cluster, 0);
  std::jthread next([&] { CHECK(cluster.try_get("/hold/main?ms=" + std::to_string(to_millis(scaled(2s))), 10s).status == 200); });
  nlohmann::json held;
  CHECK(eventually(5s, [&] {
    for (const auto& permit : cluster.ctl_json({"permits"}))
      if (permit.at("state") == "leased") held = permit;
    return !held.is_null();
  }));
  auto left = row();
  REQUIRE(left.is_object());
  // Since its owner died, which is for how long the server has not let go; not since it was leased.
  CHECK(left.at("since_ms").get<std::int64_t>() <= to_millis(Clock::now() - killed));
  CHECK(left.at("state") == "quarantined");
  left.erase("state");
  left.erase("since_ms");
  CHECK(left == leased);
  CHECK(held.at("slot") == 0);
  CHECK(held.at("generation") == 2);
  CHECK(held.at("session") != session);
  CHECK(held.at("call_site") != left.at("call_site"));
  next.join();
  server->query("SELECT pg_terminate_backend(" + std::to_string(session) + ")");
  CHECK(wait_agreement(cluster, server, 5s) == "");
  check_clean_end(cluster, server);
}

TEST_CASE("Tables for people go to stdout, and ctl finds the one running instance by itself") {
  TemporaryDirectory runtime;
  Cluster cluster({.workers = "2"});
  SHOW_LOG_OF(cluster);
  for (const char* verb : {"status", "workers", "pools", "permits"}) {
    const Finished shown = cluster.ctl({verb});
    CHECK(shown.exit_code == 0);
    CHECK(shown.out.find("main") + shown.out.find("web") != 2 * std::string::npos);
    CHECK(shown.err == "");
  }
  check_clean_end(cluster);
}

TEST_CASE("Without --control the socket lies in the runtime directory under the instance's name, and ctl finds it") {
  TemporaryDirectory runtime;
  const Environment environment{{"XDG_RUNTIME_DIR", runtime.path()}};
  const std::uint16_t port = unused_port();
  const pid_t master = launch_session({executable("orders"), "--workers", "1", "--http.listen", local(port), "--admin", "off", "--pools.main.url", "sqlite:" + (runtime / "o.db")},
                                      environment, runtime / "out", runtime / "err");
  Finished found;
  CHECK(eventually(10s, [&] { return (found = execute({executable("orders"), "ctl", "status", "--json"}, environment)).exit_code == 0; }));
  INFO(found.err << read_file(runtime / "err"));
  CHECK(found.json().at("instance").get<std::string>().starts_with("orders@"));
  CHECK(execute({executable("orders"), "ctl", "stop"}, environment).exit_code == 0);
  CHECK(wait_for_exit(master, 10s) == 0);
  CHECK(port_is_free(port));
}

TEST_CASE("Metrics pass promtool and count every worker and permit") {
  Database database;
  SUBCASE("on SQLite") {}
  SUBCASE("on PostgreSQL") {
    database.server = postgres();
    if (!database.server) return;
  }
  Cluster cluster({.workers = "3", .url = database.url()});
  SHOW_LOG_OF(cluster);
  make_orders(cluster, 20);
  const auto metrics = cluster.admin_get("/metrics");
  CHECK(metrics.status == 200);
  const std::string file = cluster.directory() / "metrics.txt";
  std::ofstream(file) << metrics.body;
  const Finished checked = execute({"/bin/sh", "-c", "promtool check metrics < " + file});
  INFO(checked.out << checked.err);
  CHECK(checked.exit_code == 0);
  CHECK(cluster.metric("sluice_workers{kind=\"web\",state=\"ready\"}") == 3);
  CHECK(metrics.body.find("sluice_budget_permits{server=\"main\"") != std::string::npos);
  CHECK(metrics.body.find("sluice_pool_connections{pool=\"main\"") != std::string::npos);
  CHECK(metrics.body.find("sluice_request_duration_seconds_bucket") != std::string::npos);
  CHECK(metrics.body.find("pid=") == std::string::npos);
  check_clean_end(cluster, database.server);
}

TEST_CASE("Probes: alive, ready and started say 200, health has its JSON") {
  Cluster cluster({.workers = "2"});
  SHOW_LOG_OF(cluster);
  for (const char* probe : {"/livez", "/readyz", "/startupz", "/health"}) {
    const auto response = cluster.admin_get(probe);
    INFO(probe << ": " << response.body);
    CHECK(response.status == 200);
    CHECK(nlohmann::json::accept(response.body));
  }
  check_clean_end(cluster);
}

TEST_CASE("Every process shows what it is") {
  Cluster cluster({.workers = "2"});
  SHOW_LOG_OF(cluster);
  std::multiset<std::string> titles;
  for (const ProcessInfo& info : cluster.processes()) {
    titles.insert(command_line(info.pid));
    CHECK(info.parent == (info.pid == cluster.master() ? ::getpid() : cluster.master()));
  }
  CHECK(titles == std::multiset<std::string>{"orders: admin", "orders: master", "orders: web 0", "orders: web 1"});
  CHECK(command_line(cluster.master()) == "orders: master");
  for (const auto& worker : cluster.workers()) {
    const pid_t pid = worker.at("pid");
    CHECK(command_line(pid) == "orders: web " + std::to_string(worker.at("slot").get<int>()));
    CHECK(process(pid).group == pid);
  }
  check_clean_end(cluster);
}

TEST_CASE("The master holds no connection: its sockets are listeners and those to its children") {
  PostgresServer* server = postgres();
  if (!server) return;
  Cluster cluster({.workers = "2", .url = server->url()});
  SHOW_LOG_OF(cluster);
  for (const PostgresSession& session : sessions(*server, cluster)) {
    // <instance>.<nonce>:<slot>.<generation>
    const std::string identity = session.application_name.substr(cluster.instance().size() + 1);
    INFO(session.application_name);
    CHECK(identity.find(':') != std::string::npos);
  }
  CHECK(connections_of(cluster.master()) == 0);
  CHECK(eventually(5s, [&] { return connections_of(cluster.worker_pid(0)) > 0; }));
  check_clean_end(cluster, server);
}

}  // namespace sluice::test
