#include <sluice/drivers/postgres/traces.hpp>

#include <doctest/doctest.h>

#include <string>

using sluice::postgres::traces_of;

TEST_CASE("Statements that change the session are known by their words") {
  for (const char* sql : {"SET search_path = x",
                          "  -- why\n set session x = 1",
                          "/* a */ LISTEN news",
                          "CREATE TEMP TABLE t (i int)",
                          "create local temporary table t(i int)",
                          "CREATE OR REPLACE TEMP RECURSIVE VIEW v (n) AS SELECT 1",
                          "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
                          "SELECT pg_advisory_lock(1)",
                          "SELECT pg_try_advisory_lock_shared(1)",
                          "SELECT set_config('a.b', '1', false)",
                          "SELECT setseed(0.5)",
                          "SELECT 1 AS i INTO TEMP t",
                          "CREATE TABLE a(i int); SET x.y = 1",
                          "PREPARE p AS SELECT 1",
                          "SET ROLE x",
                          "SET SESSION AUTHORIZATION x",
                          "RESET ALL",
                          "LOAD 'x'",
                          "DO $$ BEGIN END $$",
                          "CALL p()",
                          "EXECUTE p",
                          "SELECT dblink_connect('x')",
                          "UPDATE pg_settings SET setting = 1",
                          "what is this"}) {
    const std::string shown = sql;
    CAPTURE(shown);
    CHECK(traces_of(sql).state);
  }
  for (const char* sql : {"SELECT 1",
                          "UPDATE t SET a = 1",
                          "SET LOCAL x.y = 1",
                          "SET TRANSACTION READ ONLY",
                          "SET CONSTRAINTS ALL DEFERRED",
                          "INSERT INTO settings VALUES ($1)",
                          "INSERT INTO temp VALUES (1)",
                          "MERGE INTO temp USING u ON true WHEN MATCHED THEN DO NOTHING",
                          "SELECT temp FROM temperature",
                          "CREATE TABLE temperature (i int, temp int)",
                          "",
                          "SELECT pg_advisory_xact_lock(1)",
                          "SELECT pg_try_advisory_xact_lock_shared(1)",
                          "((SELECT 1))",
                          "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x",
                          "SELECT 1; SELECT 2;",
                          "SELECT * FROM pg_settings",
                          "EXPLAIN ANALYZE SELECT 1",
                          "BEGIN; SELECT 1; COMMIT",
                          "VACUUM t",
                          "TABLE t",
                          "VALUES (1)",
                          "SELECT mine(1)"}) {
    const std::string shown = sql;
    CAPTURE(shown);
    CHECK_FALSE(traces_of(sql).state);
  }
  CHECK(traces_of("DISCARD ALL").statements);
  CHECK(traces_of("/* x */ deallocate all").statements);
  CHECK_FALSE(traces_of("DELETE FROM t").statements);
}

TEST_CASE("Blanks, comments and quotes hide no trace; what is not understood counts as one") {
  for (const char* sql : {"SELECT set_config ('a.b', '1', false)",
                          "SELECT set_config/**/('a.b', '1', false)",
                          "SELECT \"set_config\"('a.b', '1', false)",
                          "SELECT 1 INTO  TEMP t",
                          "SELECT 1 INTO\nLOCAL\tTEMPORARY t",
                          "SELECT 1 INTO pg_temp.t",
                          "SELECT 1 INTO \"pg_temp\".t",
                          "CREATE VIEW pg_temp_3.v AS SELECT 1",
                          "EXPLAIN ANALYZE CREATE TEMP TABLE t AS SELECT 1",
                          "EXPLAIN (ANALYZE) EXECUTE p",
                          "-- x\rSET a.b = 1",
                          "/* a /* b */ SELECT */ SET a.b = 1",
                          "SELECT 'it''s', set_config('a.b', '1', false)",
                          "SELECT E'\\'', set_config('a.b', '1', false) -- '",
                          "SELECT e'\\\\', set_config('a.b', '1', false) --'",
                          "SELECT $$'$$, set_config('a.b', '1', false) -- '",
                          "SELECT $a$ $b$ ' $a$, set_config('a.b', '1', false) -- '",
                          "SELECT \"'\", set_config('a.b', '1', false) -- '",
                          "SELECT U&\"\\0073etseed\"(1)",
                          "SELECT 1INTO TEMP t",
                          "SELECT $1INTO TEMP t",
                          "SELECT 'a\\'', setseed(1) -- '",
                          "SELECT 'unended",
                          "SELECT $$unended",
                          "SELECT /* unended",
                          "SELECT \"unended",
                          "SELECT query_to_xml('SELECT 1', true, true, '')",
                          "SELECT 1; /**/ LISTEN x"}) {
    const std::string shown = sql;
    CAPTURE(shown);
    CHECK(traces_of(sql).state);
  }
  for (const char* sql :
       {"SELECT 'set_config(1)'", "SELECT $$SET x = 1$$", "SELECT $a$; SET x = 1$a$", "SELECT 1 -- ; SET x = 1", "SELECT E'\\'; SET x = 1'",
        "SELECT /* /* ; */ SET */ 1", "SELECT 'a\\b%' LIKE $1", "SELECT $1::text || $2", "SELECT a$b$c FROM t", "SELECT 1.5e-3, .5, 0x1F"}) {
    const std::string shown = sql;
    CAPTURE(shown);
    CHECK_FALSE(traces_of(sql).state);
  }
}
