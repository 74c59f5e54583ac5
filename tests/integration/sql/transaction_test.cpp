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

TEST_CASE("PostgreSQL: each isolation level is the server's") {
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
  };
  t.run(body);
}

// The server names the level of a session, not of a transaction: what it lets a transaction see tells.
TEST_CASE("MariaDB: each isolation level is the server's, and holds for its transaction alone") {
  if (!MariaDbServer::require()) return;
  RealDatabase t(mariadb().url());
  struct Level {
    const char* name;
    sql::Isolation level;
    int before;  // the writer's COMMIT; -1: waits for it
    int after;
  };
  const std::vector<Level> levels{{"standard", sql::Isolation::standard, 0, 1},
                                  {"read uncommitted", sql::Isolation::read_uncommitted, 1, 1},
                                  {"read committed", sql::Isolation::read_committed, 0, 1},
                                  {"repeatable read", sql::Isolation::repeatable_read, 0, 0},
                                  {"serializable", sql::Isolation::serializable, -1, 1},
                                  {"standard again", sql::Isolation::standard, 0, 1}};
  auto body = [&]() -> awaitable<void> {
    co_await t.db->execute("CREATE OR REPLACE TABLE seen (id INT PRIMARY KEY, n INT) ENGINE=InnoDB");
    co_await t.db->execute("INSERT INTO seen VALUES (1, 0)");
    for (const Level& expected : levels) {
      CAPTURE(expected.name);
      co_await t.db->execute("UPDATE seen SET n = 0");
      sql::Transaction writer = co_await t.db->begin();
      co_await writer.execute("UPDATE seen SET n = 1");
      sql::TransactionOptions options;
      options.isolation = expected.level;
      sql::Transaction reader = co_await t.db->begin(options);
      if (expected.before < 0) {
        const auto waited = co_await error_from<TimedOut>(reader.query(within(100ms), "SELECT n FROM seen"));
        CHECK(waited);
      } else {
        const sql::Rows before = co_await reader.query("SELECT n FROM seen");
        CHECK(before[0][0].as<int>() == expected.before);
      }
      co_await writer.commit();
      const sql::Rows after = co_await reader.query("SELECT n FROM seen");
      CHECK(after[0][0].as<int>() == expected.after);
      co_await reader.commit();
    }
    co_await t.db->execute("DROP TABLE seen");
  };
  t.run(body);
}

TEST_CASE("Transactions that cannot be serialized are run again until they go through") {
  on_each_server([](RealDatabase& t) {
    auto body = [&]() -> awaitable<void> {
      // Each reads the sum of all and adds a row: without serializability two of them would add the same.
      co_await t.db->execute("CREATE TABLE counter (n int)");
      int runs = 0, have_read = 0, finished = 0;
      std::exception_ptr failure;
      auto add = [&](sql::Transaction& tx) -> awaitable<void> {
        ++runs;
        const sql::Rows rows = co_await tx.query("SELECT count(*) FROM counter");
        ++have_read;
        asio::steady_timer timer(t.loop);
        while (have_read < 4 && !failure) {  // all have read before any of them writes
          timer.expires_after(1ms);
          co_await timer.async_wait(use_awaitable);
        }
        co_await tx.execute("INSERT INTO counter VALUES ($1)", rows[0][0].as<int>());
      };
      sql::TransactionOptions options;
      options.isolation = sql::Isolation::serializable;
      pool::RetryPolicy policy = sql::retry_policy();
      policy.attempts = 50;
      policy.backoff_min = 10ms;
      pool::retry_budget(t.loop) = pool::RetryBudget(1, 1000);
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
      if (failure) std::rethrow_exception(failure);
      const sql::Rows rows = co_await t.db->query("SELECT n FROM counter ORDER BY n");
      CHECK(rows.as<int>() == std::vector<int>{0, 1, 2, 3});
      MESSAGE(runs, " runs for 4 transactions");
      CHECK(runs > 4);  // else nothing was proved
    };
    t.run(body);
  });
}

TEST_CASE("Of two transactions that wait for each other one is run again, and both go through") {
  on_each_server([](RealDatabase& t) {
    auto body = [&]() -> awaitable<void> {
      co_await t.db->execute("CREATE TABLE pair (id int PRIMARY KEY, n int NOT NULL)");
      co_await t.db->execute("INSERT INTO pair VALUES (1, 0), (2, 0)");
      int runs = 0, finished = 0, holding = 0;
      std::exception_ptr failure;
      const auto cross = [&](int first) {
        return [&, first](sql::Transaction& tx) -> awaitable<void> {
          ++runs;
          co_await tx.execute("UPDATE pair SET n = n + 1 WHERE id = $1", first);
          ++holding;
          asio::steady_timer timer(t.loop);
          while (holding < 2 && !failure) {  // both hold one before either wants the other
            timer.expires_after(1ms);
            co_await timer.async_wait(use_awaitable);
          }
          co_await tx.execute("UPDATE pair SET n = n + 1 WHERE id = $1", 3 - first);
        };
      };
      auto one = cross(1), two = cross(2);
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
      if (failure) std::rethrow_exception(failure);
      CHECK(runs > 2);  // a busy server may end both
      const sql::Rows rows = co_await t.db->query("SELECT n FROM pair");
      CHECK(rows.as<int>() == std::vector<int>{2, 2});
    };
    t.run(body);
  });
}

namespace {

int judged = 0;
pool::Retryable judge(const std::exception_ptr& error) noexcept {
  ++judged;
  return sql::classify(error);
}

}  // namespace

TEST_CASE("SQLite: a transaction that finds the file locked by others until its deadline begins anew, and goes through") {
  const TemporaryDirectory directory;
  config::Pool options = RealDatabase::with_url("sqlite:" + directory.path() + "/test.db");
  RealDatabase others(options);
  options.statement_timeout = scaled(50ms);
  RealDatabase t(options);
  std::optional<sql::Transaction> writer;
  auto lock = [&]() -> awaitable<void> {
    co_await others.db->execute("CREATE TABLE t (n int)");
    writer = co_await others.db->begin();
    co_await writer->execute("INSERT INTO t VALUES (1)");
  };
  auto unlock = [&]() -> awaitable<void> { co_await writer->commit(); };
  auto body = [&]() -> awaitable<void> {
    int runs = 0;
    auto insert = [&runs](sql::Transaction& tx) -> awaitable<void> {
      ++runs;
      co_await tx.execute("INSERT INTO t VALUES (2)");
    };
    judged = 0;
    pool::RetryPolicy policy = sql::retry_policy();
    policy.attempts = 0;
    policy.backoff_min = 10ms;
    policy.classify = &judge;
    pool::retry_budget(t.loop) = pool::RetryBudget(1, 1000);
    std::exception_ptr failure;
    bool finished = false;
    asio::co_spawn(t.loop, t.db->transaction(sql::TransactionOptions(), policy, insert), [&](std::exception_ptr e) {
      failure = e;
      finished = true;
    });
    asio::steady_timer timer(t.loop);
    while (!finished) {
      if (judged >= 2 && writer) {  // it has met the lock twice
        others.run(unlock);
        writer.reset();
      }
      timer.expires_after(1ms);
      co_await timer.async_wait(use_awaitable);
    }
    CHECK_FALSE(failure);
    CHECK(judged >= 2);
    CHECK(runs == 1);
    const sql::Rows rows = co_await t.db->query(within(10s), "SELECT n FROM t ORDER BY n");
    CHECK(rows.as<int>() == std::vector<int>{1, 2});
  };
  others.run(lock);
  t.run(body);
}
