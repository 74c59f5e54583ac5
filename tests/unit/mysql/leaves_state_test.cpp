#include <sluice/drivers/mysql/leaves_state.hpp>

#include <doctest/doctest.h>

#include <string>

using sluice::mysql::leaves_state;

TEST_CASE("a statement's words show whether it leaves state in the session") {
  for (const char* sql : {"SET @a = 1",
                          "set session sql_mode = ''",
                          "SET autocommit=0",
                          "USE other",
                          "LOCK TABLES t READ",
                          "CREATE TEMPORARY TABLE t (a int)",
                          "create or replace temporary table t (a int)",
                          "SELECT GET_LOCK('a', 1)",
                          "SELECT @a := 1",
                          "SELECT 1 INTO @a",
                          "PREPARE s FROM 'x'",
                          "CALL p()",
                          "/* x */ SET NAMES latin1",
                          "# x\nUSE other",
                          "/*!40101 SET NAMES latin1 */",
                          "SELECT 1; SET @a = 1",
                          "FLUSH TABLES WITH READ LOCK",
                          "HANDLER t OPEN",
                          "XA START 'x'",
                          "SET TRANSACTION READ ONLY",
                          "SET GLOBAL x = 1",
                          "SET GLOBAL x = 1, @a = 2",
                          "EXECUTE s",
                          "GET DIAGNOSTICS @a = NUMBER"}) {
    const std::string shown = sql;
    CAPTURE(shown);
    CHECK(leaves_state(sql));
  }
  for (const char* sql :
       {"SELECT 1", "INSERT INTO settings VALUES (1)", "UPDATE t SET a = 1", "SET STATEMENT max_statement_time=1 FOR SELECT 1",
        "CREATE TABLE t (a int, temporary int)", "", "SELECT 'USE x'", "SELECT @@sql_mode", "(SELECT 1)", "REPLACE INTO t VALUES ('@a')",
        "WITH x AS (SELECT 1) SELECT * FROM x", "SHOW TABLES", "DELETE FROM t", "BEGIN", "COMMIT", "SELECT a FROM t FOR UPDATE"}) {
    const std::string shown = sql;
    CAPTURE(shown);
    CHECK_FALSE(leaves_state(sql));
  }
}

TEST_CASE("blanks, comments and quotes hide no state; what is not understood counts as state") {
  for (const char* sql : {"SELECT GET_LOCK ('a', 1)",
                          "SELECT get_lock/**/('a', 1)",
                          "DO `GET_LOCK`('a', 1)",
                          "SELECT 1 INTO\n@a",
                          "SELECT 1 INTO/**/@a",
                          "SELECT 'it\\'s', @a:=1",
                          "SELECT 'it''s', @a:=1",
                          "SELECT \"'\", @a:=1",
                          "SELECT `'`, @a:=1 -- '",
                          "SELECT 1 -- '\n, @a:=1",
                          "SELECT 1 # '\n, @a:=1",
                          "SELECT 1--'x', @a:=1 -- '",
                          "SELECT /*!50000 GET_LOCK */ ('a', 1)",
                          "/*M!100000 USE */ x",
                          "SET STATEMENT max_statement_time=1 FOR CREATE TEMPORARY TABLE t (a int)",
                          "BEGIN NOT ATOMIC SET sql_mode=''; END",
                          "IF 1 THEN SET sql_mode=''; END IF",
                          "SELECT 'unended",
                          "SELECT /* unended",
                          "SELECT 1; # x\n USE y"}) {
    const std::string shown = sql;
    CAPTURE(shown);
    CHECK(leaves_state(sql));
  }
  for (const char* sql : {"SELECT 'GET_LOCK(1)'", "SELECT \"SET @a = 1\"", "SELECT 1 /* @a := 1 */", "SELECT 'a\\'@b'", "SELECT `@a` FROM t",
                          "SELECT 1 -- @a", "INSERT INTO t VALUES ('a@b.c')"}) {
    const std::string shown = sql;
    CAPTURE(shown);
    CHECK_FALSE(leaves_state(sql));
  }
}
