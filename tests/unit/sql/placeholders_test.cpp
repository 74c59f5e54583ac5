#include <doctest/doctest.h>
#include <sluice/sql/error.hpp>
#include <sluice/sql/placeholders.hpp>

using namespace sluice::sql;

namespace {
std::string translated(std::string_view sql) { return translate_placeholders(sql, '?').sql; }

std::string complaint(unsigned highest, std::size_t given) {
  try {
    check_parameter_count(highest, given, "SELECT 1");
  } catch (const SqlError& e) {
    CHECK(e.phase() == Phase::encode);
    return e.what();
  }
  return "";
}
}  // namespace

TEST_CASE("placeholders are translated by number, in whatever order and as often as they appear") {
  CHECK(translated("SELECT $2, $1, $2") == "SELECT ?2, ?1, ?2");
  CHECK(translated("a=$1+$10;") == "a=?1+?10;");
  CHECK(translate_placeholders("SELECT $2, $10", '?').highest == 10);
  CHECK(translate_placeholders("SELECT 1", '?').highest == 0);
}

TEST_CASE("what only looks like a placeholder stays as it is") {
  for (const char* sql : {"SELECT '$1'", "SELECT 'it''s $1'", "SELECT \"$1\" FROM t", "SELECT `$1`", "SELECT [$1]", "SELECT 1 -- $1", "SELECT /* $1 */ 2", "SELECT a$1, é$1",
                          "SELECT '$1", "SELECT /* $1", "cost $", "$name", "SELECT 1 - 2 / 3"}) {
    CAPTURE(sql);
    CHECK(translated(sql) == sql);
    CHECK(translate_placeholders(sql, '?').highest == 0);
  }
}

TEST_CASE("placeholders behind quotes and comments are seen again") {
  CHECK(translated("SELECT '$1' || $1 -- $2\n, $3") == "SELECT '$1' || ?1 -- $2\n, ?3");
  CHECK(translated("SELECT 'a''b', $1/* $2 */+$2") == "SELECT 'a''b', ?1/* $2 */+?2");
  CHECK(translated("1-$1/$2") == "1-?1/?2");
}

TEST_CASE("placeholder numbers that no backend has are refused") {
  CHECK_THROWS_AS(translated("SELECT $0"), SqlError);
  CHECK_THROWS_AS(translated("SELECT $32767"), SqlError);
  CHECK_THROWS_AS(translated("SELECT $99999999999999999999"), SqlError);
  CHECK(translated("SELECT $32766") == "SELECT ?32766");
}

TEST_CASE("a wrong number of parameters is said in numbers") {
  CHECK(complaint(2, 2) == "");
  CHECK(complaint(2, 1).starts_with("statement has $2 but 1 parameter was given"));
  CHECK(complaint(1, 2).starts_with("statement uses $1 to $1 only but 2 parameters were given"));
  CHECK(complaint(0, 1).starts_with("statement uses no parameter but 1 parameter was given"));
}
