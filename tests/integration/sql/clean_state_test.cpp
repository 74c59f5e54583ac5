#include <support/meanwhile.hpp>

#include "databases.hpp"
#include "traces.hpp"

using namespace sluice;
using namespace sluice::test;

TEST_CASE("PostgreSQL: no session state reaches the next user of a connection") {
  if (!PostgresServer::require()) return;
  const Meanwhile granted(server(), "GRANT pg_monitor TO app", "REVOKE pg_monitor FROM app");
  RealDatabase t(server().url(), 1);
  const char* advisory = "SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()";
  const char* prepared = "SELECT count(*)::int FROM pg_prepared_statements WHERE name NOT LIKE 'sluice%'";
  const char* temporary = "SELECT count(*)::int FROM pg_class WHERE relnamespace = pg_my_temp_schema() AND pg_my_temp_schema() <> 0";
  check_nothing_leaks(t,
                      {{"SET", {"SET work_mem = '1234kB'"}, "SELECT current_setting('work_mem')"},
                       {"SET in a comment's shadow", {"/* hello */ -- there\n SET work_mem = '1234kB'"}, "SELECT current_setting('work_mem')"},
                       {"set_config", {"SELECT set_config('work_mem', '1234kB', false)"}, "SELECT current_setting('work_mem')"},
                       {"SET TIME ZONE", {"SET TIME ZONE 'Asia/Kolkata'"}, "SELECT current_setting('TimeZone')"},
                       {"temporary table", {"CREATE TEMP TABLE mine (i int)"}, temporary},
                       {"temporary view", {"CREATE OR REPLACE TEMP VIEW mine AS SELECT 1 AS i"}, temporary},
                       {"SELECT INTO TEMP", {"SELECT 1 AS i INTO TEMP mine"}, temporary},
                       {"table in pg_temp", {"CREATE TABLE pg_temp.mine (i int)"}, temporary},
                       {"advisory lock", {"SELECT pg_advisory_lock(42)"}, advisory},
                       {"shared advisory lock", {"SELECT pg_try_advisory_lock_shared(42)"}, advisory},
                       {"PREPARE", {"PREPARE mine AS SELECT 1"}, prepared},
                       {"LISTEN", {"LISTEN mine"}, "SELECT count(*)::int FROM pg_listening_channels()"},
                       {"a DO block", {"DO $$ BEGIN PERFORM set_config('work_mem', '1234kB', false); END $$"}, "SELECT current_setting('work_mem')"},
                       {"SET SESSION CHARACTERISTICS",
                        {"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"},
                        "SELECT current_setting('default_transaction_read_only')"},
                       {"SET ROLE", {"SET ROLE pg_monitor"}, "SELECT current_user::text"}});
  auto cursors = [&]() -> awaitable<void> {
    sql::Transaction tx = co_await t.db->begin();
    co_await tx.query("DECLARE held CURSOR WITH HOLD FOR SELECT generate_series(1, 10)");
    co_await tx.query("DECLARE plain CURSOR FOR SELECT 1");
    co_await tx.commit();
    const sql::Rows open = co_await t.db->query("SELECT count(*)::int FROM pg_cursors WHERE name IN ('held', 'plain')");
    CHECK(open[0][0].as<int>() == 0);
    // A transaction that nobody ended, and one smuggled in.
    {
      sql::Transaction abandoned = co_await t.db->begin();
      co_await abandoned.query("SELECT 1");
    }
    const auto smuggled = co_await error_from<sql::SqlError>(t.db->query("BEGIN"));
    REQUIRE(smuggled);
    CHECK(smuggled->sqlstate() == "25001");
    co_await t.db->query("SELECT 1");
    const std::vector<PostgresSession> sessions = server().sessions("shop@test");
    REQUIRE(sessions.size() == 1);
    CHECK(sessions[0].state == "idle");
  };
  t.run(cursors);
  CHECK(t.stats.connects.get() == 2);  // the smuggled one is not used again
}

TEST_CASE("PostgreSQL: plain statements leave a connection clean: nothing is reset and statements stay prepared") {
  if (!PostgresServer::require()) return;
  RealDatabase t(server().url(), 1);
  auto body = [&]() -> awaitable<void> {
    for (int i = 0; i < 3; ++i) {
      co_await t.db->query("SELECT $1::int", i);
      sql::Transaction tx = co_await t.db->begin();
      co_await tx.query("SELECT $1::int", i);
      co_await tx.query("SET LOCAL work_mem = '1234kB'");
      co_await tx.commit();
    }
    const sql::Rows rows = co_await t.db->query("SELECT count(*)::int FROM pg_prepared_statements WHERE statement = 'SELECT $1::int'");
    CHECK(rows[0][0].as<int>() == 1);
    const sql::Rows memory = co_await t.db->query("SELECT current_setting('work_mem') <> '1234kB'");
    CHECK(memory[0][0].as<bool>());
  };
  t.run(body);
}

TEST_CASE("SQLite: no session state reaches the next user of a connection") {
  const TemporaryDirectory directory;
  RealDatabase t("sqlite:" + directory.path() + "/test.db", 1);
  check_nothing_leaks(
      t, {{"PRAGMA", {"PRAGMA foreign_keys=OFF"}, "PRAGMA foreign_keys"}, {"PRAGMA query_only", {"PRAGMA query_only=ON"}, "PRAGMA query_only"}});
  auto body = [&]() -> awaitable<void> {
    co_await t.db->query("CREATE TEMP TABLE mine (i int)");
    const sql::Rows temporary = co_await t.db->query("SELECT count(*) FROM sqlite_temp_master");
    CHECK(temporary[0][0].as<int>() == 0);
    co_await t.db->query("ATTACH DATABASE $1 AS other", directory.path() + "/other.db");
    const sql::Rows attached = co_await t.db->query("SELECT count(*) FROM pragma_database_list WHERE name = 'other'");
    CHECK(attached[0][0].as<int>() == 0);
    {
      sql::Transaction abandoned = co_await t.db->begin();
      co_await abandoned.query("CREATE TABLE never (i int)");
    }
    const auto smuggled = co_await error_from<sql::SqlError>(t.db->query("BEGIN"));
    CHECK(smuggled);
    const sql::Rows tables = co_await t.db->query("SELECT count(*) FROM sqlite_master");
    CHECK(tables[0][0].as<int>() == 0);
    {
      sql::Stream rows = co_await t.db->stream("WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s) SELECT n FROM s");
      co_await rows.next();
    }
    const sql::Rows one = co_await t.db->query("SELECT 1");
    CHECK(one[0][0].as<int>() == 1);
  };
  t.run(body);
}
