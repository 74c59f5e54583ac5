#include <sluice/drivers/mysql/errors.hpp>
#include <sluice/drivers/mysql/opened.hpp>

#include <doctest/doctest.h>

using namespace sluice;
using namespace sluice::mysql;

TEST_CASE("errors are told apart by number, where their SQLSTATE is too coarse") {
  using sql::Class;
  CHECK(classify(1062, "23000") == Class::unique_violation);
  CHECK(classify(1452, "23000") == Class::foreign_key_violation);
  CHECK(classify(1451, "23000") == Class::foreign_key_violation);
  CHECK(classify(1048, "23000") == Class::not_null_violation);
  CHECK(classify(4025, "23000") == Class::check_violation);
  CHECK(classify(3819, "HY000") == Class::check_violation);
  CHECK(classify(1213, "40001") == Class::deadlock);
  CHECK(classify(1020, "HY000") == Class::serialization_failure);
  CHECK(classify(1205, "HY000") == Class::busy);
  CHECK(classify(1461, "42000") == Class::busy);
  CHECK(classify(1064, "42000") == Class::syntax);
  CHECK(classify(1146, "42S02") == Class::syntax);
  CHECK(classify(1142, "42000") == Class::permission);
  CHECK(classify(1406, "22001") == Class::type);
  CHECK(classify(1366, "22007") == Class::type);
  CHECK(classify(1021, "HY000") == Class::disk);
  CHECK(classify(1317, "70100") == Class::cancelled);
  CHECK(classify(2013, "HY000") == Class::connection);
  CHECK(classify(1927, "70100") == Class::connection);
  CHECK(classify(1690, "22003") == Class::type);
  CHECK(classify(9999, "HY000") == Class::other);
}

TEST_CASE("an error's text hides the value that the server quotes, and names statement and number") {
  const auto shown = [](unsigned code, const char* message) {
    return std::string(statement_error({code, "23000", message}, sql::Phase::execute, "INSERT $1").what());
  };
  CHECK(shown(1062, "Duplicate entry 'secret@example.com' for key 'email'") ==
        "Duplicate entry (value hidden) for key 'email' [1062 23000] in: INSERT $1");
  CHECK(shown(1062, "Duplicate entry 'it's 'quoted' for key' for key 'email'") ==
        "Duplicate entry (value hidden) for key 'email' [1062 23000] in: INSERT $1");
  CHECK(shown(1292, "Truncated incorrect INTEGER value: 'hunter2'") ==
        "Truncated incorrect INTEGER value: (value hidden) [1292 23000] in: INSERT $1");
  CHECK(shown(1366, "Incorrect integer value: 'x' for column `app`.`t`.`n` at row 1") ==
        "Incorrect integer value: (value hidden) for column `app`.`t`.`n` at row 1 [1366 23000] in: INSERT $1");
  CHECK(shown(1690, "BIGINT value is out of range in '7 * 8'") == "BIGINT value is out of range in (value hidden) [1690 23000] in: INSERT $1");
  CHECK(shown(1525, "Incorrect DATE value: 'hunter2'") == "Incorrect DATE value: (value hidden) [1525 23000] in: INSERT $1");
  CHECK(shown(1298, "Unknown or incorrect time zone: 'hunter2'") == "Unknown or incorrect time zone: (value hidden) [1298 23000] in: INSERT $1");
  CHECK(shown(1526, "Table has no partition for value 7") == "Table has no partition for value (value hidden) [1526 23000] in: INSERT $1");
  // Of SQLSTATE 22 all are about data, and those that are not known yet may quote it.
  CHECK(std::string(statement_error({4999, "22032", "Bad 'hunter2'"}, sql::Phase::execute, "INSERT $1").what()) ==
        "Bad (value hidden) [4999 22032] in: INSERT $1");
  CHECK(std::string(statement_error({1406, "22001", "Data too long for column 'name' at row 1"}, sql::Phase::execute, "INSERT $1").what()) ==
        "Data too long for column 'name' at row 1 [1406 22001] in: INSERT $1");
  CHECK(shown(1146, "Table 'app.nowhere' doesn't exist") == "Table 'app.nowhere' doesn't exist [1146 23000] in: INSERT $1");
}

TEST_CASE("a failed connect left nothing only if the server was not reached, or had no slot") {
  for (const unsigned code : {2002u, 2003u, 2005u, 1040u}) CHECK(connect_cause({code, "HY000", "x"}, "main").released);
  for (const unsigned code : {1045u, 1049u, 2013u, 2026u, 1203u, 1129u}) CHECK_FALSE(connect_cause({code, "HY000", "x"}, "main").released);
  CHECK(connect_cause({1045, "28000", "Access denied"}, "main").permanent);
  CHECK_FALSE(connect_cause({2013, "HY000", "Lost"}, "main").permanent);
  CHECK(connect_cause({2026, "HY000", "TLS/SSL error: certificate verify failed"}, "main").permanent);
  for (const char* broke : {"TLS/SSL error: Connection reset by peer (104)", "TLS/SSL error: Broken pipe (32)", "TLS/SSL error: unexpected eof while reading"}) {
    const ConnectCause cause = connect_cause({2026, "HY000", broke}, "main");
    CHECK_FALSE(cause.permanent);
    CHECK(cause.text == std::string(broke) + " [2026]");
  }
  CHECK(connect_cause({2002, "HY000", "Can't connect"}, "main").text ==
        "Can't connect [2002]; is the server running, and is the port or socket right? (pool main)");
}

TEST_CASE("a limit of time is told in the server's own words") {
  CHECK(limit_setup(true, 1500ms) == "SET SESSION max_statement_time = 1.500");
  CHECK(limit_setup(true, 30s) == "SET SESSION max_statement_time = 30.000");
  CHECK(limit_setup(true, 7ms) == "SET SESSION max_statement_time = 0.007");
  CHECK(limit_setup(true, 0ms) == "SET SESSION max_statement_time = 0.000");
  CHECK(limit_setup(false, 1500ms) == "SET SESSION max_execution_time = 1500");
}
