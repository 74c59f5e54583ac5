#include <sluice/shm/pool_health.hpp>

#include <doctest/doctest.h>
#include <memory>

using namespace sluice::shm;

namespace {

constexpr std::int64_t second = 1'000'000'000;

// A pool of four connections, half of them in use, which served 100 leases of 10 ms a second for ten seconds.
PoolSample calm() {
  PoolSample s;
  s.at = 20 * second;
  s.idle = s.leased = 2;
  s.limit = 4;
  s.reachable = 1;
  s.acquires = s.uses = 1000;
  s.connects = s.creates = 4;
  s.use_nanos = 1000 * second / 100;
  s.wait_nanos = 1000 * second / 1000;
  s.create_nanos = 4 * second / 20;
  return s;
}
PoolSample begin() {
  PoolSample s;
  s.at = 10 * second;
  return s;
}
PoolHealth judged(const PoolSample& now) { return judge(begin(), now); }

}  // namespace

TEST_CASE("a pool that serves without waiting is healthy, and its numbers are those of the period") {
  const PoolHealth health = judged(calm());
  CHECK(health.state == HealthState::healthy);
  CHECK(health.findings.empty());
  CHECK(health.utilization == doctest::Approx(0.5));
  CHECK(health.acquires_per_second == doctest::Approx(100));
  CHECK(health.mean_use_ms == doctest::Approx(10));
  CHECK(health.mean_wait_ms == doctest::Approx(1));
  CHECK(health.mean_connect_ms == doctest::Approx(50));
  CHECK(health.needed == doctest::Approx(1));  // 100 a second × 10 ms
  CHECK(judge({}, PoolSample{}).state == HealthState::healthy);  // never used
}

TEST_CASE("a busy pool is healthy as long as nobody waits long") {
  PoolSample s = calm();
  s.leased = 4;
  s.idle = 0;
  CHECK(judged(s).state == HealthState::healthy);
  s.waiting = 3;
  const PoolHealth health = judged(s);
  CHECK(health.state == HealthState::degraded);
  CHECK(health.findings.at(0).reason == "4 of 4 connections are leased, 3 callers wait, 1 ms on average");
}

TEST_CASE("a server that is not reachable is unhealthy without a connection, degraded with one, and the cause is told") {
  PoolSample s = calm();
  s.reachable = 2;
  s.last_error = "connection refused";
  CHECK(judged(s).state == HealthState::degraded);
  CHECK(judged(s).findings.at(0).reason == "the last connect failed: connection refused");
  s.idle = s.leased = 0;
  CHECK(judged(s).state == HealthState::unhealthy);
  CHECK(judged(s).findings.at(0).reason == "the server is not reachable: connection refused");
}

TEST_CASE("callers who waited in vain: the recommendation says how many connections the load keeps busy") {
  PoolSample s = calm();
  s.leased = 4;
  s.idle = 0;
  s.timeouts = 50;
  s.use_nanos = 1000 * second / 20;  // 50 ms each
  const PoolHealth health = judged(s);
  CHECK(health.state == HealthState::degraded);
  CHECK(health.findings.at(0).reason == "50 of 1050 callers waited in vain");
  CHECK(health.findings.at(0).recommendation ==
        "100 acquires a second × 50 ms keep 5 connections busy; the limit is 4: about 8 per worker are needed: raise servers.<name>.total, or scale out");
  s.acquires = 0;
  s.leased = 0;
  CHECK(judged(s).state == HealthState::unhealthy);  // nobody gets any
}

TEST_CASE("connections that are held for seconds are the holder's to shorten") {
  PoolSample s = calm();
  s.leased = 4;
  s.waiting = 1;
  s.use_nanos = 1000 * 2 * second;
  CHECK(judged(s).findings.at(0).recommendation == "a connection is held for 2000 ms on average: give it back before slow work, or make the statements faster");
}

TEST_CASE("waiting below the limit is waiting for connects: keep some open") {
  PoolSample s = calm();
  s.wait_nanos = 1000 * second / 5;
  const PoolHealth health = judged(s);
  CHECK(health.findings.at(0).reason == "callers wait 200 ms on average for a connection");
  CHECK(health.findings.at(0).recommendation == "a connect takes 50 ms: raise min_idle to have connections before they are wanted");
}

TEST_CASE("a full queue, failing connects, lost connections, leaks and connections that are hardly reused degrade") {
  const auto reason = [](auto change) {
    PoolSample s = calm();
    change(s);
    const PoolHealth health = judged(s);
    CHECK(health.state == HealthState::degraded);
    return health.findings.at(0).reason;
  };
  CHECK(reason([](PoolSample& s) { s.queue_full = 7; }) == "7 of 1007 callers were refused because the queue was full");
  CHECK(reason([](PoolSample& s) { s.connect_errors = 1; }) == "1 of 5 connects failed");
  CHECK(reason([](PoolSample& s) { s.lost = 2; }) == "2 connections were lost");
  CHECK(reason([](PoolSample& s) { s.leaks = 1; }) == "1 leases are held for suspiciously long");
  CHECK(reason([](PoolSample& s) { s.connects = 900; }) == "900 connects for 1000 acquires: connections are hardly reused");
}

TEST_CASE("only what happened in the period counts") {
  PoolSample earlier = begin(), now = calm();
  earlier.timeouts = now.timeouts = 1000;
  earlier.lost = now.lost = 5;
  CHECK(judge(earlier, now).state == HealthState::healthy);
}

TEST_CASE("a window forgets after a minute, and begins anew with the slot's next life") {
  const auto stats = std::make_unique<PoolStats>();
  HealthWindow window;
  stats->reachable.set(1);
  stats->limit.set(4);
  stats->acquires.set(100);
  stats->timeouts.set(3);
  CHECK(window.judge(*stats, 10 * second).state == HealthState::degraded);  // since the pool's beginning
  stats->acquires.set(200);
  CHECK(window.judge(*stats, 41 * second).state == HealthState::degraded);  // no older look yet
  stats->acquires.set(300);
  CHECK(window.judge(*stats, 72 * second).state == HealthState::healthy);
  stats->acquires.set(5);
  stats->timeouts.set(1);
  CHECK(window.judge(*stats, 73 * second).findings.at(0).reason == "1 of 6 callers waited in vain");
}
