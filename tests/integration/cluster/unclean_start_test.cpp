// A fleet is killed while its sessions are still starting: they are invisible in the server's views, and yet they are there.
#include "fixture.hpp"

#include <signal.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace sluice::test {
namespace {

// Processes of the server, whatever they do: a session that is still starting has one too.
int server_processes(pid_t postmaster) {
  std::ifstream file("/proc/" + std::to_string(postmaster) + "/task/" + std::to_string(postmaster) + "/children");
  int count = 0;
  for (std::string pid; file >> pid;) ++count;
  return count;
}

// The most processes that the server ever had beyond those it has without clients.
class ProcessWatch {
 public:
  ProcessWatch(pid_t postmaster, int without_clients) : thread_([this, postmaster, without_clients](std::stop_token stop) {
    while (!stop.stop_requested()) {
      const int now = server_processes(postmaster) - without_clients;
      if (now > most_) most_ = now;
      std::this_thread::sleep_for(1ms);  // the pace of the samples
    }
  }) {}
  int most() const noexcept { return most_; }

 private:
  std::atomic<int> most_{0};
  std::jthread thread_;
};

}  // namespace

TEST_CASE("Killed while its sessions start unseen, a fleet is followed by one that waits for them: never more server processes than the budget") {
  if (!PostgresServer::require()) return;
  // Every session stays invisible for a second before the server has even read who it is.
  PostgresServer server({.max_connections = 20, .settings = {{"pre_auth_delay", "1"}, {"authentication_timeout", "3s"}, {"autovacuum", "off"}}});
  server.start();
  server.query("SELECT 1");  // the tests' own session exists from here on
  const int without_clients = server_processes(server.postmaster());
  ProcessWatch watch(server.postmaster(), without_clients);
  // A high max_connecting: many may be unseen at once.
  Cluster cluster({.workers = "2", .url = server.url(), .flags = {"--pools.main.min_idle", "6", "--servers.main.max_connecting", "6"}, .wait_ready = false});
  SHOW_LOG_OF(cluster);
  REQUIRE(eventually(20s, [&] { return watch.most() > 4; }));
  for (int kill = 0; kill < 3; ++kill) {
    // While some of them are connecting.
    REQUIRE(eventually(20s, [&] {
      int connecting = 0;
      try {
        for (const auto& permit : cluster.ctl_json({"permits"})) connecting += permit.at("state") == "connecting";
      } catch (const std::exception&) {  // not up yet
      }
      return connecting > 1;
    }));
    ::kill(cluster.master(), SIGKILL);
    REQUIRE(cluster.wait_exit(5s) == 128 + SIGKILL);
    cluster.start();
  }
  cluster.wait_ready(30s);
  CHECK(eventually(20s, [&] { return sessions(server, cluster).size() >= 12; }));
  CHECK(watch.most() <= default_budget);
  CHECK(server.refused() == 0);
  // Had the next fleet's janitor died in its first connect, this is how long the one after it would wait.
  CHECK(read_file(cluster.directory() / (cluster.instance() + ".lock")) == "running\n3000 main\n");
  MESSAGE("at most " << watch.most() << " server processes for clients");
  check_clean_end(cluster, &server);
}

}  // namespace sluice::test
