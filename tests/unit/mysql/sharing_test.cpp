#include <sluice/drivers/mysql/sharing.hpp>

#include <doctest/doctest.h>

#include <string>

using sluice::mysql::sharing_of;
using sluice::sql::Sharing;

TEST_CASE("Plain queries are reads") {
  for (const char* sql :
       {"SELECT 1", "select c from sbtest1 where id = $1", "(SELECT a FROM t) UNION ALL (SELECT b FROM u) ORDER BY 1 LIMIT 3",
        "VALUES (1, 2), (3, 4)", "WITH x AS (SELECT 1 AS a) SELECT a FROM x",
        "SELECT COUNT(*), MAX(a) FROM t WHERE a IN ($1, $2) AND NOT (b = 1) GROUP BY c HAVING SUM(d) > 1;",
        "SELECT * FROM t FORCE INDEX (by_a) STRAIGHT_JOIN (u, v) ON (t.a = u.a)", "SELECT CAST(a AS DECIMAL(10, 2)), IF(a > 1, 'x', NULL) FROM t",
        "SELECT ROW_NUMBER() OVER (PARTITION BY a ORDER BY b) AS n FROM t", "SELECT REPLACE(name, 'a', 'b'), 'INSERT (1)' FROM t -- FOR UPDATE",
        "SELECT /* of a trace */ `update` FROM t FOR SYSTEM_TIME AS OF '2026-01-01'", "SELECT MATCH(a) AGAINST ($1 IN BOOLEAN MODE) FROM t"}) {
    CAPTURE(sql);
    CHECK(sharing_of(sql) == Sharing::reads);
  }
}

TEST_CASE("What writes, locks, belongs to the session or is not understood travels with nobody") {
  for (const char* sql : {"",
                          ";",
                          "INSERT INTO t VALUES (1)",
                          "UPDATE t SET a = 1",
                          "DELETE FROM t",
                          "REPLACE INTO t VALUES (1)",
                          "WITH x AS (SELECT 1) DELETE FROM t",
                          "SELECT 1; SELECT 2",
                          "SELECT a FROM t FOR UPDATE",
                          "SELECT a FROM t FOR SHARE SKIP LOCKED",
                          "SELECT a FROM t LOCK IN SHARE MODE",
                          "SELECT a FROM t INTO OUTFILE '/tmp/x'",
                          "SELECT a INTO @x FROM t",
                          "SELECT @x",
                          "SELECT @@in_transaction",
                          "SELECT LAST_INSERT_ID()",
                          "SELECT FOUND_ROWS()",
                          "SELECT SQL_CALC_FOUND_ROWS a FROM t LIMIT 1",
                          "SELECT GET_LOCK('a', 1)",
                          "SELECT RELEASE_LOCK('a')",
                          "SELECT NEXT VALUE FOR s",
                          "SELECT NEXTVAL(s)",
                          "SELECT s.currval FROM DUAL",
                          "SELECT SLEEP(1)",
                          "SELECT of_my_own(1)",
                          "SELECT app.count(1)",
                          "SELECT `count`(1)",
                          "SELECT \"count\"(1)",
                          "SELECT BENCHMARK(1000, 1)",
                          "SELECT LOAD_FILE('/etc/passwd')",
                          "SELECT a FROM t PROCEDURE ANALYSE()",
                          "SELECT 1 /*! INTO @x */",
                          "SELECT 1 /*M! FOR UPDATE */",
                          "SELECT 'it\\'s'",
                          "SELECT 'open",
                          "SET STATEMENT max_statement_time = 1 FOR SELECT 1",
                          "EXPLAIN SELECT 1",
                          "SHOW TABLES",
                          "CALL p()",
                          "DO SLEEP(1)",
                          "BEGIN"}) {
    CAPTURE(sql);
    CHECK(sharing_of(sql) == Sharing::none);
  }
  CHECK(sharing_of("SELECT '" + std::string(20'000, 'x') + "'") == Sharing::none);
}
