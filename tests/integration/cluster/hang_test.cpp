// Who does not move is seen, and replaced; whoever merely was not looked at is not.
#include "fixture.hpp"

#include <signal.h>

namespace sluice::test {
namespace {

nlohmann::json row_of(const nlohmann::json& status, int slot) {
  for (const auto& worker : status.at("workers"))
    if (worker.at("slot") == slot) return worker;
  return nullptr;
}

}  // namespace

TEST_CASE("A stopped worker shows its heartbeat age at once, and is replaced past the hang timeout") {
  Cluster cluster({.workers = "2", .flags = {"--heartbeat.hang_timeout", "2s"}});
  SHOW_LOG_OF(cluster);
  const pid_t stopped = cluster.worker_pid(1);
  REQUIRE(::kill(stopped, SIGSTOP) == 0);
  const TimePoint since = Clock::now();

  int age = 0;
  Duration slowest{};
  CHECK(eventually(1500ms, [&] {
    const TimePoint asked = Clock::now();
    const auto status = nlohmann::json::parse(cluster.control_request("GET", "/api/status").body);
    slowest = std::max(slowest, Clock::now() - asked);
    age = row_of(status, 1).at("heartbeat_age_ms").get<int>();
    return age >= 1000;
  }));
  CHECK(slowest < scaled(100ms));
  MESSAGE("slowest status " << to_millis(slowest) << " ms, heartbeat age " << age << " ms");
  // The table for people says it too.
  CHECK(cluster.ctl({"workers"}).out.find("HEARTBEAT") != std::string::npos);
  for (int i = 0; i < 5; ++i) CHECK(cluster.get("/ping").status == 200);  // the sibling serves

  CHECK(cluster.wait_generation_above(1, 1, 4s));
  MESSAGE("replaced after " << to_millis(Clock::now() - since) << " ms");
  CHECK(Clock::now() - since >= 1900ms);
  CHECK(cluster.worker(1).at("last_exit") == "hang");
  CHECK(cluster.worker(0).at("generation") == 1);
  CHECK(process(stopped).pid == 0);
  check_clean_end(cluster);
}

TEST_CASE("A worker whose loop is blocked is ended with a backtrace in the log") {
  Cluster cluster({.application = "testapp", .flags = {"--heartbeat.hang_timeout", "1s"}});
  SHOW_LOG_OF(cluster);
  CHECK_THROWS(cluster.post("/block?ms=60000&slot=0", "", {}, 10s).status == 409 ? cluster.post("/block?ms=60000", "", {}, 10s) : http::Response{});
  CHECK(eventually(5s, [&] {
    const auto workers = cluster.workers();
    return workers.at(0).at("generation").get<int>() + workers.at(1).at("generation").get<int>() == 3 && workers.at(0).at("state") == "ready" &&
           workers.at(1).at("state") == "ready";
  }));
  CHECK(cluster.log().find("backtrace") != std::string::npos);
  check_clean_end(cluster);
}

TEST_CASE("A master that was stopped and continued kills nobody") {
  Cluster cluster({.workers = "3", .flags = {"--heartbeat.hang_timeout", "1s"}});
  SHOW_LOG_OF(cluster);
  const auto before = cluster.workers();
  REQUIRE(::kill(cluster.master(), SIGSTOP) == 0);
  CHECK(always(2500ms, [&] { return cluster.get("/ping").status == 200; }));  // longer than the hang timeout
  REQUIRE(::kill(cluster.master(), SIGCONT) == 0);
  CHECK(always(1500ms, [&] { return cluster.get("/ping").status == 200; }));
  const auto after = cluster.workers();
  REQUIRE(after.size() == before.size());
  for (std::size_t i = 0; i < after.size(); ++i) {
    CHECK(after[i].at("pid") == before[i].at("pid"));
    CHECK(after[i].at("generation") == before[i].at("generation"));
  }
  check_clean_end(cluster);
}

TEST_CASE("An instance that was stopped as a whole, as by a suspended machine, goes on with every worker") {
  Cluster cluster({.workers = "2", .flags = {"--heartbeat.hang_timeout", "1s"}});
  SHOW_LOG_OF(cluster);
  const auto before = cluster.workers();
  for (const ProcessInfo& info : cluster.processes()) ::kill(info.pid, SIGSTOP);
  always(2s, [] { return true; });
  for (const ProcessInfo& info : cluster.processes()) ::kill(info.pid, SIGCONT);
  CHECK(always(1500ms, [&] { return cluster.get("/ping").status == 200; }));
  const auto after = cluster.workers();
  for (std::size_t i = 0; i < after.size(); ++i) CHECK(after[i].at("pid") == before.at(i).at("pid"));
  check_clean_end(cluster);
}

}  // namespace sluice::test
