#include <limits>
#include <nlohmann/json.hpp>

#include "fixture.hpp"

using namespace sluice;
using namespace sluice::test;
using namespace std::chrono;
using Session = postgres::PostgresSession;

namespace {

template <class Body>
void with_session(Body body) {
  if (!PostgresServer::require()) return;
  Client client;
  Loop loop;
  loop.run([&]() -> awaitable<void> {
    std::unique_ptr<Session> session = co_await client.connect();
    co_await body(*session);
    const bool gone = co_await client.close(std::move(session));
    CHECK(gone);
  });
}

// What the server makes of the value as `type`, read back.
template <class T>
awaitable<void> round_trip(Session& s, const char* type, const T& value) {
  CAPTURE(type);
  const sql::Rows rows = co_await query(s, std::string("SELECT $1::") + type, value);
  const T back = rows[0][0].template as<T>();
  CHECK(back == value);
}

struct Wrong {
  const char* sql;
  sql::Value parameter;
  const char* state;
  sql::Class error_class;
};
// Not inside of a coroutine: g++ 12 knows no arrays of such things there.
std::vector<Wrong> everything_wrong() {
  return {{"SELECT $1::int + $2::int", sql::encode(1), "", sql::Class::syntax},
          {"SELECT 1", sql::encode(1), "", sql::Class::syntax},
          {"SELECT $1::int", sql::encode("seven"), "22P02", sql::Class::type},
          {"SELECT $1::int", sql::encode(std::numeric_limits<std::int64_t>::max()), "22003", sql::Class::type},
          {"INSERT INTO t (n) VALUES ($1)", sql::encode(40000), "22003", sql::Class::type},
          {"INSERT INTO t (s) VALUES ($1)", sql::encode("four"), "22001", sql::Class::type},
          {"SELECT $1::text", sql::encode("\xC3("), "22021", sql::Class::type},
          {"SELECT $1::text", sql::encode(std::string_view("a\0b", 3)), "22021", sql::Class::type},
          {"SELECT $1::bool", sql::encode(sql::Date(2024y / 1 / 1)), "22P02", sql::Class::type},
          {"SELECT nowhere FROM t WHERE n = $1", sql::encode(1), "42703", sql::Class::syntax}};
}

}  // namespace

TEST_CASE("PostgreSQL: integers of every width, unsigned ones and decimals come back at their extremes") {
  with_session([](Session& s) -> awaitable<void> {
    co_await round_trip(s, "int2", std::numeric_limits<std::int16_t>::min());
    co_await round_trip(s, "int2", std::numeric_limits<std::int16_t>::max());
    co_await round_trip(s, "int4", std::numeric_limits<std::int32_t>::min());
    co_await round_trip(s, "int4", std::numeric_limits<std::int32_t>::max());
    co_await round_trip(s, "int8", std::numeric_limits<std::int64_t>::min());
    co_await round_trip(s, "int8", std::numeric_limits<std::int64_t>::max());
    co_await round_trip(s, "int8", std::numeric_limits<std::uint32_t>::max());
    co_await round_trip(s, "numeric", std::numeric_limits<std::uint64_t>::max());
    co_await round_trip(s, "int2", static_cast<std::int8_t>(-128));
    co_await round_trip(s, "int2", static_cast<std::uint8_t>(255));
    for (const char* digits : {"0", "-0.000000000000000000000000000001", "12.30", "99999999999999999999999999999999999999.99", "NaN", "Infinity"}) {
      const sql::Decimal decimal(digits);
      co_await round_trip(s, "numeric", decimal);
    }
    const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
    co_await round_trip(s, "float8", -infinity);
    const sql::Rows rows = co_await query(s, "SELECT $1::float8", nan);
    CHECK(rows[0][0].as<double>() != rows[0][0].as<double>());
  });
}

TEST_CASE("PostgreSQL: dates, times, timestamps, UUIDs and JSON come back at their extremes") {
  with_session([](Session& s) -> awaitable<void> {
    co_await round_trip(s, "date", sql::Date(2024y / 2 / 29));
    co_await round_trip(s, "date", sql::Date(-4712y / 1 / 1));
    co_await round_trip(s, "date", sql::Date(32767y / 12 / 31));
    for (const std::chrono::microseconds since_midnight :
         {std::chrono::microseconds(0us), std::chrono::microseconds(23h + 59min + 59s + 999999us), std::chrono::microseconds(24h)}) {
      const sql::Time time{since_midnight};
      co_await round_trip(s, "time", time);
    }
    const sql::Timestamp earliest = sys_days(year(-4712) / 1 / 1), latest = sys_days(year(32767) / 12 / 31) + 23h + 59min + 59s + 999999us;
    for (const char* type : {"timestamptz", "timestamp"}) {
      co_await round_trip(s, type, earliest);
      co_await round_trip(s, type, latest);
      co_await round_trip(s, type, sql::Timestamp(-1us));
      co_await round_trip(s, type, sql::Timestamp::max());
      co_await round_trip(s, type, sql::Timestamp::min());
    }
    const sql::Uuid uuid = *sql::parse_uuid("ffffffff-0000-4372-a567-0e02b2c3d479");
    co_await round_trip(s, "uuid", uuid);
    nlohmann::json json;
    json["text"] = "\xE2\x82\xAC \" \\ \n";
    json["list"] = {1, nullptr, -0.5, true};
    co_await round_trip(s, "json", json);
    co_await round_trip(s, "jsonb", json);
    // What no Value holds stays the server's text.
    const sql::Rows rows = co_await query(s, "SELECT 'infinity'::date, '5874897-12-31'::date, '1 day'::interval, '12:00+02'::timetz");
    CHECK(rows[0][0].as<std::string>() == "infinity");
    CHECK(rows[0][1].as<std::string>() == "5874897-12-31");
    CHECK(rows[0][2].as<std::string>() == "1 day");
    CHECK(rows[0][3].as<std::string>() == "12:00:00+02");
  });
}

TEST_CASE("PostgreSQL: arrays of every element type come back, with NULL, quotes and several dimensions") {
  with_session([](Session& s) -> awaitable<void> {
    const std::vector<std::optional<std::string>> texts{"a", "", "NULL", std::nullopt, "a\"b\\c,{}", " \xE2\x82\xAC "};
    co_await round_trip(s, "text[]", texts);
    const std::vector<std::int64_t> numbers{std::numeric_limits<std::int64_t>::min(), 0, std::numeric_limits<std::int64_t>::max()};
    co_await round_trip(s, "int8[]", numbers);
    co_await round_trip(s, "int8[]", std::vector<std::int64_t>());
    const std::vector<std::vector<int>> matrix{{1, 2}, {3, 4}};
    co_await round_trip(s, "int4[]", matrix);
    const std::vector<bool> flags{true, false};
    co_await round_trip(s, "bool[]", flags);
    const std::vector<double> reals{0.1, -1e300};
    co_await round_trip(s, "float8[]", reals);
    const std::vector<sql::Decimal> decimals{sql::Decimal("0.10")};
    co_await round_trip(s, "numeric[]", decimals);
    const std::vector<sql::Bytes> bytes{{std::byte{0}, std::byte{'\\'}}, {}};
    co_await round_trip(s, "bytea[]", bytes);
    const std::vector<sql::Date> dates{2024y / 2 / 29};
    co_await round_trip(s, "date[]", dates);
    const std::vector<sql::Timestamp> instants{sql::Timestamp(1us)};
    co_await round_trip(s, "timestamptz[]", instants);
    const std::vector<sql::Uuid> uuids{*sql::parse_uuid("f47ac10b-58cc-4372-a567-0e02b2c3d479")};
    co_await round_trip(s, "uuid[]", uuids);
    const std::vector<int> candidates{5, 7};
    const sql::Rows rows = co_await query(s, "SELECT 1 WHERE 7 = ANY($1::int[])", candidates);
    CHECK(rows.size() == 1);
    // Bounds of their own have no place in a list.
    const sql::Rows bounded = co_await query(s, "SELECT '[0:1]={1,2}'::int[]");
    CHECK(bounded[0][0].as<std::string>() == "[0:1]={1,2}");
  });
}

TEST_CASE("PostgreSQL: wrong parameters and values are typed errors that keep the connection") {
  with_session([](Session& s) -> awaitable<void> {
    co_await query(s, "CREATE TEMP TABLE t (n int2, s varchar(3), plain int)");
    const std::vector<Wrong> wrongs = everything_wrong();
    for (const Wrong& wrong : wrongs) {
      std::optional<sql::SqlError> error;
      std::vector<sql::Value> parameters{wrong.parameter};
      sql::Statement statement(wrong.sql, std::move(parameters));
      try {
        co_await s.run(std::move(statement), Deadline::after(scaled(10s)));
      } catch (const sql::SqlError& e) {
        error = e;
      }
      CAPTURE(wrong.sql);
      REQUIRE(error);
      CAPTURE(error->what());
      CHECK(error->sqlstate() == wrong.state);
      CHECK(error->error_class() == wrong.error_class);
      CHECK_FALSE(s.broken);
      CHECK_FALSE(error->statement().empty());
    }
    const sql::Rows rows = co_await query(s, "SELECT NULL::int AS nothing");
    std::string message;
    try {
      rows[0]["nothing"].as<int>();
    } catch (const sql::SqlError& e) {
      message = e.what();
    }
    CHECK(message.find("column \"nothing\" of row 0") == 0);
    const sql::Rows empty = co_await query(s, "");
    CHECK(empty.empty());
    CHECK(empty.columns().empty());
    for (int time = 0; time < 2; ++time) {
      const sql::Rows bare = co_await query(s, "SELECT FROM generate_series(1, 3)");  // how an EXISTS is asked for
      CHECK(bare.size() == 3);
      CHECK(bare.columns().empty());
    }
  });
}
