// The seam for groups of servers: something else than a pool under sql::Database. Here it is a primary and a replica, each with a pool of its own.
#include <sluice/pool/connection_source.hpp>

#include <algorithm>

#include "stub_session.hpp"

using namespace sluice;
using namespace sluice::test;
using Log = std::vector<std::string>;

namespace {

// A server and the permits for it, which outlive the loop.
struct Host {
  pool::Pool make_pool(asio::io_context& loop, const std::string& name) {
    config::Pool options;
    options.name = name;
    options.acquire_timeout = 50ms;
    pool::PoolResources resources;
    resources.share = permits.share;
    resources.background = false;
    pool::Pool made(loop, options, std::make_unique<StubSqlConnector>(server, sql::Dialect::postgres), resources);
    made.ready();
    return made;
  }
  Log asked() { return std::exchange(server->log, {}); }

  std::shared_ptr<SqlServer> server = std::make_shared<SqlServer>();
  PermitRows permits{1};
};

// Reads go to the replica while it is there, everything else to the primary.
class PrimaryAndReplica final : public pool::ConnectionSource {
 public:
  PrimaryAndReplica(pool::Pool& primary, pool::Pool& replica) : primary_(primary), replica_(replica) {}

  awaitable<pool::Lease> acquire(const pool::Wish& wish, const boost::source_location& where) override {
    return (wish.read_only && replica_is_up ? replica_ : primary_).acquire(wish, where);
  }
  pool::Lease try_acquire(const boost::source_location& where) override { return primary_.try_acquire(where); }
  bool may_lease() const noexcept override { return primary_.may_lease(); }
  const std::string& name() const noexcept override { return name_; }
  const config::Pool& options() const noexcept override { return primary_.options(); }
  pool::Connector& connector() const noexcept override { return primary_.connector(); }
  pool::Numbers numbers() const override {
    pool::Numbers sum = primary_.numbers();
    sum.leased += replica_.numbers().leased;
    return sum;
  }
  const std::string& last_connect_error() const noexcept override { return primary_.last_connect_error(); }

  bool replica_is_up = true;

 private:
  pool::Pool& primary_;
  pool::Pool& replica_;
  std::string name_ = "orders";
};

class GroupTest {
 public:
  template <class F>
  void run(F body) {
    run_to_its_end(loop, std::move(body));
  }

  shm::PoolStats stats{};
  Host primary, replica;
  asio::io_context loop{1};
  pool::Pool primary_pool = primary.make_pool(loop, "primary"), replica_pool = replica.make_pool(loop, "replica");
  PrimaryAndReplica group{primary_pool, replica_pool};
  sql::Database db{group, &stats};
};

}  // namespace

TEST_CASE("another source of connections stands where a pool does: read-only transactions may go elsewhere, everything else may not") {
  GroupTest t;
  t.db.on_first_use("SCHEMA", "");
  auto body = [&]() -> awaitable<void> {
    sql::TransactionOptions reading;
    reading.read_only = true;
    {
      sql::Transaction tx = co_await t.db.begin(reading);
      co_await tx.query("SELECT 1");
      CHECK(t.group.numbers().leased == 1);
      co_await tx.commit();
    }
    CHECK(t.replica.asked() == Log{"connect", "begin read only", "SELECT 1", "commit"});
    const Log schema = t.primary.asked();  // DDL is the primary's, whatever was asked for first
    CHECK(std::find(schema.begin(), schema.end(), "script SCHEMA") != schema.end());

    co_await t.db.query("SELECT 2");  // nobody has said that it only reads
    co_await t.db.execute("UPDATE t SET a = $1", 1);
    sql::Transaction tx = co_await t.db.begin(within(5s));
    co_await tx.execute("DELETE FROM t");
    co_await tx.commit();
    auto repeated = [](sql::Transaction& transaction) -> awaitable<void> { co_await transaction.query("SELECT 3"); };
    co_await t.db.transaction(reading, repeated);
  };
  t.run(body);
  CHECK(t.primary.asked() == Log{"SELECT 2", "UPDATE t SET a = $1", "begin", "DELETE FROM t", "commit"});
  CHECK(t.replica.asked() == Log{"begin read only", "SELECT 3", "commit"});
  CHECK(t.stats.statements.get() == 5);  // of both hosts
}

TEST_CASE("a source may change its mind from lease to lease, and each lease goes back to where it came from") {
  GroupTest t;
  auto body = [&]() -> awaitable<void> {
    sql::TransactionOptions reading;
    reading.read_only = true;
    sql::Transaction before = co_await t.db.begin(reading);
    t.group.replica_is_up = false;
    sql::Transaction after = co_await t.db.begin(reading);
    CHECK(t.primary_pool.numbers().leased == 1);
    CHECK(t.replica_pool.numbers().leased == 1);
    const auto full = co_await thrown<pool::PoolError>(t.db.query("SELECT 1"));
    REQUIRE(full);
    CHECK(full->phase() == pool::Phase::wait_timeout);
    CHECK(std::string(full->what()).find("primary") != std::string::npos);  // the host that was full, not the group
    co_await before.commit();
    co_await after.commit();
  };
  t.run(body);
  CHECK(t.primary_pool.numbers().leased == 0);
  CHECK(t.replica_pool.numbers().leased == 0);
}
