// Every type goes to the server and comes back, extremes and NULL included.
#include <chrono>
#include <cmath>
#include <limits>
#include <support/meanwhile.hpp>

#include "mysql_fixture.hpp"

using namespace sluice;
using namespace sluice::test;
using namespace std::chrono;

namespace {

// One column of the given type; what is written is what is read.
template <class T>
awaitable<void> round_trip(MysqlSession& s, std::string type, std::vector<T> values) {
  INFO(type);
  const std::string create = "CREATE OR REPLACE TABLE kinds (id INT PRIMARY KEY, v " + type + ")";
  co_await query(s, create);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const int id = static_cast<int>(i);
    co_await query(s, "INSERT INTO kinds VALUES ($1, $2)", id, values[i]);
  }
  const sql::Rows rows = co_await query(s, "SELECT v FROM kinds ORDER BY id");
  REQUIRE(rows.size() == values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    INFO(i);
    CHECK(rows[i][0].as<T>() == values[i]);
  }
  co_await query(s, "INSERT INTO kinds VALUES (99, $1)", sql::Null{});
  const sql::Rows none = co_await query(s, "SELECT v FROM kinds WHERE id = 99");
  CHECK(none[0][0].is_null());
  CHECK_FALSE(none[0][0].as<std::optional<T>>().has_value());
}

template <class T>
std::vector<T> extremes() {
  return {std::numeric_limits<T>::min(), T{0}, T{1}, std::numeric_limits<T>::max()};
}

}  // namespace

TEST_CASE("Integers of every width, signed and unsigned, come back from MariaDB as they went") {
  if (!MariaDbServer::require()) return;
  MysqlClient client;
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    co_await round_trip(s, "TINYINT", extremes<std::int8_t>());
    co_await round_trip(s, "TINYINT UNSIGNED", extremes<std::uint8_t>());
    co_await round_trip(s, "SMALLINT", extremes<std::int16_t>());
    co_await round_trip(s, "SMALLINT UNSIGNED", extremes<std::uint16_t>());
    co_await round_trip(s, "INT", extremes<std::int32_t>());
    co_await round_trip(s, "INT UNSIGNED", extremes<std::uint32_t>());
    co_await round_trip(s, "BIGINT", extremes<std::int64_t>());
    co_await round_trip(s, "BIGINT UNSIGNED", extremes<std::uint64_t>());
    const std::vector<int> medium = {-8388608, 0, 8388607}, years = {1901, 2024, 2155};
    co_await round_trip(s, "MEDIUMINT", medium);
    co_await round_trip(s, "YEAR", years);
    const std::vector<bool> truths = {true, false};
    co_await query(s, "CREATE OR REPLACE TABLE kinds (id INT, v BOOLEAN)");
    co_await query(s, "INSERT INTO kinds VALUES (1, $1), (2, $2)", true, false);
    const sql::Rows rows = co_await query(s, "SELECT v FROM kinds ORDER BY id");
    CHECK(rows[0][0].as<bool>());
    CHECK_FALSE(rows[1][0].as<bool>());
    const std::vector<std::uint64_t> bits = {0, 1, 0xdeadbeefcafef00dULL, ~0ULL};
    co_await round_trip(s, "BIT(64)", bits);
  });
}

TEST_CASE("Floating point and decimal numbers come back from MariaDB exactly") {
  if (!MariaDbServer::require()) return;
  MysqlClient client;
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    const std::vector<double> doubles = {
        0.0, -0.1, 1.0 / 3, std::numeric_limits<double>::min(), std::numeric_limits<double>::max(), std::numeric_limits<double>::lowest()};
    co_await round_trip(s, "DOUBLE", doubles);
    const std::vector<float> floats = {0.0f, -0.1f, 1.0f / 3, 3.4028e38f};
    co_await round_trip(s, "FLOAT", floats);
    const std::vector<sql::Decimal> decimals = {sql::Decimal("0.0000000001"), sql::Decimal("-9999999999999999999999999999.0123456789"),
                                                sql::Decimal("9999999999999999999999999999.9999999999")};
    co_await round_trip(s, "DECIMAL(38,10)", decimals);
    const std::vector<std::string> texts = {"12.30", "-0.05"};
    co_await round_trip(s, "DECIMAL(10,2)", texts);
  });
}

TEST_CASE("Text and bytes of every length come back from MariaDB as they went") {
  if (!MariaDbServer::require()) return;
  MysqlClient client;
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    const std::string emoji = "O'Reilly \\ \"quoted\" \xE2\x82\xAC \xF0\x9F\x98\x80 ?$1", zero("a\0b", 3);
    const std::vector<std::string> texts = {
        "", emoji, zero, std::string(127, 'x'), std::string(128, 'y'), std::string(129, 'z'), std::string(70000, 'l')};
    co_await round_trip(s, "MEDIUMTEXT CHARACTER SET utf8mb4", texts);
    const std::vector<std::string> shorter = {"", "x", std::string(200, 'v')};
    co_await round_trip(s, "VARCHAR(200)", shorter);
    sql::Bytes all;
    for (int i = 0; i < 256; ++i) all.push_back(static_cast<std::byte>(i));
    const std::vector<sql::Bytes> bytes = {{}, all, sql::Bytes(100000, std::byte{0xfe})};
    co_await round_trip(s, "LONGBLOB", bytes);
    const std::vector<sql::Bytes> few = {{}, all};
    co_await round_trip(s, "VARBINARY(300)", few);
    const std::vector<std::string> sizes = {"small", "large"}, sets = {"", "a,c"};
    co_await round_trip(s, "ENUM('small', 'large')", sizes);
    co_await round_trip(s, "SET('a', 'b', 'c')", sets);
    const std::vector<std::string> json = {"{\"a\": [1, 2, \"\xC3\xBC\"]}", "null"};
    co_await round_trip(s, "JSON", json);
    const std::vector<sql::Uuid> uuids = {*sql::parse_uuid("f47ac10b-58cc-4372-a567-0e02b2c3d479"),
                                          *sql::parse_uuid("00000000-0000-0000-0000-000000000000")};
    co_await round_trip(s, "UUID", uuids);
    co_await round_trip(s, "CHAR(36)", uuids);
  });
}

TEST_CASE("Dates, times and instants come back from MariaDB as they went, whatever the server's zone") {
  if (!MariaDbServer::require()) return;
  const Meanwhile elsewhere(mariadb(), "SET GLOBAL time_zone = '+05:30'", "SET GLOBAL time_zone = 'SYSTEM'");
  MysqlClient client;
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    const sql::Timestamp leap = sys_days(2024y / 2 / 29) + 12h + 34min + 56s + 789012us, first = sys_days(1970y / 1 / 1) + 1s,
                         ancient = sys_days(year(1000) / 1 / 1), last = sys_days(9999y / 12 / 31) + 23h + 59min + 59s + 999999us;
    const std::vector<sql::Timestamp> datetimes = {leap, first, ancient, last}, timestamps = {leap, first};
    co_await round_trip(s, "DATETIME(6)", datetimes);
    co_await round_trip(s, "TIMESTAMP(6) NULL", timestamps);
    const std::vector<sql::Date> dates = {2024y / 2 / 29, year(1000) / 1 / 1, 9999y / 12 / 31};
    co_await round_trip(s, "DATE", dates);
    const std::vector<sql::Time> times = {sql::Time{0us}, sql::Time{23h + 59min + 59s + 999999us}, sql::Time{838h + 59min + 59s},
                                          sql::Time{-(838h + 59min + 59s)}, sql::Time{-1us}};
    co_await round_trip(s, "TIME(6)", times);
    // The server's clock is ours.
    const sql::Rows now = co_await query(s, "SELECT NOW(6), CURRENT_DATE");
    CHECK(abs(now[0][0].as<sql::Timestamp>() - system_clock::now()) < scaled(30s));
    // What no calendar has is the server's text.
    const sql::Rows zero =
        co_await query(s, "SELECT CAST('0000-00-00' AS DATE), CAST('0000-00-00 00:00:00' AS DATETIME), CAST('2024-00-00' AS DATE)");
    if (!zero[0][0].is_null()) {
      CHECK(zero[0][0].as<std::string>() == "0000-00-00");
      CHECK(zero[0][1].as<std::string>() == "0000-00-00 00:00:00");
    }
  });
}

TEST_CASE("What MariaDB cannot hold is refused before it is sent, with the parameter's number") {
  if (!MariaDbServer::require()) return;
  MysqlClient client;
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    std::vector<sql::Value> values;
    values.push_back(sql::encode(std::numeric_limits<double>::infinity()));
    values.push_back(sql::encode(std::nan("")));
    values.push_back(sql::encode(std::string("\xff\xfe")));
    values.push_back(sql::encode(sql::Timestamp(sys_days(year(10000) / 1 / 1))));
    values.push_back(sql::encode(sql::Time{839h}));
    values.push_back(sql::encode(std::vector<int>{1, 2}));
    for (const sql::Value& value : values) {
      std::vector<sql::Value> parameters = {sql::encode(1), value};
      sql::Statement statement("SELECT $1, $2", std::move(parameters));
      const sql::SqlError error = co_await error_of(s, std::move(statement));
      CHECK(error.phase() == sql::Phase::encode);
      CHECK(error.error_class() == sql::Class::type);
      CHECK(std::string(error.what()).find("parameter $2") != std::string::npos);
    }
    CHECK_FALSE(s.broken);
    const sql::Rows rows = co_await query(s, "SELECT $1", 7);
    CHECK(rows[0][0].as<int>() == 7);
  });
}

TEST_CASE("A placeholder that is used twice, or in another order, takes its own parameter on MariaDB") {
  if (!MariaDbServer::require()) return;
  MysqlClient client;
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    const sql::Rows rows =
        co_await query(s, "SELECT $2 AS b, $1 AS a, $2 AS again, '$1' AS quoted, \"it\\'s $3\" AS mark /* $4 */ # $5", "one", "two");
    CHECK(rows[0]["a"].as<std::string>() == "one");
    CHECK(rows[0]["b"].as<std::string>() == "two");
    CHECK(rows[0]["again"].as<std::string>() == "two");
    CHECK(rows[0]["quoted"].as<std::string>() == "$1");
    CHECK(rows[0]["mark"].as<std::string>() == "it's $3");
  });
}
