#include <sluice/admin/health.hpp>
#include <sluice/admin/pool_watch.hpp>
#include <sluice/admin/tables.hpp>
#include <sluice/admin/views.hpp>

#include "sample.hpp"

#include <doctest/doctest.h>

using namespace sluice;
using namespace sluice::admin;
using nlohmann::json;
using test::sample_now;
using test::sample_segment;
using test::second;

namespace {

json pool_reason(const json& body) {
  for (const json& reason : body["reasons"]) {
    if (reason["subject"] == "pool main") return reason;
  }
  return {{"reason", "none in " + body.dump()}};
}

}  // namespace

TEST_CASE("pools whose callers wait in vain degrade the instance, with what would help") {
  auto segment = sample_segment();
  segment.pool_stats(1, 0).timeouts.set(0);
  PoolWatch watch(segment);
  CHECK(health(segment, sample_now, 30s, &watch).body["overall"] == "healthy");
  shm::PoolStats& stats = segment.pool_stats(1, 0);
  stats.limit.set(4);
  stats.leased.set(4);
  stats.timeouts.set(20);
  const Verdict verdict = health(segment, sample_now + second, 30s, &watch);
  CHECK(verdict.ok);
  CHECK(verdict.body["overall"] == "degraded");
  const json reason = pool_reason(verdict.body);
  CHECK(reason["reason"] == "worker web 1: 20 of 520 callers waited in vain");
  CHECK(reason["recommendation"] != "");
  const std::string text = health_text(verdict.body);
  CHECK(text.find("pool main: worker web 1: 20 of 520") != std::string::npos);
  CHECK(text.find(reason["recommendation"].get<std::string>()) != std::string::npos);
}

TEST_CASE("of a pool's workers the gravest finding is told, the others are counted") {
  auto segment = sample_segment();
  segment.pool_stats(1, 0).timeouts.set(0);
  segment.pool_stats(0, 0).lost.set(1);
  segment.pool_stats(4, 0).timeouts.set(9);  // nobody got any: unhealthy
  PoolWatch watch(segment);
  const json reasons = watch.reasons(sample_now);
  REQUIRE(reasons.size() == 1);
  CHECK(reasons[0]["reason"] == "worker jobs 4 and 1 more of 3 workers: 9 of 9 callers waited in vain");
}

TEST_CASE("the pools' view and table carry each pool's health") {
  auto segment = sample_segment();
  PoolWatch watch(segment);
  const json pools = pools_view(segment, &watch, sample_now);
  const json& main = pools[1];
  REQUIRE(main["slot"] == 1);
  CHECK(main["health"]["state"] == "degraded");
  CHECK(main["health"]["findings"][0]["reason"] == "4 of 504 callers waited in vain");
  CHECK(pools[0]["health"]["state"] == "healthy");
  const std::string text = pools_text(pools);
  CHECK(text.find("HEALTH") != std::string::npos);
  CHECK(text.find("main in slot 1: 4 of 504 callers waited in vain; ") != std::string::npos);
  CHECK(pools_view(segment)[0]["health"].is_null());
}
