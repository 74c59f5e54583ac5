#include "databases.hpp"

using namespace sluice;
using namespace sluice::test;

TEST_CASE("A savepoint undoes what follows it and no more, after an error too") {
  on_each_database([](RealDatabase& t) {
    auto body = [&]() -> awaitable<void> {
      co_await t.db->execute("CREATE TABLE t (n int PRIMARY KEY)");
      sql::Transaction tx = co_await t.db->begin();
      co_await tx.execute("INSERT INTO t VALUES (1)");
      const sql::Savepoint first = co_await tx.savepoint();
      co_await tx.execute("INSERT INTO t VALUES (2)");
      const sql::Savepoint second = co_await tx.savepoint();
      co_await tx.execute("INSERT INTO t VALUES (3)");
      co_await tx.rollback_to(second);
      const auto twice = co_await error_from<sql::SqlError>(tx.execute("INSERT INTO t VALUES (1)"));
      REQUIRE(twice);
      CHECK(twice->error_class() == sql::Class::unique_violation);
      co_await tx.rollback_to(second);
      co_await tx.execute("INSERT INTO t VALUES (4)");
      co_await tx.release(first);
      co_await tx.commit();
      const sql::Rows rows = co_await t.db->query("SELECT n FROM t ORDER BY n");
      CHECK(rows.as<int>() == std::vector<int>{1, 2, 4});
    };
    t.run(body);
  });
}

TEST_CASE("transaction(fn) commits what the function did, gives its result, and rolls back what it threw out of") {
  on_each_database([](RealDatabase& t) {
    auto body = [&]() -> awaitable<void> {
      co_await t.db->execute("CREATE TABLE t (n int PRIMARY KEY)");
      auto insert = [](sql::Transaction& tx) -> awaitable<std::string> {
        co_await tx.execute("INSERT INTO t VALUES (1)");
        co_return "done";
      };
      const std::string result = co_await t.db->transaction(insert);
      CHECK(result == "done");
      int runs = 0;
      auto twice = [&runs](sql::Transaction& tx) -> awaitable<void> {
        ++runs;
        co_await tx.execute("INSERT INTO t VALUES (2)");
        co_await tx.execute("INSERT INTO t VALUES (1)");
      };
      const auto error = co_await error_from<sql::SqlError>(t.db->transaction(twice));
      REQUIRE(error);
      CHECK(error->error_class() == sql::Class::unique_violation);
      CHECK(runs == 1);
      auto read_only = [](sql::Transaction& tx) -> awaitable<void> { co_await tx.execute("INSERT INTO t VALUES (3)"); };
      sql::TransactionOptions options;
      options.read_only = true;
      const auto refused = co_await error_from<sql::SqlError>(t.db->transaction(options, read_only));
      CHECK(refused);
      auto own_end = [](sql::Transaction& tx) -> awaitable<void> {
        co_await tx.execute("INSERT INTO t VALUES (4)");
        co_await tx.rollback();
      };
      co_await t.db->transaction(own_end);
      const sql::Rows rows = co_await t.db->query("SELECT n FROM t");
      CHECK(rows.as<int>() == std::vector<int>{1});
      CHECK(t.pool->numbers().leased == 0);
    };
    t.run(body);
  });
}

TEST_CASE("PostgreSQL: each isolation level is the server's, and serialization failures are run again until they go through") {
  if (!PostgresServer::require()) return;
  RealDatabase t(server().url());
  auto body = [&]() -> awaitable<void> {
    struct Level {
      sql::Isolation level;
      const char* name;
    };
    for (const Level expected : {Level{sql::Isolation::standard, "read committed"}, Level{sql::Isolation::read_uncommitted, "read uncommitted"},
                                 Level{sql::Isolation::read_committed, "read committed"}, Level{sql::Isolation::repeatable_read, "repeatable read"},
                                 Level{sql::Isolation::serializable, "serializable"}}) {
      sql::TransactionOptions options;
      options.isolation = expected.level;
      sql::Transaction tx = co_await t.db->begin(options);
      const sql::Rows rows = co_await tx.query("SELECT current_setting('transaction_isolation')");
      CHECK(rows[0][0].as<std::string>() == expected.name);
      co_await tx.rollback();
    }

    // Each reads the sum of all and adds a row: without serializability two of them would add the same.
    co_await t.db->execute("DROP TABLE IF EXISTS counter");
    co_await t.db->execute("CREATE TABLE counter (n int)");
    int runs = 0, finished = 0;
    auto add = [&runs](sql::Transaction& tx) -> awaitable<void> {
      ++runs;
      const sql::Rows rows = co_await tx.query("SELECT count(*) FROM counter");
      co_await tx.query("SELECT pg_sleep(0.02)");
      co_await tx.execute("INSERT INTO counter VALUES ($1)", rows[0][0].as<int>());
    };
    sql::TransactionOptions options;
    options.isolation = sql::Isolation::serializable;
    pool::RetryPolicy policy = sql::retry_policy();
    policy.attempts = 50;
    policy.backoff_min = 10ms;
    std::exception_ptr failure;
    for (int i = 0; i < 4; ++i) {
      asio::co_spawn(t.loop, t.db->transaction(options, policy, add), [&](std::exception_ptr e) {
        if (e) failure = e;
        ++finished;
      });
    }
    asio::steady_timer timer(t.loop);
    while (finished < 4) {
      timer.expires_after(5ms);
      co_await timer.async_wait(use_awaitable);
    }
    CHECK_FALSE(failure);
    const sql::Rows rows = co_await t.db->query("SELECT n FROM counter ORDER BY n");
    CHECK(rows.as<int>() == std::vector<int>{0, 1, 2, 3});
    MESSAGE(runs, " runs for 4 transactions");
    CHECK(runs > 4);  // else nothing was proved
    co_await t.db->execute("DROP TABLE counter");
  };
  t.run(body);
}

TEST_CASE("PostgreSQL: of two transactions that wait for each other one is run again, and both go through") {
  if (!PostgresServer::require()) return;
  RealDatabase t(server().url());
  auto body = [&]() -> awaitable<void> {
    co_await t.db->execute("DROP TABLE IF EXISTS pair");
    co_await t.db->execute("CREATE TABLE pair (id int PRIMARY KEY, n int NOT NULL)");
    co_await t.db->execute("INSERT INTO pair VALUES (1, 0), (2, 0)");
    int runs = 0, finished = 0, holding = 0;
    const auto cross = [&](int first) {
      return [&, first](sql::Transaction& tx) -> awaitable<void> {
        ++runs;
        co_await tx.execute("UPDATE pair SET n = n + 1 WHERE id = $1", first);
        ++holding;
        asio::steady_timer timer(t.loop);
        while (holding < 2) {  // both hold one before either wants the other
          timer.expires_after(1ms);
          co_await timer.async_wait(use_awaitable);
        }
        co_await tx.execute("UPDATE pair SET n = n + 1 WHERE id = $1", 3 - first);
      };
    };
    auto one = cross(1), two = cross(2);
    std::exception_ptr failure;
    const auto done = [&](std::exception_ptr e) {
      if (e) failure = e;
      ++finished;
    };
    asio::co_spawn(t.loop, t.db->transaction(one), done);
    asio::co_spawn(t.loop, t.db->transaction(two), done);
    asio::steady_timer timer(t.loop);
    while (finished < 2) {
      timer.expires_after(5ms);
      co_await timer.async_wait(use_awaitable);
    }
    CHECK_FALSE(failure);
    CHECK(runs == 3);
    const sql::Rows rows = co_await t.db->query("SELECT n FROM pair");
    CHECK(rows.as<int>() == std::vector<int>{2, 2});
    co_await t.db->execute("DROP TABLE pair");
  };
  t.run(body);
}
