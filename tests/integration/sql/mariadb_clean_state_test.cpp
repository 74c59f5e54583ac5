// What a user of a connection leaves in its session on MariaDB is gone when the next one asks.
#include "databases.hpp"
#include "traces.hpp"

using namespace sluice;
using namespace sluice::test;

TEST_CASE("MariaDB: no session state reaches the next user of a connection") {
  if (!MariaDbServer::require()) return;
  for (const char* statement : {"CREATE OR REPLACE TABLE mine (n INT) ENGINE=InnoDB", "INSERT INTO mine VALUES (0)", "CREATE OR REPLACE TABLE elsewhere (n INT)",
                                "CREATE OR REPLACE PROCEDURE leave_it() SET @left = 1"})
    mariadb().query(statement);
  RealDatabase t(mariadb().url(), 1);
  const char* lock = "SELECT IS_USED_LOCK('mine') IS NULL";
  const char* row = "SELECT n FROM mine";
  check_nothing_leaks(t, {{"SET", {"SET SESSION sort_buffer_size = 123456"}, "SELECT @@sort_buffer_size"},
                          {"SET without SESSION", {"SET foreign_key_checks = 0"}, "SELECT @@foreign_key_checks"},
                          {"SET @@", {"SET @@session.sql_mode = ''"}, "SELECT @@sql_mode"},
                          {"SET in a comment's shadow", {"/* hello */ -- there\n SET sort_buffer_size = 123456"}, "SELECT @@sort_buffer_size"},
                          {"SET in an executable comment", {"/*!50003 SET sort_buffer_size = 123456 */"}, "SELECT @@sort_buffer_size"},
                          {"SET NAMES", {"SET NAMES latin1"}, "SELECT @@character_set_client"},
                          {"SET time_zone", {"SET time_zone = '+05:30'"}, "SELECT @@time_zone"},
                          {"SET autocommit", {"SET autocommit = 0"}, "SELECT @@autocommit"},
                          {"SET of a limit", {"SET max_statement_time = 1234"}, "SELECT @@max_statement_time"},
                          {"SET of an isolation", {"SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE"}, "SELECT @@tx_isolation"},
                          {"a variable", {"SET @left = 1"}, "SELECT @left"},
                          {"a variable in passing", {"SELECT @left := 1"}, "SELECT @left"},
                          {"SELECT INTO a variable", {"SELECT 1 INTO @left"}, "SELECT @left"},
                          {"CALL", {"CALL leave_it()"}, "SELECT @left"},
                          {"temporary table", {"CREATE TEMPORARY TABLE mine SELECT 1 AS n"}, row},
                          {"OR REPLACE TEMPORARY", {"CREATE OR REPLACE TEMPORARY TABLE mine SELECT 1 AS n"}, row},
                          {"GET_LOCK", {"SELECT GET_LOCK('mine', 1)"}, lock},
                          {"GET_LOCK in DO", {"DO get_lock('mine', 1)"}, lock},
                          {"LOCK TABLES", {"LOCK TABLES elsewhere WRITE"}, row},
                          {"USE", {"USE information_schema"}, "SELECT DATABASE()"}});
  auto body = [&]() -> awaitable<void> {
    // These are asked for by use.
    struct Used {
      std::string left_by, use;
    };
    const std::vector<Used> all{{"PREPARE named FROM 'SELECT 1'", "EXECUTE named"}, {"HANDLER mine OPEN", "HANDLER mine READ FIRST"}};
    for (const Used& trace : all) {
      CAPTURE(trace.left_by);
      co_await t.db->query(trace.left_by);
      const auto unknown = co_await error_from<sql::SqlError>(t.db->query(trace.use));
      CHECK(unknown);
      sql::Transaction tx = co_await t.db->begin();
      co_await tx.query(trace.left_by);
      co_await tx.query(trace.use);
      co_await tx.commit();
      const auto still_unknown = co_await error_from<sql::SqlError>(t.db->query(trace.use));
      CHECK(still_unknown);
    }
    {
      sql::Transaction abandoned = co_await t.db->begin();
      co_await abandoned.execute("INSERT INTO mine VALUES (1)");
    }
    const sql::Rows rows = co_await t.db->query("SELECT COUNT(*) FROM mine");
    CHECK(rows[0][0].as<int>() == 1);
  };
  t.run(body);
  CHECK(t.stats.connects.get() == 1);
}
