// The janitor: a program of its own, there while there is something to ask, and harmless to kill.
#include "fixture.hpp"

#include "support/meanwhile.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <set>

namespace sluice::test {
namespace {

pid_t janitor(const Cluster& cluster) { return cluster.process_titled("janitor"); }

// What descriptors refer to: "socket:[123]", "/memfd:sluice (deleted)", a path.
std::vector<std::string> open_files(pid_t pid) {
  std::vector<std::string> out;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd", ignored)) {
    if (std::stoi(entry.path().filename().string()) > 2) out.push_back(std::filesystem::read_symlink(entry.path(), ignored).string());
  }
  return out;
}

// Kills the worker in this slot, once it holds connections, and waits for its next life.
void kill_worker(const Cluster& cluster, int slot) {
  CHECK(eventually(10s, [&] {
    const auto permits = cluster.ctl_json({"permits"});
    return std::any_of(permits.begin(), permits.end(), [&](const auto& permit) { return permit.at("slot") == slot && permit.at("state") == "idle"; });
  }));
  kill_life(cluster, slot);
}

int count(const std::string& text, const std::string& words) {
  int n = 0;
  for (std::size_t at = text.find(words); at != std::string::npos; at = text.find(words, at + 1)) ++n;
  return n;
}

}  // namespace

TEST_CASE("The janitor is the executable again, even if its file is gone, with the descriptors it needs and no secret to be seen") {
  PostgresServer* server = postgres();
  if (!server) return;
  // The program that runs is a copy, which is removed as soon as the master runs.
  Cluster cluster({.workers = "2", .url = server->url(), .flags = {"--pools.main.min_idle", "2"}, .wrapper = {"/bin/sh", "-c", "copy=$(mktemp -d)/orders; cp \"$0\" $copy; exec $copy \"$@\""}});
  SHOW_LOG_OF(cluster);
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/" + std::to_string(cluster.master()) + "/exe");
  CHECK(program.filename() == "orders");
  std::filesystem::remove_all(program.parent_path());
  REQUIRE(eventually(10s, [&] { return janitor(cluster) == 0; }));  // nothing to ask any more: it has ended
  CHECK(main_server(cluster).at("budget") == default_budget);

  kill_worker(cluster, 0);
  pid_t pid = 0;
  REQUIRE(eventually(5s, [&] { return (pid = janitor(cluster)) != 0; }));
  const ProcessInfo info = process(pid);
  CHECK(info.parent == cluster.master());
  CHECK(info.group == pid);
  const std::string arguments = command_line(pid);
  INFO(arguments);
  CHECK(arguments.find("secret") == std::string::npos);
  CHECK(arguments.find(cluster.instance()) == std::string::npos);
  // What it shares with the master, once it has read its configuration: the segment and the instance lock, and that is all.
  std::vector<std::string> shared;
  CHECK(eventually(2s, [&] {
    const std::vector<std::string> masters = open_files(cluster.master());
    shared.clear();
    for (const std::string& file : open_files(pid))
      if (file.find("anon_inode") == std::string::npos && std::find(masters.begin(), masters.end(), file) != masters.end()) shared.push_back(file);
    std::sort(shared.begin(), shared.end());
    return shared.size() == 2 && shared[0].find("/memfd:sluice (deleted)") == 0 && shared[1].find(".lock") != std::string::npos;
  }));
  CHECK(wait_agreement(cluster, server, 5s) == "");
  CHECK(eventually(10s, [&] { return janitor(cluster) == 0; }));
  CHECK(resident_kib(cluster.master()) < (sanitized ? std::size_t{1} << 30 : std::size_t{12} * 1024));
  check_clean_end(cluster, server);
}

TEST_CASE("A janitor killed again and again while rows await their proof does no harm: all are free in the end, and the budget held") {
  PostgresServer* server = postgres();
  if (!server) return;
  const std::size_t refused = server->refused();
  SessionWatch watch(server->superuser_url());
  Cluster cluster({.workers = "4", .url = server->url(), .flags = {"--restart.breaker_deaths", "0", "--restart.backoff_max", "200ms"}});
  SHOW_LOG_OF(cluster);
  Load load(cluster.http_port());
  REQUIRE(load.wait_answers(500));
  int kills = 0;
  std::set<pid_t> killed;
  const TimePoint end = Clock::now() + scaled(12s);
  for (int round = 0; Clock::now() < end && kills < 15; ++round) {
    ::kill(cluster.worker_pid(round % 4), SIGKILL);
    pid_t pid = 0;
    if (!eventually(3s, [&] { return (pid = janitor(cluster)) != 0 && !killed.contains(pid); })) continue;
    killed.insert(pid);
    kills += ::kill(pid, SIGKILL) == 0;
  }
  CHECK(kills >= 5);
  load.stop();
  CHECK(cluster.wait_workers(4, 15s));
  // A killed janitor's own permit and a row that died connecting wait for the authentication timeout (2 s here).
  CHECK(wait_agreement(cluster, server, 15s) == "");
  CHECK(watch.stop() <= default_budget);
  CHECK(server->refused() == refused);
  MESSAGE(kills << " janitors killed, most sessions " << watch.most());
  check_clean_end(cluster, server);
}

TEST_CASE("total: auto obeys the role's connection limit, and a janitor that asks anew finds the new one") {
  PostgresServer* server = postgres();
  if (!server) return;
  const Meanwhile limited(*server, "ALTER ROLE app CONNECTION LIMIT 9",
                          "ALTER ROLE app CONNECTION LIMIT -1; ALTER DATABASE app CONNECTION LIMIT -1");
  Cluster cluster({.workers = "2", .url = server->url(), .flags = {"--pools.main.min_idle", "2"}});
  SHOW_LOG_OF(cluster);
  CHECK(eventually(5s, [&] { return main_server(cluster).at("budget") == 7; }));
  CHECK(main_server(cluster).at("arithmetic").get<std::string>().find("connection limit 9") != std::string::npos);
  server->query("ALTER ROLE app CONNECTION LIMIT 15");
  server->query("ALTER DATABASE app CONNECTION LIMIT 11");
  CHECK(eventually(10s, [&] { return janitor(cluster) == 0; }));
  kill_worker(cluster, 1);
  CHECK(eventually(5s, [&] { return main_server(cluster).at("budget") == 8 && main_server(cluster).at("in_force") == 8; }));
  // What was set by hand stays, whatever the server says.
  CHECK(cluster.ctl({"budget", "set", "main=5"}).exit_code == 0);
  server->query("ALTER ROLE app CONNECTION LIMIT -1");
  server->query("ALTER DATABASE app CONNECTION LIMIT -1");
  CHECK(eventually(10s, [&] { return janitor(cluster) == 0; }));
  kill_worker(cluster, 1);
  CHECK(eventually(5s, [&] { return janitor(cluster) != 0; }));
  CHECK(wait_agreement(cluster, server, 10s) == "");
  CHECK(main_server(cluster).at("budget") == 5);
  CHECK(cluster.ctl({"budget", "set", "main=auto"}).exit_code == 0);
  CHECK(eventually(5s, [&] { return main_server(cluster).at("budget") == default_budget; }));
  check_clean_end(cluster, server);
}

TEST_CASE("A role that may not see the server's sessions is told which GRANT it lacks, and its closes are confirmed by time") {
  PostgresServer* server = postgres();
  if (!server) return;
  struct Revoked {
    PostgresServer& server;
    explicit Revoked(PostgresServer& s) : server(s) { server.query("REVOKE SELECT ON pg_catalog.pg_stat_activity FROM PUBLIC"); }
    ~Revoked() { server.query("GRANT SELECT ON pg_catalog.pg_stat_activity TO PUBLIC"); }
  } revoked(*server);
  Cluster cluster({.workers = "2", .url = server->url(), .flags = {"--pools.main.min_idle", "2"}});
  SHOW_LOG_OF(cluster);
  REQUIRE(cluster.get("/ping").status == 200);
  make_orders(cluster, 5);
  kill_worker(cluster, 0);
  CHECK(eventually(5s, [&] {
    const std::string error = main_server(cluster).at("janitor_error");
    return error.find("GRANT SELECT ON pg_catalog.pg_stat_activity") != std::string::npos && error.find("counts as gone after 2500 ms") != std::string::npos;
  }));
  CHECK(eventually(10s, [&] { return main_server(cluster).at("quarantined") == 0; }));
  CHECK(cluster.log().find("GRANT SELECT ON pg_catalog.pg_stat_activity") != std::string::npos);
  check_clean_end(cluster, server);
}

TEST_CASE("A session that sleeps on after its worker was killed is ended by the janitor, counted once, and its permit comes back") {
  PostgresServer* server = postgres();
  if (!server) return;
  Cluster cluster({.application = "testapp", .workers = "1", .url = server->url(), .flags = {"--pools.main.warm_up", "false"}});
  SHOW_LOG_OF(cluster);
  std::jthread client([&] { CHECK(cluster.try_get("/oversleep/main?seconds=60", 90s).status == 0); });
  REQUIRE(eventually(5s, [&] { return sleeping_session(*server, cluster) != 0; }));
  REQUIRE(eventually(5s, [&] { return main_server(cluster).at("quarantined") == 0; }));
  const int confirmed = main_server(cluster).at("permits_confirmed");
  kill_life(cluster, 0);
  CHECK(eventually(5s, [&] { return sleeping_session(*server, cluster) == 0; }));
  CHECK(wait_agreement(cluster, server, 5s) == "");
  CHECK(main_server(cluster).at("sessions_ended") == 1);
  CHECK(eventually(5s, [&] { return main_server(cluster).at("permits_confirmed") == confirmed + 1; }));
  CHECK(cluster.metric("sluice_budget_sessions_ended_total{server=\"main\"}") == 1);
  CHECK(cluster.metric("sluice_budget_permits_confirmed_total{server=\"main\"}") == confirmed + 1);
  check_clean_end(cluster, server);
}

TEST_CASE("A session that the janitor may not end is told once with the GRANT that is missing, and its permit waits until it is gone") {
  PostgresServer* server = postgres();
  if (!server) return;
  Cluster cluster({.application = "testapp",
                   .workers = "1",
                   .url = server->url(),
                   .flags = {"--pools.second.warm_up", "false"},
                   .environment = {{"APP_POOLS__SECOND__URL", second_role(*server)}}});
  SHOW_LOG_OF(cluster);
  std::jthread client([&] { CHECK(cluster.try_get("/oversleep/second?seconds=60", 90s).status == 0); });
  int session = 0;
  REQUIRE(eventually(5s, [&] { return (session = sleeping_session(*server, cluster)) != 0; }));
  kill_life(cluster, 0);
  CHECK(eventually(5s, [&] { return cluster.log().find("GRANT pg_signal_backend TO this role; its permit waits until it ends by itself") != std::string::npos; }));
  CHECK(always(500ms, [&] {
    const auto permit = permit_of(cluster, static_cast<std::uint64_t>(session));
    return !permit.is_null() && permit.at("state") == "quarantined";
  }));
  CHECK(count(cluster.log(), "pg_signal_backend") == 1);
  server->query("SELECT pg_terminate_backend(" + std::to_string(session) + ")");
  CHECK(wait_agreement(cluster, server, 5s) == "");
  check_clean_end(cluster, server);
}

TEST_CASE("A slot in a crash loop leaves the others their floors, however long its sessions wait for their proof") {
  PostgresServer* server = postgres();
  if (!server) return;
  Cluster cluster({.application = "testapp",
                   .workers = "3",
                   .url = server->url(),
                   .flags = {"--restart.breaker_deaths", "0", "--restart.backoff_min", "10ms", "--restart.backoff_max", "50ms", "--pools.main.warm_up", "false",
                             "--pools.main.idle_timeout", "200ms"}});
  SHOW_LOG_OF(cluster);
  REQUIRE(eventually(10s, [&] { return janitor(cluster) == 0 && main_server(cluster).at("budget") == default_budget; }));
  // A janitor that does not move: nothing is confirmed while the slot crashes.
  std::set<pid_t> stopped;
  const auto stop_janitor = [&] {
    if (const pid_t pid = janitor(cluster); pid != 0 && stopped.insert(pid).second) ::kill(pid, SIGSTOP);
  };
  int most = 0;
  for (int crash = 0; crash < 14; ++crash) {
    const auto before = cluster.worker(0);
    ask_slot(cluster, "GET", "/query/main?within_ms=100", 0);  // 200, or 503 once its part is used up
    ::kill(before.at("pid").get<pid_t>(), SIGSEGV);
    CHECK(cluster.wait_generation_above(0, before.at("generation").get<std::uint64_t>(), 10s));
    CHECK(cluster.wait_workers(3, 10s));
    stop_janitor();
    most = std::max(most, main_server(cluster).at("quarantined").get<int>());
  }
  CHECK(most > 0);
  CHECK(most <= 12 - 2);  // the others' floors stay
  for (int slot = 1; slot <= 2; ++slot) CHECK(ask_slot(cluster, "GET", "/query/main?within_ms=3000", slot).status == 200);
  for (const pid_t pid : stopped) ::kill(pid, SIGCONT);
  CHECK(cluster.wait_workers(3, 15s));
  CHECK(wait_agreement(cluster, server, 15s) == "");
  check_clean_end(cluster, server);
}

}  // namespace sluice::test
