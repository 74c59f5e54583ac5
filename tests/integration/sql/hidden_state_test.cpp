// Session state that a statement's first words do not show: comments, blanks, quotes and functions before and around it.
#include <support/meanwhile.hpp>
#include <support/process.hpp>

#include "mysql_fixture.hpp"
#include "traces.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

// Reads a stream to its end.
awaitable<void> drain(sql::Database& db, std::string_view sql) {
  sql::Stream rows = co_await db.stream(sql);
  while (co_await rows.next()) {
  }
}

}  // namespace

TEST_CASE("PostgreSQL: no blank, comment, quote or wrapping hides what a statement leaves in its session") {
  if (!PostgresServer::require()) return;
  RealDatabase t(server().url(), 1);
  const char* memory = "SELECT current_setting('work_mem')";
  const char* advisory = "SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()";
  const char* temporary = "SELECT count(*)::int FROM pg_class WHERE relnamespace = pg_my_temp_schema() AND pg_my_temp_schema() <> 0";
  check_nothing_leaks(t,
                      {{"a blank before the parenthesis", {"SELECT set_config ('work_mem', '1234kB', false)"}, memory},
                       {"a comment before the parenthesis", {"SELECT set_config/* ' */('work_mem', '1234kB', false)"}, memory},
                       {"a quoted function", {"SELECT pg_catalog.\"set_config\"('work_mem', '1234kB', false)"}, memory},
                       {"a function behind text with a quote", {"SELECT 'it''s', set_config('work_mem', '1234kB', false)"}, memory},
                       {"a function behind an escape string", {"SELECT E'\\'', set_config('work_mem', '1234kB', false), '--'"}, memory},
                       {"a quoted name in escapes", {"SELECT U&\"set\\005fconfig\"('work_mem', '1234kB', false)"}, memory},
                       {"a comment that ends with a carriage return", {"-- why\rSET work_mem = '1234kB'"}, memory},
                       {"a nested comment", {"/* a /* b */ c */ SET work_mem = '1234kB'"}, memory},
                       {"UPDATE pg_settings", {"UPDATE pg_settings SET setting = '1234' WHERE name = 'work_mem'"}, memory},
                       {"a query in a text", {"SELECT query_to_xml('SELECT set_config(''work_mem'', ''1234kB'', false)', true, true, '')"}, memory},
                       {"INTO with two blanks", {"SELECT 1 AS i INTO  TEMP mine"}, temporary},
                       {"INTO on another line", {"SELECT 1 AS i INTO\n\tLOCAL TEMPORARY TABLE mine"}, temporary},
                       {"INTO pg_temp", {"SELECT 1 AS i INTO pg_temp.mine"}, temporary},
                       {"INTO \"pg_temp\"", {"SELECT 1 AS i INTO \"pg_temp\".mine"}, temporary},
                       {"EXPLAIN ANALYZE", {"EXPLAIN (ANALYZE, COSTS off) CREATE TEMP TABLE mine AS SELECT 1 AS i"}, temporary},
                       {"a lock with a blank", {"SELECT pg_advisory_lock (42)"}, advisory},
                       {"a lock with a quoted name", {"SELECT \"pg_advisory_lock\"(42)"}, advisory}});
  auto body = [&]() -> awaitable<void> {
    const sql::Rows seeded = co_await t.db->query("SELECT setseed(0.5)::text, random()");
    co_await t.db->query("SELECT setseed (0.5)");
    const sql::Rows next = co_await t.db->query("SELECT random()");
    CHECK(next[0][0].value() != seeded[0][1].value());
    co_await drain(*t.db, "SELECT set_config ('work_mem', '1234kB', false)");
    const sql::Rows streamed = co_await t.db->query("SELECT current_setting('work_mem') <> '1234kB'");
    CHECK(streamed[0][0].as<bool>());
    // A lock outlives the statement that took it, also when that ends in an error.
    const auto late = co_await error_from<TimedOut>(t.db->query(within(scaled(300ms)), "SELECT pg_advisory_lock(42), pg_sleep(60)"));
    CHECK(late);
    const sql::Rows locks = co_await t.db->query(advisory);
    CHECK(locks[0][0].as<int>() == 0);
  };
  t.run(body);
  CHECK(t.stats.connects.get() == 1);
}

TEST_CASE("MariaDB: no blank, comment or quote hides what a statement leaves in its session, nor is the next transaction another's") {
  if (!MariaDbServer::require()) return;
  mariadb().query("CREATE OR REPLACE TABLE traces (n INT) ENGINE=InnoDB");
  RealDatabase t(mariadb().url(), 1);
  check_nothing_leaks(t, {{"a lock with a blank", {"SELECT GET_LOCK ('mine', 1)"}, "SELECT IS_USED_LOCK('mine')"},
                          {"a lock with a comment", {"SELECT GET_LOCK/* ' */('mine', 1)"}, "SELECT IS_USED_LOCK('mine')"},
                          {"a lock with a quoted name", {"DO `get_lock`('mine', 1)"}, "SELECT IS_USED_LOCK('mine')"},
                          {"INTO on another line", {"SELECT 1 INTO\n@mine"}, "SELECT @mine"},
                          {"an assignment behind text", {"SELECT 'it\\'s', @mine:=1, '--'"}, "SELECT @mine"},
                          {"a compound statement", {"BEGIN NOT ATOMIC SET @mine = 1; END"}, "SELECT @mine"},
                          {"EXECUTE IMMEDIATE", {"EXECUTE IMMEDIATE 'SET @mine = 1'"}, "SELECT @mine"},
                          {"a comment that is run", {"/*!50000 SET */ @mine = 1"}, "SELECT @mine"},
                          {"a comment", {"/* a */ -- b\n SET @mine = 1"}, "SELECT @mine"}});
  auto body = [&]() -> awaitable<void> {
    co_await t.db->query("SET TRANSACTION READ ONLY");
    const std::uint64_t written = co_await t.db->execute("INSERT INTO traces VALUES (1)");
    CHECK(written == 1);
    // A begin that fails half-way has told the session its isolation already.
    sql::TransactionOptions serializable;
    serializable.isolation = sql::Isolation::serializable;
    {
      const Meanwhile read_only(mariadb(), "SET GLOBAL read_only = ON", "SET GLOBAL read_only = OFF");
      const auto refused = co_await error_from<sql::SqlError>(t.db->begin(serializable));
      CHECK(refused);
    }
    sql::Transaction tx = co_await t.db->begin();
    co_await tx.query("SELECT n FROM traces");
    const auto levels = mariadb().query("SELECT trx_isolation_level FROM information_schema.innodb_trx");
    REQUIRE(levels.size() == 1);
    CHECK(levels[0][0] == "READ COMMITTED");
    co_await tx.commit();
  };
  t.run(body);
  CHECK(t.stats.connects.get() == 1);
}

TEST_CASE("MariaDB: plain statements leave a connection clean: nothing is reset and statements stay prepared") {
  if (!MariaDbServer::require()) return;
  mariadb().query("CREATE OR REPLACE TABLE traces (n INT, temporary TEXT) ENGINE=InnoDB");
  RealDatabase t(mariadb().url(), 1);
  const std::uint64_t prepares = mariadb().status("Com_stmt_prepare");
  auto body = [&]() -> awaitable<void> {
    for (int i = 0; i < 5; ++i) {
      co_await t.db->execute("INSERT INTO traces (n, temporary) VALUES ($1, 'SET @a = 1; it''s')", i);
      co_await t.db->execute("UPDATE traces SET n = n + 1 WHERE n = $1 -- SET", i);
      co_await t.db->query("SELECT n, @@sql_mode FROM traces WHERE temporary = $1", "USE");
      co_await t.db->execute("DELETE FROM traces");
      co_await drain(*t.db, "SELECT 1 UNION SELECT 2");
    }
  };
  t.run(body);
  CHECK(mariadb().status("Com_stmt_prepare") == prepares + 5);
}

TEST_CASE("SQLite: no comment, name or way to run it hides what a statement leaves in its connection") {
  const TemporaryDirectory directory;
  RealDatabase t("sqlite:" + directory.path() + "/test.db", 1);
  const char* temporary = "SELECT count(*) FROM sqlite_temp_master";
  check_nothing_leaks(t, {{"a comment before PRAGMA", {"/* x */ PRAGMA foreign_keys=OFF"}, "PRAGMA foreign_keys"},
                          {"a comment before CREATE TEMP", {"-- x\nCREATE TEMP TABLE mine (i int)"}, temporary},
                          {"a table in temp", {"CREATE TABLE temp.mine (i int)"}, temporary},
                          {"a quoted schema", {"CREATE TABLE \"temp\" . mine AS SELECT 1"}, temporary},
                          {"a temporary view", {"CREATE TEMP/**/VIEW mine AS SELECT 1"}, temporary},
                          {"a setting that no reset knows", {"PRAGMA cache_size=17"}, "PRAGMA cache_size"},
                          {"a schema's setting", {"PRAGMA main.secure_delete=ON"}, "PRAGMA secure_delete"},
                          {"LIKE", {"PRAGMA case_sensitive_like=ON"}, "SELECT 'a' LIKE 'A'"},
                          {"recursive triggers", {"PRAGMA recursive_triggers(ON)"}, "PRAGMA recursive_triggers"}});
  auto body = [&]() -> awaitable<void> {
    co_await drain(*t.db, "PRAGMA foreign_keys=OFF");
    const sql::Rows keys = co_await t.db->query("PRAGMA foreign_keys");
    CHECK(keys[0][0].as<int>() == 1);
    // It is in force when it has been compiled, though it was not run.
    const auto two = co_await error_from<sql::SqlError>(t.db->query("PRAGMA foreign_keys=OFF; SELECT 1"));
    CHECK(two);
    const sql::Rows still = co_await t.db->query("PRAGMA foreign_keys");
    CHECK(still[0][0].as<int>() == 1);
  };
  t.run(body);
}

TEST_CASE("SQLite: plain statements and pragmas that only ask leave a connection clean") {
  const TemporaryDirectory directory;
  RealDatabase t("sqlite:" + directory.path() + "/test.db", 1);
  auto body = [&]() -> awaitable<void> {
    co_await t.db->execute("CREATE TABLE t (n INTEGER, temp TEXT)");
    pool::Lease lease = co_await t.pool->acquire();
    auto& session = static_cast<sql::Session&>(lease.connection());
    for (const char* sql :
         {"INSERT INTO t VALUES (1, 'PRAGMA')", "UPDATE t SET temp = 'x'", "SELECT temp FROM t", "DELETE FROM t", "PRAGMA table_info(t)",
          "PRAGMA foreign_keys", "PRAGMA user_version=7", "SELECT name FROM pragma_table_info('t')", "VACUUM", "CREATE TABLE u (i int)"}) {
      const std::string shown = sql;
      CAPTURE(shown);
      co_await session.run(sql::make_statement(sql), Deadline::after(scaled(20s)));
      CHECK_FALSE(session.dirty);
    }
  };
  t.run(body);
}
