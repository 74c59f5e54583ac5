#include "stub_session.hpp"

using namespace sluice;
using namespace sluice::test;
using Log = std::vector<std::string>;

TEST_CASE("a committed transaction gives its connection back clean and ends") {
  DatabaseTest t;
  auto body = [&]() -> awaitable<void> {
    sql::Transaction tx = co_await t.db->begin();
    CHECK(t.pool->numbers().leased == 1);
    const std::uint64_t changed = co_await tx.execute("INSERT", 1, 2, 3);
    CHECK(changed == 3);
    CHECK(tx.open());
    co_await tx.commit();
    CHECK(!tx.open());
    CHECK(t.pool->numbers().idle == 1);
    const auto over = co_await thrown<Error>(tx.query("SELECT 1"));
    CHECK(over);
    const auto twice = co_await thrown<Error>(tx.commit());
    CHECK(twice);
  };
  t.run(body);
  CHECK(t.asked() == Log{"connect", "begin", "INSERT", "commit"});
  CHECK(t.stats.statements.get() == 1);
}

TEST_CASE("a transaction that is forgotten, thrown over or overwritten is rolled back by reset before anybody else gets its connection") {
  DatabaseTest t(sql::Dialect::postgres, {}, 1);
  auto body = [&]() -> awaitable<void> {
    { sql::Transaction forgotten = co_await t.db->begin(); }
    co_await t.db->query("SELECT 1");
    sql::TransactionOptions reading;
    reading.read_only = true;
    sql::Transaction moved = co_await t.db->begin(reading);
    {
      sql::Transaction owner = std::move(moved);
      CHECK(!moved.open());
    }
    co_await t.db->query("SELECT 2");
  };
  t.run(body);
  CHECK(t.asked() == Log{"connect", "begin", "reset", "SELECT 1", "begin read only", "reset", "SELECT 2"});
}

TEST_CASE("assigning over an open transaction rolls that one back") {
  DatabaseTest t(sql::Dialect::postgres, {}, 2);
  auto body = [&]() -> awaitable<void> {
    sql::Transaction a = co_await t.db->begin();
    sql::Transaction b = co_await t.db->begin();
    a = std::move(b);
    CHECK(a.open());
    co_await a.commit();
  };
  t.run(body);
  const Log log = t.asked();
  CHECK(std::count(log.begin(), log.end(), "reset") == 1);
  CHECK(std::count(log.begin(), log.end(), "commit") == 1);
}

TEST_CASE("a refused commit is reported as the driver says; the connection is rolled back and given back") {
  DatabaseTest t;
  t.server->on = [](const std::string& what) {
    if (what == "commit") throw sql_error(sql::Phase::commit, "rolled back instead");
  };
  auto body = [&]() -> awaitable<void> {
    sql::Transaction tx = co_await t.db->begin();
    const auto error = co_await thrown<sql::SqlError>(tx.commit());
    REQUIRE(error);
    CHECK(std::string(error->what()) == "rolled back instead");
    CHECK(!tx.open());
  };
  t.run(body);
  CHECK(t.asked() == Log{"connect", "begin", "commit", "reset"});
}

TEST_CASE("a commit without an answer is an unknown outcome, whatever the cause") {
  DatabaseTest t;
  bool timeout = true;
  t.server->on = [&](const std::string& what) {
    if (what != "commit") return;
    if (timeout) throw TimedOut("too late");
    throw sql_error(sql::Phase::lost, "gone");
  };
  auto body = [&]() -> awaitable<void> {
    for (const char* cause : {"too late", "gone"}) {
      sql::Transaction tx = co_await t.db->begin();
      const auto error = co_await thrown<sql::SqlError>(tx.commit());
      REQUIRE(error);
      CHECK(error->phase() == sql::Phase::commit);
      CHECK(std::string(error->what()) == std::string("the outcome of COMMIT is unknown: ") + cause);
      timeout = false;
    }
  };
  t.run(body);
}

TEST_CASE("rollback does not fail: a connection that cannot is closed") {
  DatabaseTest t;
  auto body = [&]() -> awaitable<void> {
    sql::Transaction tx = co_await t.db->begin();
    co_await tx.rollback();
    CHECK(t.asked() == Log{"connect", "begin", "rollback"});
    t.server->on = [](const std::string& what) {
      if (what == "rollback") throw sql_error(sql::Phase::lost, "gone");
    };
    sql::Transaction second = co_await t.db->begin();
    co_await second.rollback();
    CHECK(!second.open());
  };
  t.run(body);
  CHECK(t.asked() == Log{"begin", "rollback", "close"});
}

TEST_CASE("a begin that fails leaves no connection in use") {
  DatabaseTest t;
  t.server->on = [](const std::string& what) {
    if (what == "begin") throw sql_error(sql::Phase::execute, "not now");
  };
  auto body = [&]() -> awaitable<void> {
    const auto error = co_await thrown<sql::SqlError>(t.db->begin());
    CHECK(error);
    CHECK(t.pool->numbers().leased == 0);
  };
  t.run(body);
}

TEST_CASE("transaction(fn) begins anew where BEGIN was lost or came too late, and does not repeat what the function may have done") {
  DatabaseTest t;
  int begins = 0, runs = 0;
  t.server->on = [&](const std::string& what) {
    if (what == "begin" && ++begins == 1) throw sql_error(sql::Phase::lost, "gone");
    if (what == "begin" && begins == 2) throw TimedOut("too late");
    if (what == "INSERT" && runs == 2) throw sql_error(sql::Phase::lost, "gone");
  };
  auto body = [&]() -> awaitable<void> {
    auto insert = [&](sql::Transaction& tx) -> awaitable<void> {
      ++runs;
      co_await tx.execute("INSERT");
    };
    const sql::TransactionOptions options;
    pool::RetryPolicy policy = sql::retry_policy();
    policy.backoff_min = 1ms;
    co_await t.db->transaction(options, policy, insert);
    CHECK(begins == 3);
    CHECK(runs == 1);
    const auto lost = co_await thrown<sql::SqlError>(t.db->transaction(options, policy, insert));
    CHECK(lost);
    CHECK(begins == 4);
    CHECK(runs == 2);
  };
  t.run(body);
}
