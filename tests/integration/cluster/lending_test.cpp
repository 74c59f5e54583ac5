// Idle share flows to the worker that starves, and back; and a database that restarts meets no storm.
#include "fixture.hpp"

#include <algorithm>
#include <atomic>
#include <map>
#include <regex>
#include <sstream>
#include <thread>

namespace sluice::test {
namespace {

// Connections held by each slot, in any state.
std::map<int, int> held_by_slot(const Cluster& cluster) {
  std::map<int, int> held;
  for (const auto& row : cluster.ctl_json({"permits"})) {
    const std::string state = row.at("state");
    if (!row.at("slot").is_number()) continue;  // the janitor's
    if (state == "connecting" || state == "idle" || state == "leased" || state == "closing" || state == "granted") ++held[row.at("slot").get<int>()];
  }
  return held;
}

// Callers that keep `count` connections of one slot busy, for `ms` each time, `times` times or until join().
class Holders {
 public:
  Holders(const Cluster& cluster, int slot, int count, int ms, int times = 1) {
    for (int i = 0; i < count; ++i)
      threads_.emplace_back([&cluster, slot, ms, times, this] {
        for (int n = 0; n < times && (n == 0 || !ending_); ++n) {
          try {
            const auto response = ask_slot(cluster, "GET", "/hold/main?ms=" + std::to_string(ms), slot, std::chrono::seconds(60));
            if (response.status != 200) ++failed_;
          } catch (const std::exception&) {
            ++failed_;
          }
        }
      });
  }
  ~Holders() { join(); }
  int join() {
    ending_ = true;
    for (auto& thread : threads_)
      if (thread.joinable()) thread.join();
    return failed_;
  }

 private:
  std::atomic<int> failed_{0};
  std::atomic<bool> ending_{false};
  std::vector<std::thread> threads_;
};

// The server's own account of its connects: how many were between "received" and "authorized" at the same time, at most.
struct Connects {
  int count = 0;
  int most_at_once = 0;
};
Connects connects_in(const std::string& log) {
  static const std::regex line(R"(^(\d+)\.(\d+) \[(\d+)\] .*connection (received|authorized).*$)");
  std::map<std::string, std::int64_t> begun;
  std::vector<std::pair<std::int64_t, std::int64_t>> spans;
  std::istringstream lines(log);
  for (std::string text; std::getline(lines, text);) {
    std::smatch m;
    if (text.find("connection ") == std::string::npos || !std::regex_match(text, m, line)) continue;
    const std::int64_t at = std::stoll(m[1]) * 1000 + std::stoll(m[2]);
    if (m[4] == "received") {
      begun[m[3]] = at;
    } else if (const auto it = begun.find(m[3]); it != begun.end()) {
      if (text.find("user=app") != std::string::npos) spans.emplace_back(it->second, at);
      begun.erase(it);
    }
  }
  Connects result;
  result.count = static_cast<int>(spans.size());
  for (const auto& one : spans) {
    int at_once = 0;  // spans that have begun strictly before this one's end and end strictly after its begin; the clock shows milliseconds
    for (const auto& other : spans) at_once += other.first <= one.first && one.first < other.second;
    result.most_at_once = std::max(result.most_at_once, std::max(1, at_once));
  }
  return result;
}

}  // namespace

TEST_CASE("A worker that needs more than its limit borrows what the others leave idle, and gives it back when they need it") {
  PostgresServer* server = postgres();
  if (!server) return;
  Cluster cluster({.application = "testapp", .workers = "4", .url = server->url()});
  SHOW_LOG_OF(cluster);
  SessionWatch watch(server->superuser_url());
  REQUIRE(limits(cluster) == std::vector<int>{3, 3, 3, 3});
  Holders busy(cluster, 0, 9, 100, 1000);  // 12 to share, the floors of three others kept
  CHECK(eventually(5s, [&] { return held_by_slot(cluster)[0] == 9; }));
  {
    Holders other(cluster, 1, 3, 3000);  // one is there at once, the others come back from slot 0
    CHECK(eventually(10s, [&] { return held_by_slot(cluster)[1] == 3; }));
    CHECK(other.join() == 0);
  }
  CHECK(busy.join() == 0);
  std::uint64_t lent = 0, borrowed = 0;
  for (const auto& pool : cluster.ctl_json({"pools"})) {
    lent += pool.at("lent").get<std::uint64_t>();
    borrowed += pool.at("borrowed").get<std::uint64_t>();
  }
  CHECK(borrowed >= 6);
  CHECK(lent >= 1);
  CHECK(wait_agreement(cluster, server, 5s) == "");
  CHECK(watch.stop() <= default_budget);
  MESSAGE("lent " << lent << ", borrowed " << borrowed << ", most sessions " << watch.most());
  check_clean_end(cluster, server);
}

TEST_CASE("A worker that starts while another holds everything but the floors gets its floor") {
  PostgresServer* server = postgres();
  if (!server) return;
  Cluster cluster({.application = "testapp", .workers = "2", .url = server->url()});
  SHOW_LOG_OF(cluster);
  Holders busy(cluster, 0, 11, 100, 1000);
  CHECK(eventually(5s, [&] { return held_by_slot(cluster)[0] == 11; }));
  REQUIRE(cluster.ctl({"scale", "3"}).exit_code == 0);
  CHECK(cluster.wait_workers(3));
  CHECK(ask_slot(cluster, "GET", "/query/main?within_ms=5000", 2, std::chrono::seconds(30)).status == 200);
  CHECK(held_by_slot(cluster)[2] >= 1);
  CHECK(busy.join() == 0);
  check_clean_end(cluster, server);
}

TEST_CASE("Without lending no worker ever holds more than its limit") {
  PostgresServer* server = postgres();
  if (!server) return;
  Cluster cluster({.application = "testapp", .workers = "4", .url = server->url(), .flags = {"--servers.main.elastic", "false"}});
  SHOW_LOG_OF(cluster);
  Holders busy(cluster, 0, 6, 300);
  for (int i = 0; i < 20; ++i) CHECK(held_by_slot(cluster)[0] <= 3);
  CHECK(busy.join() == 0);
  check_clean_end(cluster, server);
}

TEST_CASE("A database that restarts under 16 full pools meets at most max_connecting connects at once, and all come back") {
  if (!PostgresServer::require()) return;
  PostgresServer server({.max_connections = 100,
                         .settings = {{"log_connections", "on"}, {"log_line_prefix", "%n [%p] "}, {"authentication_timeout", "2s"}}});
  server.start();
  Cluster cluster({.application = "testapp", .workers = "16", .url = server.url(),
                   .flags = {"--pools.main.min_idle", "5", "--pools.main.keepalive", "500ms", "--pools.main.connect_backoff_max", "500ms"}});
  SHOW_LOG_OF(cluster);
  const auto full = [&] {
    const auto held = held_by_slot(cluster);
    return std::count_if(held.begin(), held.end(), [](auto& h) { return h.second == 5; }) == 12 &&
           std::count_if(held.begin(), held.end(), [](auto& h) { return h.second == 4; }) == 4;
  };
  REQUIRE(cluster.ctl_json({"status"}).at("servers").at(0).at("budget") == 77);
  REQUIRE(eventually(20s, full));
  CHECK(wait_agreement(cluster, &server, 5s) == "");
  for (const auto mode : {PostgresServer::Stop::fast, PostgresServer::Stop::immediate}) {
    const std::size_t before = server.log().size();
    server.stop(mode);
    CHECK(eventually(10s, [&] { return cluster.admin_get("/readyz").status == 503; }));
    server.start();
    const TimePoint back = Clock::now();
    CHECK(eventually(30s, [&] { return full() && wait_agreement(cluster, &server, 100ms) == ""; }));
    const Connects connects = connects_in(server.log().substr(before));
    MESSAGE(connects.count << " connects, at most " << connects.most_at_once << " at once, all back after " << to_millis(Clock::now() - back) << " ms");
    CHECK(connects.count >= 76);
    CHECK(connects.count <= 120);  // no storm: hardly a connect more than needed
    CHECK(connects.most_at_once <= 3);  // max_connecting, and the janitor's
    CHECK(server.refused() == 0);
  }
  CHECK(eventually(10s, [&] { return cluster.admin_get("/readyz").status == 200; }));
  for (const auto& worker : cluster.workers()) CHECK(worker.at("generation") == 1);
  check_clean_end(cluster, &server);
}

}  // namespace sluice::test
