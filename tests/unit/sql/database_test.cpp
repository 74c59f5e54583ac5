#include "stub_session.hpp"

using namespace sluice;
using namespace sluice::test;
using Log = std::vector<std::string>;

TEST_CASE("statements run on pooled connections and are counted, failures apart") {
  DatabaseTest t;
  t.server->on = [](const std::string& what) {
    if (what == "BAD") throw sql_error(sql::Phase::execute, "refused");
  };
  auto body = [&]() -> awaitable<void> {
    co_await t.db->query("SELECT 1");
    const std::uint64_t changed = co_await t.db->execute("UPDATE t SET a = $1, b = $2", 1, "x");
    CHECK(changed == 2);
    const auto error = co_await thrown<sql::SqlError>(t.db->query("BAD"));
    CHECK(error);
    co_await t.db->query("SELECT 2");
  };
  t.run(body);
  CHECK(t.asked() == Log{"connect", "SELECT 1", "UPDATE t SET a = $1, b = $2", "BAD", "SELECT 2"});
  CHECK(t.stats.statements.get() == 4);
  CHECK(t.stats.statement_errors.get() == 1);
}

TEST_CASE("arguments are encoded before the call returns, so that locals may end before the statement runs") {
  DatabaseTest t;
  auto body = [&]() -> awaitable<void> {
    std::optional<awaitable<sql::Rows>> pending;
    {
      std::string name = "Ada", sql = "SELECT $1";
      pending.emplace(t.db->query(sql, name));
      sql = "overwritten";
      name = "overwritten";
    }
    co_await std::move(*pending);
    const auto refused = [&] {
      try {
        (void)t.db->query("SELECT $1", sql::Date(std::chrono::year(2023) / 2 / 29));
      } catch (const sql::SqlError& e) {
        return e.phase() == sql::Phase::encode;
      }
      return false;
    };
    CHECK(refused());
  };
  t.run(body);
  CHECK(t.asked() == Log{"connect", "SELECT $1"});
}

TEST_CASE("a lease is known by the line that asked for it") {
  DatabaseTest t;
  auto body = [&]() -> awaitable<void> { co_await t.db->query("SELECT 1"); };
  const unsigned line = __LINE__ - 1;
  t.run(body);
  CHECK(t.call_sites[0].line == line);
  CHECK(std::string(t.call_sites[0].file).find("database_test.cpp") != std::string::npos);
}

TEST_CASE("the pool's statement timeout is the deadline unless the call brings its own") {
  config::Pool options;
  options.statement_timeout = 7s;
  DatabaseTest t(sql::Dialect::postgres, options);
  const TimePoint before = Clock::now();
  auto body = [&]() -> awaitable<void> {
    co_await t.db->query("SELECT 1");
    co_await t.db->query(within(2min), "SELECT 2");
  };
  t.run(body);
  REQUIRE(t.server->deadlines.size() == 2);
  CHECK(t.server->deadlines[0].at >= before + 7s);
  CHECK(t.server->deadlines[0].at < before + 60s);
  CHECK(t.server->deadlines[1].at >= before + 2min);

  options.statement_timeout = 0s;
  DatabaseTest unbounded(sql::Dialect::postgres, options);
  auto once = [&]() -> awaitable<void> { co_await unbounded.db->query("SELECT 1"); };
  unbounded.run(once);
  CHECK(unbounded.server->deadlines[0].is_never());
}

TEST_CASE("the script runs once before the first statement, in a transaction under the advisory lock") {
  DatabaseTest t;
  t.db->on_first_use("PG", "LITE");
  auto body = [&]() -> awaitable<void> {
    co_await t.db->query("SELECT 1");
    sql::Database copy = *t.db;
    co_await copy.query("SELECT 2");
    sql::Transaction tx = co_await t.db->begin();
    co_await tx.commit();
  };
  t.run(body);
  CHECK(t.asked() == Log{"connect", "begin", "SELECT pg_advisory_xact_lock($1)", "script PG", "commit", "SELECT 1", "SELECT 2", "begin", "commit"});
}

TEST_CASE("SQLite gets its own script; its BEGIN is lock enough") {
  DatabaseTest t(sql::Dialect::sqlite);
  t.db->on_first_use("PG", "LITE");
  auto body = [&]() -> awaitable<void> { co_await t.db->query("SELECT 1"); };
  t.run(body);
  CHECK(t.asked() == Log{"connect", "begin", "script LITE", "commit", "SELECT 1"});
}

TEST_CASE("a script that fails fails the statement, is rolled back, and is tried again by the next") {
  DatabaseTest t(sql::Dialect::sqlite);
  t.db->on_first_use("", "S");
  int failures = 2;
  t.server->on = [&](const std::string& what) {
    if (what == "script S" && failures-- > 0) throw sql_error(sql::Phase::execute, "no space");
  };
  auto body = [&]() -> awaitable<void> {
    for (int i = 0; i < 2; ++i) {
      const auto error = co_await thrown<sql::SqlError>(t.db->query("SELECT 1"));
      REQUIRE(error);
      CHECK(std::string(error->what()) == "no space");
    }
    co_await t.db->query("SELECT 2");
  };
  t.run(body);
  CHECK(t.asked() == Log{"connect", "begin", "script S", "reset", "begin", "script S", "reset", "begin", "script S", "commit", "SELECT 2"});
}

TEST_CASE("statements that come while the script runs wait for it and hold no connection meanwhile") {
  DatabaseTest t(sql::Dialect::sqlite);
  t.db->on_first_use("", "S");
  t.server->hold = std::make_shared<asio::steady_timer>(t.loop, TimePoint::max());
  int done = 0;
  for (int i = 0; i < 5; ++i) asio::co_spawn(t.loop, t.db->query("SELECT 1"), [&](std::exception_ptr e, sql::Rows) { done += e ? 100 : 1; });
  t.loop.poll();
  CHECK(done == 0);
  CHECK(t.pool->numbers().leased == 1);
  CHECK(t.asked() == Log{"connect", "begin"});
  auto body = [&]() -> awaitable<void> {
    const auto late = co_await thrown<TimedOut>(t.db->query(within(20ms), "SELECT 2"));
    REQUIRE(late);
    CHECK(std::string(late->what()).find("first-use script") != std::string::npos);
    t.server->hold->cancel();
    co_return;
  };
  t.run(body);
  while (done < 5 && t.loop.run_one_for(10s) > 0) {
  }
  CHECK(done == 5);
  CHECK(t.stats.statement_errors.get() == 1);
}

TEST_CASE("the waiters of a failed script run it themselves, one after the other") {
  DatabaseTest t(sql::Dialect::sqlite);
  t.db->on_first_use("", "S");
  t.server->hold = std::make_shared<asio::steady_timer>(t.loop, TimePoint::max());
  int scripts = 0, failed = 0, succeeded = 0;
  t.server->on = [&](const std::string& what) {
    if (what == "script S" && ++scripts == 1) throw sql_error(sql::Phase::execute, "no space");
  };
  for (int i = 0; i < 3; ++i) asio::co_spawn(t.loop, t.db->query("SELECT 1"), [&](std::exception_ptr e, sql::Rows) { ++(e ? failed : succeeded); });
  t.loop.poll();
  t.server->hold->cancel();
  t.server->hold.reset();
  while (failed + succeeded < 3 && t.loop.run_one_for(10s) > 0) {
  }
  CHECK(failed == 1);
  CHECK(succeeded == 2);
  CHECK(scripts == 2);
}

TEST_CASE("a pool that does not speak SQL is refused by name") {
  struct Plain final : pool::Connector {
    awaitable<std::unique_ptr<pool::Connection>> connect(Deadline) override { throw pool::ConnectFailed("never asked", true); }
    awaitable<void> ping(pool::Connection&, Deadline) override { co_return; }
    awaitable<void> reset(pool::Connection&, Deadline) override { co_return; }
    awaitable<pool::CloseResult> close(std::unique_ptr<pool::Connection>, Deadline) noexcept override { co_return pool::CloseResult::confirmed; }
  };
  asio::io_context loop;
  PermitRows permits(1);
  config::Pool options;
  options.name = "cache";
  pool::PoolResources resources;
  resources.share = permits.share;
  pool::Pool pool(loop, options, std::make_unique<Plain>(), resources);
  std::string refusal;
  try {
    sql::Database db(pool);
  } catch (const Error& e) {
    refusal = e.what();
  }
  CHECK(refusal.find("pool \"cache\" does not speak SQL") != std::string::npos);
}
