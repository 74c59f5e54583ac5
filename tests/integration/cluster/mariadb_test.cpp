// The same application on MariaDB: its orders, its budget under load, kills, scaling and outages. A close is proven by the
// server's process list there, so every closed connection passes through quarantine.
#include "fixture.hpp"

#include <signal.h>

#include <set>
#include <thread>

namespace sluice::test {
namespace {

const http::Headers json_body{{"Content-Type", "application/json"}};

MariaDbOptions options(int max_connections = 20) {
  MariaDbOptions made;
  made.max_connections = max_connections;
  made.settings["connect-timeout"] = "2";  // how long a session may be invisible
  return made;
}

// "" if every row is free or idle, and the server's sessions are those of the rows.
std::string disagreement_on(const Cluster& cluster, MariaDbServer& server) {
  std::string out;
  std::set<std::uint64_t> rows, seen;
  for (const auto& row : cluster.ctl_json({"permits"})) {
    const std::string state = row.at("state");
    if (state != "free" && state != "idle") out += "row " + row.dump() + "\n";
    if (row.at("session").is_number()) rows.insert(row.at("session").get<std::uint64_t>());
  }
  for (const MariaDbSession& session : server.sessions()) seen.insert(session.id);
  for (const std::uint64_t id : seen)
    if (!rows.contains(id)) out += "session " + std::to_string(id) + " has no row\n";
  for (const std::uint64_t id : rows)
    if (!seen.contains(id)) out += "row with session " + std::to_string(id) + ", which the server does not know\n";
  return out;
}

std::string agreement(const Cluster& cluster, MariaDbServer& server, Duration limit = 10s) {
  std::string last;
  eventually(limit, [&] { return (last = disagreement_on(cluster, server)).empty(); });
  return last;
}

// A session that runs SLEEP; 0: there is none.
std::uint64_t sleeping(MariaDbServer& server) {
  for (const MariaDbSession& session : server.sessions())
    if (session.info.find("SLEEP") != std::string::npos) return session.id;
  return 0;
}

bool serves(const Cluster& cluster) {
  return eventually(20s, [&] {
    try {
      return cluster.post("/orders", R"({"user":1,"item":"book","quantity":1})", json_body).status < 300 && cluster.admin_get("/readyz").status == 200;
    } catch (const Error&) {
      return false;
    }
  });
}

}  // namespace

TEST_CASE("Orders on MariaDB are made, found and honoured once per idempotency key, also for many clients at once") {
  if (!MariaDbServer::require()) return;
  MariaDbServer server(options());
  server.start();
  Cluster cluster({.workers = "8", .url = server.url()});  // of eight workers one makes the tables
  SHOW_LOG_OF(cluster);
  const auto keyed = [](const std::string& key) { return http::Headers{{"Content-Type", "application/json"}, {"Idempotency-Key", key}}; };
  const auto made = cluster.post("/orders", R"({"user":7,"item":"B\u00fccher \ud83d\udcda","quantity":2,"amount_cents":1990})", keyed("first"));
  INFO(made.body);
  REQUIRE(made.status == 201);
  auto order = nlohmann::json::parse(made.body);
  const auto found = cluster.get("/orders/" + std::to_string(order.at("id").get<std::int64_t>()));
  CHECK(found.status == 200);
  order.erase("worker");  // who answered
  auto again = nlohmann::json::parse(found.body);
  again.erase("worker");
  CHECK(again == order);
  CHECK(cluster.get("/users/1000").status == 200);
  CHECK(cluster.get("/users/1001").status == 404);
  CHECK(cluster.post("/orders", R"({"user":7,"item":"other","quantity":2})", keyed("first")).status == 422);
  const std::string newcomer = R"({"user":{"name":"Ada","email":"ada@example.org"},"item":"book","quantity":1})";
  const auto one = nlohmann::json::parse(cluster.post("/orders", newcomer, json_body).body), two = nlohmann::json::parse(cluster.post("/orders", newcomer, json_body).body);
  CHECK(one.at("user") == 1001);
  CHECK(two.at("user") == 1001);

  std::vector<std::jthread> clients;
  std::vector<http::Response> answers(8);
  for (std::size_t i = 0; i < answers.size(); ++i)
    clients.emplace_back([&, i] {
      try {
        answers[i] = cluster.post("/orders", R"({"user":3,"item":"book","quantity":2})", keyed("same"), 10s);
      } catch (const std::exception& error) {
        FAIL_CHECK(error.what());
      }
    });
  clients.clear();
  for (const http::Response& answer : answers) {
    INFO(answer.body);
    REQUIRE(answer.status < 300);
    CHECK(nlohmann::json::parse(answer.body).at("id") == nlohmann::json::parse(answers[0].body).at("id"));
  }
  CHECK(server.query("SELECT COUNT(*), COUNT(DISTINCT email) FROM users")[0] == std::vector<std::string>{"1001", "1001"});
  CHECK(server.query("SELECT COUNT(*) FROM outbox")[0][0] == "4");
  CHECK(agreement(cluster, server) == "");
  check_clean_end(cluster, server);
}

TEST_CASE("On MariaDB a report that takes too long is answered with 503 at its deadline, and its statement ends on the server") {
  if (!MariaDbServer::require()) return;
  MariaDbServer server(options());
  server.start();
  Cluster cluster({.workers = "1", .url = server.url(), .flags = {"--app.report_deadline", "1s"}});
  SHOW_LOG_OF(cluster);
  CHECK(cluster.get("/report?seconds=0").status == 200);
  const TimePoint asked = Clock::now();
  CHECK(cluster.get("/report?seconds=30", 10s).status == 503);
  CHECK(Clock::now() - asked < scaled(2500ms));
  CHECK(eventually(2s, [&] {
    for (const MariaDbSession& session : server.sessions())
      if (session.info.find("SLEEP") != std::string::npos) return false;
    return true;
  }));
  CHECK(cluster.get("/report?seconds=0").status == 200);
  check_clean_end(cluster, server);
}

TEST_CASE("A late statement that MariaDB does not end by itself is ended by the janitor, and its connection serves on") {
  if (!MariaDbServer::require()) return;
  MariaDbServer server(options());
  server.start();
  Cluster cluster({.application = "testapp", .workers = "1", .url = server.url(), .flags = {"--pools.main.max", "1"}});
  SHOW_LOG_OF(cluster);
  REQUIRE(cluster.get("/sleep/main?seconds=0").status == 200);
  const std::uint64_t aborted = server.status("Aborted_clients");
  for (int i = 0; i < 3; ++i) {
    const TimePoint asked = Clock::now();
    const auto late = cluster.get("/sleep/main?seconds=60&within_ms=300", 10s);
    const Duration took = Clock::now() - asked;
    INFO(late.body);
    CHECK(late.status == 503);
    CHECK(took >= 300ms);
    CHECK(took < scaled(2s));
    MESSAGE("ended after " << to_millis(took) << " ms");
    // No late KILL hits what comes next on the same connection.
    for (int n = 0; n < 10; ++n) CHECK(cluster.get("/sleep/main?seconds=0.01").status == 200);
  }
  CHECK(server.status("Aborted_clients") == aborted);
  for (const MariaDbSession& session : server.sessions()) CHECK(session.info.find("SLEEP") == std::string::npos);
  CHECK(server.sessions().size() <= 2);  // the worker's one connection, and the janitor's
  CHECK(agreement(cluster, server) == "");
  check_clean_end(cluster, server);
}

TEST_CASE("On a MariaDB that has no connection left, late statements are ended over the confirm permit: nobody is refused, and all connections serve on") {
  if (!MariaDbServer::require()) return;
  MariaDbServer server(options(10));  // its least
  server.start();
  server.disconnect();  // the administrator's connection would be one too many
  Cluster cluster({.application = "testapp", .workers = "1", .url = server.url(), .flags = {"--servers.main.total", "10", "--servers.main.headroom", "0"}});
  SHOW_LOG_OF(cluster);
  constexpr int connections = 9;  // of ten: one is the janitor's
  const Duration limit = 1500ms;
  const std::string late = "/sleep/main?seconds=60&within_ms=" + std::to_string(to_millis(scaled(limit)));
  bool in_time = true;  // the driver's patience with the janitor does not grow with the machine's load
  for (int round = 0; round < 3; ++round) {
    std::vector<http::Response> answers(connections);
    {
      std::vector<std::jthread> clients;
      for (std::size_t i = 0; i < answers.size(); ++i) clients.emplace_back([&, i] { answers[i] = cluster.try_get(late, 60s); });
      CHECK(eventually(limit, [&] { return held_by_slot(cluster)[0] == connections; }));
    }
    for (const http::Response& answer : answers) {
      INFO(answer.body);
      CHECK(answer.status == 503);
      CHECK(answer.body.find("the statement did not end before its deadline") != std::string::npos);
      in_time = in_time && answer.body.find("did not end it in time") == std::string::npos;
    }
    for (int i = 0; i < connections; ++i) CHECK(cluster.get("/sleep/main?seconds=0.01", 10s).status == 200);
  }
  CHECK(server.refused() == 0);
  CHECK(server.most_used() <= 10 + 1);  // and the one who asks now
  if (in_time) CHECK(server.status("Aborted_clients") == 0);
  CHECK(eventually(10s, [&] { return sleeping(server) == 0; }));
  server.disconnect();
  check_clean_end(cluster, server);
}

TEST_CASE("A session that sleeps on in MariaDB after its worker was killed is ended by the janitor, and its permit comes back") {
  if (!MariaDbServer::require()) return;
  MariaDbServer server(options());
  server.start();
  Cluster cluster({.application = "testapp", .workers = "1", .url = server.url(), .flags = {"--pools.main.warm_up", "false"}});
  SHOW_LOG_OF(cluster);
  std::jthread client([&] { CHECK(cluster.try_get("/oversleep/main?seconds=60", 90s).status == 0); });
  REQUIRE(eventually(5s, [&] { return sleeping(server) != 0; }));
  REQUIRE(eventually(5s, [&] { return main_server(cluster).at("quarantined") == 0; }));
  const int confirmed = main_server(cluster).at("permits_confirmed");
  kill_life(cluster, 0);
  CHECK(eventually(5s, [&] { return sleeping(server) == 0; }));
  CHECK(agreement(cluster, server) == "");
  CHECK(main_server(cluster).at("sessions_ended") == 1);
  CHECK(eventually(5s, [&] { return main_server(cluster).at("permits_confirmed") == confirmed + 1; }));
  check_clean_end(cluster, server);
}

TEST_CASE("What another user's sessions hide from the janitor on MariaDB is told with the GRANT that is missing, and the permit waits until the session is gone") {
  if (!MariaDbServer::require()) return;
  MariaDbServer server(options());
  server.start();
  std::string missing;
  SUBCASE("to see them") { missing = "GRANT PROCESS ON *.* TO this pool's user"; }
  SUBCASE("to end them") {
    server.query("GRANT PROCESS ON *.* TO app@'%'");
    missing = "GRANT CONNECTION ADMIN (MySQL: CONNECTION_ADMIN) ON *.* TO this pool's user; its permit waits until it ends by itself";
  }
  Cluster cluster({.application = "testapp",
                   .workers = "1",
                   .url = server.url(),
                   .flags = {"--pools.second.warm_up", "false"},
                   .environment = {{"APP_POOLS__SECOND__URL", server.url("other")}}});
  SHOW_LOG_OF(cluster);
  std::jthread client([&] { CHECK(cluster.try_get("/oversleep/second?seconds=60", 90s).status == 0); });
  std::uint64_t session = 0;
  REQUIRE(eventually(5s, [&] { return (session = sleeping(server)) != 0; }));
  kill_life(cluster, 0);
  CHECK(eventually(5s, [&] { return cluster.log().find(missing) != std::string::npos; }));
  CHECK(always(500ms, [&] {
    const auto permit = permit_of(cluster, session);
    return !permit.is_null() && permit.at("state") == "quarantined";
  }));
  server.query("KILL " + std::to_string(session));
  CHECK(agreement(cluster, server) == "");
  check_clean_end(cluster, server);
}

TEST_CASE("On a MariaDB whose max_connections is the budget, connections that are replaced all the time are never refused") {
  if (!MariaDbServer::require()) return;
  MariaDbServer server(options(10));  // its least
  server.start();
  server.disconnect();  // the administrator's connection would be one too many
  Cluster cluster({.workers = "3",
                   .url = server.url(),
                   .flags = {"--servers.main.total", "10", "--servers.main.headroom", "0", "--pools.main.max_uses", "5", "--pools.main.acquire_timeout", "10s"}});
  SHOW_LOG_OF(cluster);
  Load load(cluster.http_port(), {.connections = 16});
  CHECK(load.wait_answers(2000, 60s));
  const LoadResult result = load.stop();
  CHECK(result.unexpected() == "");
  CHECK(server.refused() == 0);
  CHECK(server.most_used() <= 10 + 1);  // and the one who asks now
  const std::uint64_t connects = server.status("Connections");
  CHECK(connects > 100);
  MESSAGE(result.requests << " requests over " << connects << " connections, slowest " << to_millis(result.slowest()) << " ms");
  CHECK(server.status("Aborted_clients") == 0);  // every one of them said goodbye
  CHECK(agreement(cluster, server) == "");
  check_clean_end(cluster, server);
}

TEST_CASE("A worker killed under load on MariaDB loses its own requests only, and its permits come back when the server let go") {
  if (!MariaDbServer::require()) return;
  MariaDbServer server(options());
  server.start();
  Cluster cluster({.workers = "4", .url = server.url()});
  SHOW_LOG_OF(cluster);
  Load load(cluster.http_port());
  REQUIRE(load.wait_answers(1000));
  int victim = 0;
  for (int slot = 1; slot < 4; ++slot)
    if (load.answered_by(slot) > load.answered_by(victim)) victim = slot;
  const TimePoint killed = Clock::now();
  REQUIRE(::kill(cluster.worker_pid(victim), SIGKILL) == 0);
  CHECK(cluster.wait_generation_above(victim, 1, 5s));
  REQUIRE(load.wait_answers(1000));
  const LoadResult result = load.stop();
  CHECK(result.unexpected(victim, killed) == "");
  CHECK(result.failures_of(victim, killed) > 0);
  MESSAGE(result.requests << " requests, " << result.failures_of(victim, killed) << " lost with the killed worker, slowest " << to_millis(result.slowest()) << " ms");
  CHECK(agreement(cluster, server) == "");
  CHECK(server.refused() == 0);
  CHECK(server.most_used() <= 16 + 1);  // ⌊20 × 0.8⌋, and the administrator
  check_clean_end(cluster, server);
}

TEST_CASE("Scaling 2, 8, 3, 1 under load on MariaDB fails no request and stays within the budget") {
  if (!MariaDbServer::require()) return;
  MariaDbServer server(options());
  server.start();
  Cluster cluster({.workers = "2", .url = server.url()});
  SHOW_LOG_OF(cluster);
  CHECK(cluster.ctl_json({"status"}).at("servers").at(0).at("budget") == 16);
  Load load(cluster.http_port(), {.requests_per_connection = 20});
  REQUIRE(load.wait_answers(500));
  for (const int workers : {8, 3, 1}) {
    REQUIRE(cluster.ctl({"scale", std::to_string(workers)}).exit_code == 0);
    CHECK(cluster.wait_workers(workers));
    CHECK(load.wait_answers(300));
  }
  const LoadResult result = load.stop();
  CHECK(result.unexpected() == "");
  CHECK(agreement(cluster, server) == "");
  CHECK(server.refused() == 0);
  CHECK(server.most_used() <= 16 + 1);
  check_clean_end(cluster, server);
}

TEST_CASE("A MariaDB that goes away while it is used: 503 in time, and all recovers when it is back") {
  if (!MariaDbServer::require()) return;
  MariaDbServer server(options());
  server.start();
  Cluster cluster({.workers = "2",
                   .url = server.url(),
                   .flags = {"--pools.main.acquire_timeout", "1s", "--pools.main.connect_timeout", "1s", "--pools.main.connect_backoff_max", "300ms",
                             "--pools.main.keepalive", "500ms", "--pools.main.close_timeout", "500ms"}});
  SHOW_LOG_OF(cluster);
  REQUIRE(serves(cluster));
  SUBCASE("in good order") { server.stop(); }
  SUBCASE("by a kill") { server.kill_hard(); }
  CHECK(eventually(3s, [&] { return cluster.try_get("/users/1").status == 503; }));
  const TimePoint asked = Clock::now();
  CHECK(cluster.get("/users/1", 10s).status == 503);
  CHECK(Clock::now() - asked < scaled(3s));
  CHECK(eventually(5s, [&] { return cluster.admin_get("/readyz").status == 503; }));
  server.start();  // thread ids begin anew, under another birth
  CHECK(serves(cluster));
  for (const auto& worker : cluster.workers()) CHECK(worker.at("generation") == 1);
  CHECK(agreement(cluster, server) == "");
  CHECK(server.refused() == 0);
  check_clean_end(cluster, server);
}

TEST_CASE("After a kill of everything on MariaDB the next start waits for the older sessions and ends none of them") {
  if (!MariaDbServer::require()) return;
  MariaDbServer server(options(10));
  server.start();
  Cluster cluster({.workers = "2", .url = server.url(), .flags = {"--servers.main.total", "9", "--servers.main.headroom", "0"}});
  SHOW_LOG_OF(cluster);
  REQUIRE(serves(cluster));
  // Sessions of an application that died without the server's noticing: they are somebody's statements.
  std::vector<std::jthread> busy;
  for (int i = 0; i < 3; ++i) busy.emplace_back([&cluster] { cluster.try_get("/report?seconds=4", 8s); });
  const auto asleep = [&server] {
    int n = 0;
    for (const MariaDbSession& session : server.sessions()) n += session.info.find("SLEEP") != std::string::npos;
    return n;
  };
  REQUIRE(eventually(5s, [&] { return asleep() == 3; }));
  for (const ProcessInfo& process : cluster.processes()) ::kill(process.pid, SIGKILL);
  cluster.wait_exit(10s);
  busy.clear();
  CHECK(asleep() == 3);
  cluster.start();
  const TimePoint started = Clock::now();
  // What they may still hold is not given away: at most 9 at any time, and at once what is surely free.
  CHECK(eventually(4s, [&] { return serves(cluster); }));
  CHECK(eventually(scaled(10s), [&] { return asleep() == 0; }));
  MESSAGE("the last older session ended " << to_millis(Clock::now() - started) << " ms after the start");
  CHECK(agreement(cluster, server) == "");
  CHECK(server.refused() == 0);
  CHECK(server.most_used() <= 9 + 1);
  check_clean_end(cluster, server);
}

}  // namespace sluice::test
