// Idle share flows to the worker that starves, and back.
#include "fixture.hpp"

#include <atomic>
#include <thread>

namespace sluice::test {
namespace {

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

namespace {

// Slot 1 has all of its six connections, and they are idle; slot 0 needs a seventh. True: for a second nothing is lent.
bool nothing_is_lent(const std::vector<std::string>& flags) {
  PostgresServer* server = postgres();
  if (!server) return true;
  std::vector<std::string> patient = flags;
  patient.insert(patient.end(), {"--pools.main.acquire_timeout", "60s"});
  Cluster cluster({.application = "testapp", .workers = "2", .url = server->url(), .flags = patient});
  SHOW_LOG_OF(cluster);
  REQUIRE(limits(cluster) == std::vector<int>{6, 6});
  const int hold = static_cast<int>(to_millis(1500ms + scaled(500ms)));  // the seventh waits for one hold and holds for another
  Holders warm(cluster, 1, 6, hold);
  REQUIRE(eventually(10s, [&] { return held_by_slot(cluster)[1] == 6; }));
  CHECK(warm.join() == 0);
  Holders busy(cluster, 0, 7, hold);
  REQUIRE(eventually(10s, [&] { return held_by_slot(cluster)[0] >= 6; }));
  const bool kept = always(1s, [&] {
    const auto held = held_by_slot(cluster);
    return held == std::map<int, int>{{0, 6}, {1, 6}};
  });
  CHECK(busy.join() == 0);
  check_clean_end(cluster, server);
  return kept;
}

}  // namespace

TEST_CASE("option lend_idle: what a worker holds within its limit is not lent before it has been idle for that long") {
  CHECK(nothing_is_lent({"--servers.main.lend_idle", "1h"}));
}

TEST_CASE("option borrow_after: who has waited for less than that asks nobody to lend") { CHECK(nothing_is_lent({"--servers.main.borrow_after", "1min"})); }

}  // namespace sluice::test
