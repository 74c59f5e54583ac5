#include <sluice/admin/health.hpp>

#include "sample.hpp"

#include <doctest/doctest.h>

using namespace sluice;
using namespace sluice::admin;
using nlohmann::json;
using test::sample_now;
using test::sample_segment;
using test::second;

namespace {

void set_state(shm::Segment& segment, std::uint32_t slot, shm::SlotState state) {
  segment.slots()[slot].state.set(static_cast<std::uint64_t>(state));
}

std::string reason(const json& body, const std::string& subject) {
  for (const json& r : body["reasons"]) {
    if (r["subject"] == subject) return r["reason"];
  }
  return "none in " + body.dump();
}

std::string overall(const shm::Segment& segment) { return health(segment, sample_now, 30s).body["overall"]; }

}  // namespace

TEST_CASE("an instance in order is live, started, ready and healthy") {
  const auto segment = sample_segment();
  CHECK(liveness(segment, sample_now).ok);
  CHECK(startup(segment).ok);
  CHECK(readiness(segment).ok);
  CHECK(readiness(segment).body["reasons"].empty());
  const Verdict verdict = health(segment, sample_now, 30s);
  CHECK(verdict.ok);
  CHECK(verdict.body["overall"] == "healthy");
  CHECK(verdict.body["workers"] == json({{"wanted", 3}, {"ready", 3}}));
  CHECK(verdict.body["servers"][0]["utilization"].get<double>() == doctest::Approx(1.0 / 13));
}

TEST_CASE("a master that is silent for more than five seconds is not live") {
  auto segment = sample_segment();
  segment.published().tick_nanos.set_signed(sample_now - 5 * second);
  CHECK(liveness(segment, sample_now).ok);
  segment.published().tick_nanos.set_signed(sample_now - 5 * second - 1'000'000);
  const Verdict verdict = liveness(segment, sample_now);
  CHECK_FALSE(verdict.ok);
  CHECK(reason(verdict.body, "master") == "has not ticked for 5001 ms");
  CHECK(overall(segment) == "unhealthy");
  segment.published().tick_nanos.set(0);
  CHECK_FALSE(liveness(segment, sample_now).ok);
}

TEST_CASE("before the master's first tick nothing is known, so the instance is not ready") {
  auto segment = sample_segment();
  segment.published().tick_nanos.set(0);
  CHECK(reason(readiness(segment).body, "master") == "has not ticked yet");
}

TEST_CASE("before all workers were ready once the instance has not started") {
  auto segment = sample_segment();
  segment.published().instance_state.set(static_cast<std::uint64_t>(shm::InstanceState::starting));
  CHECK_FALSE(startup(segment).ok);
}

TEST_CASE("a worker that is not ready makes the instance not ready and says why") {
  auto segment = sample_segment();
  set_state(segment, 1, shm::SlotState::backoff);
  segment.slots()[1].reason.set("start() threw: no schema");
  const Verdict verdict = readiness(segment);
  CHECK_FALSE(verdict.ok);
  CHECK(reason(verdict.body, "worker web 1") == "backoff: start() threw: no schema");
  CHECK(verdict.body["workers"]["ready"] == 2);
  CHECK(health(segment, sample_now, 30s).ok);
  CHECK(overall(segment) == "degraded");
}

TEST_CASE("a worker that drains because fewer are wanted is no reason") {
  auto segment = sample_segment();
  segment.published().workers_wanted.set(2);
  set_state(segment, 1, shm::SlotState::draining);
  CHECK(readiness(segment).ok);
}

TEST_CASE("missing workers are counted even when no slot explains them") {
  auto segment = sample_segment();
  segment.published().workers_wanted.set(4);
  CHECK(reason(readiness(segment).body, "workers") == "3 of 4 wanted workers are ready");
}

TEST_CASE("without any ready worker the instance is unhealthy") {
  auto segment = sample_segment();
  for (std::uint32_t slot : {0u, 1u, 4u}) set_state(segment, slot, shm::SlotState::starting);
  CHECK(overall(segment) == "unhealthy");
}

TEST_CASE("a server that is still asked or refused is a reason with the arithmetic or the error") {
  auto segment = sample_segment();
  shm::Server& server = segment.servers()[0];
  server.state.set(static_cast<std::uint64_t>(shm::ServerState::asking));
  server.janitor_error.set("connection refused (password=hunter2)");
  CHECK(reason(readiness(segment).body, "server main") == "its capacity has not been asked yet: connection refused (password=***");
  CHECK(overall(segment) == "degraded");
  server.state.set(static_cast<std::uint64_t>(shm::ServerState::refused));
  server.arithmetic.set("3 < 4 workers x 1 + 1");
  CHECK(reason(readiness(segment).body, "server main") == "its budget is refused: 3 < 4 workers x 1 + 1");
  CHECK(overall(segment) == "unhealthy");
}

TEST_CASE("a server whose every permit waits for confirmation is a reason, with what the janitor met") {
  auto segment = sample_segment();
  segment.servers()[0].janitor_error.set("no answer");
  CHECK(readiness(segment).ok);
  for (shm::Row& row : segment.rows(0).subspan(1, 12)) {
    const budget::Owner owner = budget::Owner::unpack(row.owner.load());
    if (owner.state == budget::RowState::free) REQUIRE(budget::claim(row, budget::Life{1, 3}, sample_now));
    REQUIRE(budget::quarantine(row, budget::Owner::unpack(row.owner.load()), sample_now));
  }
  CHECK(reason(readiness(segment).body, "server main") == "every permit waits for the server to confirm that earlier sessions are gone: no answer");
}

TEST_CASE("a server whose sessions can never be asked for is a reason while it serves, one that does not answer just now is none") {
  auto segment = sample_segment();
  shm::Server& server = segment.servers()[0];
  server.janitor_error.set("a connection pooler answers there");
  CHECK(readiness(segment).ok);
  server.unaskable.set(1);
  CHECK(reason(readiness(segment).body, "server main") ==
        "it cannot be asked for its sessions, so the permits of a killed worker do not come back: a connection pooler answers there");
  CHECK(overall(segment) == "degraded");
}

TEST_CASE("a pool that some workers cannot reach degrades, one that nobody reaches is unhealthy") {
  auto segment = sample_segment();
  segment.pool_stats(0, 0).reachable.set(2);
  segment.pool_stats(0, 0).last_error.set("could not connect to postgresql://app:hunter2@db/main");
  const Verdict verdict = readiness(segment);
  CHECK_FALSE(verdict.ok);
  CHECK(reason(verdict.body, "pool main") == "not reachable from 1 of 2 workers: could not connect to postgresql://app:***@db/main");
  CHECK(overall(segment) == "degraded");
  segment.pool_stats(1, 0).reachable.set(2);
  CHECK(overall(segment) == "unhealthy");
}

TEST_CASE("what a slot without a worker last saw is no reason") {
  auto segment = sample_segment();
  segment.pool_stats(7, 0).reachable.set(2);
  CHECK(readiness(segment).ok);
}

TEST_CASE("a stopping instance is not ready") {
  auto segment = sample_segment();
  segment.published().instance_state.set(static_cast<std::uint64_t>(shm::InstanceState::stopping));
  CHECK(reason(readiness(segment).body, "instance") == "is stopping");
}

TEST_CASE("an event loop that does not turn degrades before the hang timeout ends it") {
  auto segment = sample_segment();
  segment.slots()[0].heartbeat_nanos.set_signed(sample_now - 16 * second);
  CHECK(reason(health(segment, sample_now, 30s).body, "worker web 0") == "its event loop has not turned for 16000 ms");
  CHECK(health(segment, sample_now, 60s).body["overall"] == "healthy");
}

TEST_CASE("unconfirmed permits and waiters behind a used-up budget degrade") {
  auto segment = sample_segment();
  const auto rows = segment.rows(0);
  const std::uint32_t quarantined_row = 1;
  REQUIRE(budget::quarantine(rows[quarantined_row], budget::Owner::unpack(rows[quarantined_row].owner.load()), sample_now));
  CHECK(reason(health(segment, sample_now, 30s).body, "server main") == "1 of 13 permits wait for the server to confirm that it let go");

  auto busy = sample_segment();
  busy.pool_stats(1, 0).waiting.set(3);
  CHECK(overall(busy) == "healthy");  // there are free permits
  for (std::uint32_t row = 1; row < 13; ++row) budget::claim(busy.rows(0)[row], budget::Life{1, 3}, sample_now);
  CHECK(reason(health(busy, sample_now, 30s).body, "server main") == "all 13 permits are taken and 3 callers wait");
}
