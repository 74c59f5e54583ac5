#include <sluice/admin/views.hpp>

#include "sample.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace sluice;
using namespace sluice::admin;
using nlohmann::json;
using test::sample_now;
using test::sample_segment;
using test::sample_usage;
using test::second;

namespace {

std::set<std::string> keys(const json& object) {
  std::set<std::string> out;
  for (const auto& item : object.items()) out.insert(item.key());
  return out;
}

bool has_all(const json& object, std::initializer_list<const char*> names) {
  const auto present = keys(object);
  bool all = true;
  for (const char* name : names) {
    INFO(name);
    CHECK(present.count(name) == 1);
    all = all && present.count(name) == 1;
  }
  return all;
}

const json& row(const json& permits, const std::string& server, unsigned index) {
  for (const json& p : permits) {
    if (p["server"] == server && p["row"] == index) return p;
  }
  throw std::runtime_error("no such row");
}

}  // namespace

TEST_CASE("status carries what scripts rely on") {
  const auto segment = sample_segment();
  const json status = status_view(segment, sample_now, sample_usage);
  CHECK(has_all(status, {"instance", "state", "config_generation", "workers", "servers", "totals"}));
  CHECK(status["instance"] == "orders@test");
  CHECK(status["application"] == "orders");
  CHECK(status["state"] == "running");
  CHECK(status["config_generation"] == 1);
  CHECK(status["workers"] == workers_view(segment, sample_now, sample_usage));
  CHECK(has_all(status["totals"], {"requests", "request_errors", "acquires", "timeouts", "connects", "connect_errors", "lost", "restarts", "exits",
                                   "statements", "statement_errors"}));
  CHECK(status["totals"]["requests"] == 1000);
  REQUIRE(status["servers"].size() == 2);
  const json& main = status["servers"][0];
  CHECK(has_all(main, {"server", "state", "total", "budget", "held", "free", "quarantined", "connecting", "idle", "leased", "closing", "granted",
                       "disabled", "confirm", "arithmetic"}));
  CHECK(main["server"] == "main");
  CHECK(main["state"] == "ready");
  CHECK(main["budget"] == 13);
  CHECK(main["held"] == 2);
  CHECK(main["leased"] == 1);
  CHECK(main["idle"] == 1);
  CHECK(main["free"] == 11);
  CHECK(main["disabled"] == 19);
  CHECK(main["quarantined"] == 0);
  CHECK(main["sessions_ended"] == 2);
  CHECK(main["permits_confirmed"] == 5);
}

TEST_CASE("workers lists the slots in use, lowest first, each with its numbers") {
  const auto segment = sample_segment();
  const json workers = workers_view(segment, sample_now, sample_usage);
  REQUIRE(workers.size() == 3);
  CHECK(has_all(workers[0], {"kind", "slot", "generation", "state", "pid", "tid", "heartbeat_age_ms", "heartbeat_max_gap_ms", "restarts", "uptime_ms",
                             "ready_ms", "last_exit", "requests", "request_errors", "in_flight", "rss_bytes", "cpu_seconds", "reason"}));
  CHECK(workers[0]["last_exit"].is_null());
  const json& second_life = workers[1];
  CHECK(second_life["kind"] == "web");
  CHECK(second_life["slot"] == 1);
  CHECK(second_life["generation"] == 3);
  CHECK(second_life["state"] == "ready");
  CHECK(second_life["pid"] == 4002);
  CHECK(second_life["tid"] == 4002);
  CHECK(second_life["heartbeat_age_ms"] == 10);
  CHECK(second_life["restarts"] == 2);
  CHECK(second_life["uptime_ms"] == 60'000);
  CHECK(second_life["ready_ms"] == 250);
  CHECK(second_life["last_exit"] == "signal");
  CHECK(second_life["last_exit_status"] == 137);
  CHECK(second_life["requests"] == 1000);
  CHECK(second_life["rss_bytes"] == 9'000'000);
  CHECK(second_life["cpu_seconds"] == 1.5);
  CHECK(workers[2]["slot"] == 4);
  CHECK(workers[2]["kind"] == "jobs");
}

TEST_CASE("a life that has not written yet shows no heartbeat of its predecessor") {
  auto segment = sample_segment();
  segment.slots()[1].generation.set(4);  // the master has started life 4; alive_generation still says 3
  segment.slots()[1].state.set(static_cast<std::uint64_t>(shm::SlotState::starting));
  const json worker = workers_view(segment, sample_now, sample_usage)[1];
  CHECK(worker["heartbeat_age_ms"].is_null());
  CHECK(worker["tid"].is_null());
  CHECK(worker["pid"] == 4002);
}

TEST_CASE("a slot in backoff has no process and says when it tries again") {
  auto segment = sample_segment();
  shm::Slot& slot = segment.slots()[1];
  slot.state.set(static_cast<std::uint64_t>(shm::SlotState::backoff));
  slot.pid.set(0);
  slot.retry_at_nanos.set_signed(sample_now + 2 * second);
  slot.reason.set("cannot open postgresql://app:hunter2@db/main");
  const json worker = workers_view(segment, sample_now, sample_usage)[1];
  CHECK(worker["pid"].is_null());
  CHECK(worker["uptime_ms"].is_null());
  CHECK(worker["heartbeat_age_ms"].is_null());
  CHECK(worker["rss_bytes"].is_null());
  CHECK(worker["retry_in_ms"] == 2000);
  CHECK(worker["reason"] == "cannot open postgresql://app:***@db/main");
}

TEST_CASE("workers that are threads of one process show its pid and their own CPU time") {
  auto segment = sample_segment();
  for (unsigned slot : {0u, 1u, 4u}) segment.slots()[slot].pid.set(4001);
  const json workers = workers_view(segment, sample_now, sample_usage);
  for (const json& w : workers) {
    CHECK(w["pid"] == 4001);
    CHECK(w["cpu_seconds"] == 0.5);
  }
}

TEST_CASE("permits says who holds which connection, since when, from which line") {
  const auto segment = sample_segment();
  const json permits = permits_view(segment, sample_now);
  CHECK(permits.size() == 13 + 4);
  CHECK(has_all(permits[0], {"server", "row", "state", "slot", "generation", "session", "since_ms", "call_site"}));
  const json& leased = row(permits, "main", 1);
  CHECK(leased["state"] == "leased");
  CHECK(leased["slot"] == 1);
  CHECK(leased["generation"] == 3);
  CHECK(leased["session"] == 5151);
  CHECK(leased["since_ms"] == 2000);
  CHECK(leased["call_site"] == "apps/orders/orders.cpp:42 create");
  const json& free = row(permits, "main", 5);
  CHECK(free["state"] == "free");
  for (const char* key : {"slot", "generation", "session", "call_site"}) CHECK(free[key].is_null());
}

TEST_CASE("rows of the janitor and of an earlier fleet are named, not numbered") {
  auto segment = sample_segment();
  REQUIRE(budget::claim(segment.rows(0)[0], budget::Life{budget::janitor_slot, 1}, sample_now));
  budget::resize(segment.rows(1), 0, sample_now);
  budget::resize(segment.rows(1), 2, sample_now, true);
  const json permits = permits_view(segment, sample_now);
  CHECK(row(permits, "main", 0)["slot"] == "janitor");
  CHECK(row(permits, "audit", 0)["slot"] == "earlier");
  CHECK(row(permits, "audit", 0)["state"] == "quarantined");
  CHECK(row(permits, "audit", 0)["call_site"].is_null());
}

TEST_CASE("a call site beyond the table or not yet published is not shown") {
  auto segment = sample_segment();
  segment.rows(0)[1].call_site.store(shm::call_sites_per_slot + 1);
  CHECK(row(permits_view(segment, sample_now), "main", 1)["call_site"].is_null());
  segment.rows(0)[1].call_site.store(2);
  CHECK(row(permits_view(segment, sample_now), "main", 1)["call_site"].is_null());
}

TEST_CASE("pools shows every pool in every used slot with the limit that holds there") {
  auto segment = sample_segment();
  segment.pool_stats(1, 0).multiplexed.set(3);
  segment.pool_stats(1, 0).leaks.set(2);
  segment.pool_stats(1, 0).deadlocks.set(1);
  const json pools = pools_view(segment);
  REQUIRE(pools.size() == 6);
  CHECK(
      has_all(pools[0], {"pool", "slot", "limit", "held", "idle", "leased", "in_flight", "connecting", "closing", "waiting", "acquires", "timeouts",
                         "queue_full", "connects", "connect_errors", "lost", "leaks", "deadlocks", "reachable", "last_error", "acquire_wait_p50_ms", "acquire_wait_p99_ms"}));
  const json& main1 = pools[1];
  CHECK(main1["pool"] == "main");
  CHECK(main1["slot"] == 1);
  CHECK(main1["limit"] == 4);
  CHECK(main1["held"] == 2);
  CHECK(main1["acquires"] == 500);
  CHECK(main1["in_flight"] == main1["leased"].get<int>() + 3);
  CHECK(main1["leaks"] == 2);
  CHECK(main1["deadlocks"] == 1);
  CHECK(main1["reachable"] == true);
  CHECK(main1["acquire_wait_p50_ms"].get<double>() > 1.0);
  CHECK(main1["acquire_wait_p50_ms"].get<double>() < 2.1);
  CHECK(pools[0]["acquire_wait_p50_ms"].is_null());
  CHECK(pools[0]["reachable"].is_null());
  CHECK(pools[3]["pool"] == "audit");
  CHECK(pools[3]["limit"] == 1);  // the pool's own max below the slot's part
}

TEST_CASE("every document survives bytes that are no UTF-8") {
  auto segment = sample_segment();
  segment.slots()[0].reason.set("cut \xc3");
  segment.pool_stats(0, 0).last_error.set("\xff\xfe");
  segment.servers()[0].arithmetic.set("\x80");
  CHECK_NOTHROW(status_view(segment, sample_now, sample_usage).dump());
  CHECK_NOTHROW(pools_view(segment).dump());
}

TEST_CASE("totals are readable even if the master stopped in the middle of publishing") {
  auto segment = sample_segment();
  segment.published().sequence.store(3);
  CHECK(read_totals(segment.published()).requests == 1000);
}

TEST_CASE("paths are shortened to what finds the file") {
  CHECK(short_path("/srv/dev/sluice/framework/sluice/sql/database.cpp") == "sql/database.cpp");
  CHECK(short_path("/srv/shop/src/cart.cpp") == "src/cart.cpp");
  CHECK(short_path("src/cart.cpp") == "src/cart.cpp");
  CHECK(short_path("/cart.cpp") == "/cart.cpp");
  CHECK(short_path("cart.cpp") == "cart.cpp");
  CHECK(short_path("") == "");
}

TEST_CASE("quantiles interpolate within their bucket and stop at the last bound") {
  shm::Histogram histogram;
  CHECK(quantile_ms(histogram, 0.5).is_null());
  for (int i = 0; i < 90; ++i) histogram.record(900);          // first bucket: up to 1 µs
  for (int i = 0; i < 10; ++i) histogram.record(100'000'000);  // 65.5 … 131 ms
  CHECK(quantile_ms(histogram, 0.5).get<double>() <= 0.001);
  CHECK(quantile_ms(histogram, 0.99).get<double>() > 65.5);
  CHECK(quantile_ms(histogram, 0.99).get<double>() <= 131.1);
  shm::Histogram endless;
  endless.record(1'000 * second);
  CHECK(quantile_ms(endless, 0.5).get<double>() == doctest::Approx(67108.864));
}
