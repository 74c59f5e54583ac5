#include <doctest/doctest.h>
#include <sluice/drivers/postgres/sharing.hpp>

#include <string>

using sluice::postgres::sharing_of;
using sluice::sql::Sharing;

TEST_CASE("Plain queries are reads") {
  for (const char* sql :
       {"SELECT 1", "select id, name FROM users WHERE id = $1;", "SELECT count(*), max(price) FROM orders WHERE created > now() - interval '1 day'",
        "WITH t AS (SELECT 1 AS a) SELECT * FROM t AS u(b) WHERE b IN (1, 2)", "VALUES (1), (2)", "TABLE users", "(SELECT 1) UNION ALL (SELECT 2)",
        "SELECT coalesce(a, 'it''s; dblink(x)') FROM t -- nextval('s')", "SELECT a::numeric(10, 2) FROM t /* INSERT */", "SELECT pg_sleep(0.1)",
        "SELECT \"update\" FROM \"into\"", "SELECT pg_catalog.lower($1)", "SELECT row_number() OVER (PARTITION BY a ORDER BY b) FROM t",
        "SELECT EXISTS (SELECT 1 FROM t WHERE x = ANY($1))"}) {
    const std::string shown = sql;
    CAPTURE(shown);
    CHECK(sharing_of(sql) == Sharing::reads);
  }
}

TEST_CASE("What may change something in its own transaction has company only in a chain") {
  for (const char* sql :
       {"INSERT INTO t VALUES ($1)", "UPDATE t SET a = 1", "DELETE FROM t", "SELECT vf(1)", "SELECT nextval('s')", "SELECT * FROM t FOR UPDATE",
        "SELECT * FROM t FOR NO KEY UPDATE", "SELECT * FROM t FOR KEY SHARE", "SELECT 1 INTO t2",
        "WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d", "SELECT mine.lower('x')", "SELECT \"Count\"(1)", "SELECT pg_notify('a', 'b')",
        "VACUUM t", "CREATE TABLE t (i int)", "DROP TABLE t", "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DO NOTHING"}) {
    const std::string shown = sql;
    CAPTURE(shown);
    CHECK(sharing_of(sql) == Sharing::chain);
  }
}

TEST_CASE("What begins or ends a transaction, changes the session, moves rows or is not understood travels with nobody") {
  for (const char* sql : {"BEGIN",
                          "START TRANSACTION",
                          "COMMIT",
                          "END",
                          "ROLLBACK",
                          "SAVEPOINT s",
                          "PREPARE p AS SELECT 1",
                          "EXECUTE p",
                          "DEALLOCATE ALL",
                          "COPY t FROM STDIN",
                          "COPY t TO STDOUT",
                          "SET work_mem = '1MB'",
                          "SET LOCAL work_mem = '1MB'",
                          "RESET ALL",
                          "LISTEN c",
                          "NOTIFY c",
                          "SELECT set_config('a.b', 'c', false)",
                          "SELECT \"set_config\"('a.b', 'c', false)",
                          "SELECT pg_catalog.set_config('a.b', 'c', false)",
                          "SELECT pg_advisory_lock(1)",
                          "SELECT pg_try_advisory_lock_shared(1)",
                          "SELECT pg_advisory_unlock_all()",
                          "SELECT currval('s')",
                          "CREATE TEMP TABLE t (i int)",
                          "CREATE TABLE pg_temp.t (i int)",
                          "SELECT 1 AS i INTO TEMP t",
                          "DO $$ BEGIN END $$",
                          "CALL p()",
                          "LOCK TABLE t",
                          "DECLARE c CURSOR FOR SELECT 1",
                          "DISCARD ALL",
                          "SELECT 1; BEGIN",
                          "SELECT 1; SELECT 2",
                          "SELECT $$x$$",
                          "SELECT $tag$x$tag$",
                          "SELECT E'\\x'",
                          "SELECT 'unended",
                          "SELECT \"unended",
                          "SELECT /* unended",
                          "SELECT /* /* nested */ */ 1",
                          "EXPLAIN ANALYZE DELETE FROM t",
                          "SHOW work_mem",
                          "",
                          ";",
                          "-- nothing",
                          "(",
                          "$1",
                          "SELECT dblink_exec('x')",
                          "SELECT lo_create(0)"}) {
    const std::string shown = sql;
    CAPTURE(shown);
    CHECK(sharing_of(sql) == Sharing::none);
  }
  CHECK(sharing_of("SELECT " + std::string(20000, '1')) == Sharing::none);
}

TEST_CASE("Comments, quotes and parentheses cannot hide what a statement does") {
  for (const char* sql : {"/**/BEGIN", "--\nCOMMIT", ";;BEGIN", "SELECT pg_advisory_lock /**/ (1)", "SELECT set_config\n(\n'a.b', 'c', false)",
                          "SELECT '' FROM t; COMMIT", "((COMMIT))"}) {
    const std::string shown = sql;
    CAPTURE(shown);
    CHECK(sharing_of(sql) == Sharing::none);
  }
  CHECK(sharing_of("SELECT vf /* ( */ (1)") == Sharing::chain);
  CHECK(sharing_of("SELECT a FROM t WHERE b = '(' AND vf(1) = ')'") == Sharing::chain);
}
