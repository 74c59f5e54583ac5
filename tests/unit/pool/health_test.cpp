// A connection in hand: checked, replaced. A pool in trouble: what it says of itself.
#include <support/pool_loop.hpp>

#include <sluice/pool/health.hpp>

#include <doctest/doctest.h>

using namespace sluice;
using namespace sluice::pool;
using namespace sluice::test;

namespace {

template <class T>
std::optional<T> result_of(PoolLoop& t, awaitable<T> work) {
  std::optional<T> result;
  bool ended = false;
  asio::co_spawn(t.loop, std::move(work), [&](std::exception_ptr error, T value) {
    ended = true;
    if (!error) result = value;
  });
  REQUIRE(t.run_until([&] { return ended; }));
  return result;
}

awaitable<bool> refreshed(Pool& pool, Lease& lease) {
  co_await refresh(pool, lease);
  co_return true;
}

}  // namespace

TEST_CASE("check asks the server now, and what is dead is closed at its return") {
  PoolLoop t;
  t.pool().ready();
  Lease lease = std::move(*t.leased().lease);
  CHECK(result_of(t, check(t.pool(), lease)) == true);
  CHECK(t.server->ping.calls == 1);
  t.server->ping.does = Does::error;
  CHECK(result_of(t, check(t.pool(), lease)) == false);
  CHECK(result_of(t, check(t.pool(), lease)) == false);  // known by now: not asked again
  CHECK(t.server->ping.calls == 2);
  lease.release();
  CHECK(t.run_until([&] { return t.server->close.calls == 1; }));
  CHECK(t.pool().numbers().idle == 0);
}

TEST_CASE("a check ends within its limit") {
  PoolLoop t;
  t.pool().ready();
  Lease lease = std::move(*t.leased().lease);
  t.server->ping.does = Does::never;  // until the deadline
  CHECK(result_of(t, check(t.pool(), lease, within(20ms))) == false);
}

TEST_CASE("a check ends soon after its limit, also where the driver looks at no deadline") {
  PoolLoop t;
  t.pool().ready();
  Lease lease = std::move(*t.leased().lease);
  t.server->ping.does = Does::stuck;  // until it is cancelled
  CHECK(result_of(t, check(t.pool(), lease, within(20ms))) == false);
  CHECK(lease->broken);
}

TEST_CASE("a caller that is cancelled while it checks ends at once, and the connection is not used again") {
  PoolLoop t;
  t.pool().ready();
  Lease lease = std::move(*t.leased().lease);
  t.server->ping.does = Does::stuck;
  asio::cancellation_signal cancel;
  std::exception_ptr failed;
  bool ended = false;
  auto finished = [&](std::exception_ptr error, bool) {
    failed = error;
    ended = true;
  };
  asio::co_spawn(t.loop, check(t.pool(), lease, within(1h)), asio::bind_cancellation_slot(cancel.slot(), finished));
  REQUIRE(t.run_until([&] { return t.server->ping.calls == 1; }));
  t.settle();
  cancel.emit(asio::cancellation_type::terminal);
  REQUIRE(t.run_until([&] { return ended; }));
  CHECK(lease->broken);
}

TEST_CASE("a shared lease is refreshed as a shared one") {
  PoolLoop t;
  t.pools.clear();
  t.server->max_requests = 3;
  Pool& pool = t.add_pool({});
  pool.ready();
  Lease mine = t.run(pool.acquire_shared());
  Lease other = t.run(pool.acquire_shared());
  REQUIRE(mine.id() == other.id());
  CHECK(result_of(t, refreshed(pool, mine)) == true);
  CHECK(mine.shared());
  CHECK(mine.id() != other.id());
}

TEST_CASE("refresh puts another connection into the lease, within the pool's maximum") {
  config::Pool options;
  options.max = 1;
  PoolLoop t(options);
  t.pool().ready();
  Lease lease = std::move(*t.leased().lease);
  CHECK(lease.id() == 1);
  CHECK(result_of(t, refreshed(t.pool(), lease)) == true);
  CHECK(lease);
  CHECK(lease.id() == 2);
  CHECK(t.server->most_sessions == 1);
  CHECK(t.server->close.calls == 1);
}

TEST_CASE("a pool tells its own health, with the cause") {
  PoolLoop t;
  t.pool().ready();
  t.leased().lease.reset();
  CHECK(t.pool().health().state == shm::HealthState::healthy);
  t.pool().clear();
  t.pool().ready();
  t.settle();
  t.server->connect.does = Does::error;
  Caller& caller = t.acquire(Duration(50ms));
  REQUIRE(t.run_until([&] { return caller.done; }));
  const shm::PoolHealth health = t.pool().health();
  CHECK(health.state == shm::HealthState::unhealthy);
  REQUIRE_FALSE(health.findings.empty());
  CHECK(health.findings.front().reason.find("stub: connection refused") != std::string::npos);
}
