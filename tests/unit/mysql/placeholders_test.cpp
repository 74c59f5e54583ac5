#include <sluice/drivers/mysql/placeholders.hpp>
#include <sluice/sql/error.hpp>

#include <doctest/doctest.h>

using namespace sluice;
using mysql::translate;
using Order = std::vector<unsigned>;

TEST_CASE("numbers become marks, and the order says which parameter each takes") {
  const mysql::Translated t = translate("UPDATE t SET a = $2, b = $1 WHERE c = $2");
  CHECK(t.sql == "UPDATE t SET a = ?, b = ? WHERE c = ?");
  CHECK(t.order == Order{1, 0, 1});
  CHECK(t.highest == 2);
  CHECK(translate("SELECT $12").order == Order{11});
  CHECK(translate("SELECT 1").order.empty());
}

TEST_CASE("what stands in literals, names and comments stays as it is") {
  for (const char* sql : {"'$1'", "'it''s $1'", "'it\\'s $1'", "\"a \\\" $1\"", "`$1`", "# $1\n", "-- $1\n", "--\t$1", "/* $1 ? */", "a$1", "_x$2",
                          "'\\\\' '$1'", "'unfinished $1", "/* unfinished $1", "'?'", "`a?`", "-- ?"}) {
    INFO(sql);
    CHECK(translate(sql).sql == sql);
    CHECK(translate(sql).order.empty());
  }
}

TEST_CASE("what only looks like a comment or a literal is translated") {
  CHECK(translate("5--$1").sql == "5--?");  // two minus signs: a comment needs white space behind
  CHECK(translate("'a\\\\' = $1").sql == "'a\\\\' = ?");
  CHECK(translate("/*! SELECT $1 */").sql == "/*! SELECT ? */");
  CHECK(translate("/*M!100000 $1*/").sql == "/*M!100000 ?*/");
  CHECK(translate("$ 1 $").sql == "$ 1 $");
  CHECK(translate("[$1]").sql == "[?]");
}

TEST_CASE("without backslash escapes a backslash is a character") {
  CHECK(translate("'\\' = $1", false).sql == "'\\' = ?");
  CHECK(translate("'\\' = $1", true).sql == "'\\' = $1");
}

TEST_CASE("a mark of the statement's own, and numbers out of range, are refused") {
  for (const char* sql : {"SELECT ?", "SELECT $1, ?", "SELECT $0", "SELECT $65536", "SELECT $99999999999999999999"}) {
    INFO(sql);
    try {
      translate(sql);
      FAIL("it was accepted");
    } catch (const sql::SqlError& e) {
      CHECK(e.phase() == sql::Phase::encode);
      CHECK(std::string(e.what()).find(sql) != std::string::npos);
    }
  }
  CHECK(translate("SELECT $65535").highest == 65535);
}
