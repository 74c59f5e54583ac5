// Each type of Sluice in each column type that takes it, on each database: the table in docs/guides/sql.md, cell by cell. What only one
// database has is in postgres_types_test, mariadb_types_test and unit/sqlite/types_test.
#include <chrono>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "databases.hpp"

using namespace sluice;
using namespace sluice::test;
using namespace std::chrono;

namespace {

const char* on(RealDatabase& t, const char* postgres, const char* mysql, const char* sqlite) {
  switch (t.db->dialect()) {
    case sql::Dialect::postgres: return postgres;
    case sql::Dialect::mysql: return mysql;
    case sql::Dialect::sqlite: break;
  }
  return sqlite;
}

std::string new_table() {
  static int tables = 0;
  return "column_" + std::to_string(++tables);
}

// A column of that type gives back what it was given, and NULL as nothing.
template <class T>
awaitable<void> come_back(RealDatabase& t, std::string type, std::vector<T> values) {
  const std::string table = new_table();
  const std::string create = "CREATE TABLE " + table + " (id INTEGER, v " + type + ")";
  const std::string insert = "INSERT INTO " + table + " VALUES ($1, $2)", select = "SELECT v FROM " + table + " WHERE id = $1";
  INFO(type);
  co_await t.db->execute(create);
  for (std::size_t i = 0; i < values.size(); ++i) {
    INFO(i);
    const T value = values[i];
    const int id = static_cast<int>(i);
    co_await t.db->execute(insert, id, value);
    const sql::Rows rows = co_await t.db->query(select, id);
    REQUIRE(rows.size() == 1);
    CHECK(rows[0][0].as<T>() == value);
    CHECK(rows[0][0].as<std::optional<T>>().has_value());
  }
  const std::optional<T> nothing;
  co_await t.db->execute(insert, -1, nothing);
  const sql::Rows null = co_await t.db->query(select, -1);
  REQUIRE(null.size() == 1);
  CHECK(null[0][0].is_null());
  CHECK_FALSE(null[0][0].as<std::optional<T>>().has_value());
}

template <class T>
std::vector<T> ends() {
  std::vector<T> all{std::numeric_limits<T>::min(), T{0}, T{1}, std::numeric_limits<T>::max()};
  if (std::numeric_limits<T>::is_signed) all.push_back(static_cast<T>(-1));
  return all;
}

std::int64_t most_signed() { return std::numeric_limits<std::int64_t>::max(); }

// What the driver does not even send.
awaitable<void> check_refused(RealDatabase& t, sql::Value value) {
  std::vector<sql::Value> parameters;
  parameters.push_back(std::move(value));
  sql::Statement statement("SELECT $1", std::move(parameters));
  const auto refused = co_await error_from<sql::SqlError>(t.db->run(std::move(statement)));
  REQUIRE(refused);
  CHECK(refused->phase() == sql::Phase::encode);
  CHECK(refused->error_class() == sql::Class::type);
}

}  // namespace

TEST_CASE("Booleans come back from every database as they went") {
  on_each_database([](RealDatabase& t) {
    const std::vector<bool> both{true, false};
    auto body = [&]() -> awaitable<void> { co_await come_back(t, on(t, "boolean", "BOOLEAN", "BOOLEAN"), both); };
    t.run(body);
  });
}

TEST_CASE("Integers of every width come back from every database at their ends") {
  on_each_database([](RealDatabase& t) {
    const std::vector<std::uint64_t> signed_too{0, static_cast<std::uint64_t>(most_signed())};
    auto body = [&]() -> awaitable<void> {
      co_await come_back(t, on(t, "smallint", "TINYINT", "INTEGER"), ends<std::int8_t>());
      co_await come_back(t, on(t, "smallint", "SMALLINT", "INTEGER"), ends<std::int16_t>());
      co_await come_back(t, on(t, "integer", "INT", "INTEGER"), ends<std::int32_t>());
      co_await come_back(t, on(t, "bigint", "BIGINT", "INTEGER"), ends<std::int64_t>());
      co_await come_back(t, on(t, "smallint", "TINYINT UNSIGNED", "INTEGER"), ends<std::uint8_t>());
      co_await come_back(t, on(t, "integer", "SMALLINT UNSIGNED", "INTEGER"), ends<std::uint16_t>());
      co_await come_back(t, on(t, "bigint", "INT UNSIGNED", "INTEGER"), ends<std::uint32_t>());
      co_await come_back(t, on(t, "bigint", "BIGINT", "INTEGER"), signed_too);
      if (t.db->dialect() == sql::Dialect::sqlite) {
        co_await check_refused(t, sql::encode(std::numeric_limits<std::uint64_t>::max()));
      } else {
        co_await come_back(t, on(t, "numeric", "BIGINT UNSIGNED", ""), ends<std::uint64_t>());
      }
    };
    t.run(body);
  });
}

TEST_CASE("Floating point numbers come back from every database as they went, infinity and NaN where there are such") {
  on_each_database([](RealDatabase& t) {
    const double infinity = std::numeric_limits<double>::infinity();
    std::vector<double> doubles{0.0, -0.1, 1.0 / 3, std::numeric_limits<double>::min(), std::numeric_limits<double>::max(),
                                std::numeric_limits<double>::lowest()};
    if (t.db->dialect() != sql::Dialect::mysql) doubles.insert(doubles.end(), {infinity, -infinity});
    const std::vector<float> floats{0.0f, -0.1f, 1.0f / 3, 3.4028e38f};
    auto body = [&]() -> awaitable<void> {
      co_await come_back(t, on(t, "double precision", "DOUBLE", "REAL"), doubles);
      co_await come_back(t, on(t, "real", "FLOAT", "REAL"), floats);
      if (t.db->dialect() == sql::Dialect::mysql) co_await check_refused(t, sql::encode(-infinity));
      if (t.db->dialect() == sql::Dialect::postgres) {
        co_await t.db->execute("CREATE TABLE not_a_number (v double precision)");
        co_await t.db->execute("INSERT INTO not_a_number VALUES ($1)", std::nan(""));
        const sql::Rows rows = co_await t.db->query("SELECT v FROM not_a_number");
        CHECK(std::isnan(rows[0][0].as<double>()));
      } else {
        co_await check_refused(t, sql::encode(std::nan("")));
      }
    };
    t.run(body);
  });
}

TEST_CASE("Decimals come back from every database digit for digit") {
  on_each_database([](RealDatabase& t) {
    std::vector<sql::Decimal> decimals;
    for (const char* digits :
         {"0.0000000001", "-0.0000000001", "-9999999999999999999999999999.0123456789", "9999999999999999999999999999.9999999999"})
      decimals.emplace_back(digits);
    auto body = [&]() -> awaitable<void> { co_await come_back(t, on(t, "numeric", "DECIMAL(38,10)", "TEXT"), decimals); };
    t.run(body);
  });
}

TEST_CASE("Text comes back from every database as it went, zero bytes where there may be such") {
  on_each_database([](RealDatabase& t) {
    const std::vector<std::string> shorter{
        "", " ", "NULL", "O'Reilly \\ \"quoted\" $1 ?", "\xE2\x82\xAC \xF0\x9F\x98\x80", "line\r\n\tline", "blanks   "};
    const std::string zero("a\0b", 3);
    std::vector<std::string> texts = shorter;
    texts.emplace_back(50000, 'l');
    if (t.db->dialect() != sql::Dialect::postgres) texts.push_back(zero);
    auto body = [&]() -> awaitable<void> {
      co_await come_back(t, on(t, "varchar(200)", "VARCHAR(200)", "TEXT"), shorter);
      co_await come_back(t, on(t, "text", "TEXT", "TEXT"), texts);
      if (t.db->dialect() == sql::Dialect::postgres) co_await check_refused(t, sql::encode(zero));
    };
    t.run(body);
  });
}

TEST_CASE("Bytes come back from every database as they went, zero bytes too") {
  on_each_database([](RealDatabase& t) {
    sql::Bytes all;
    for (int i = 0; i < 256; ++i) all.push_back(static_cast<std::byte>(i));
    const std::vector<sql::Bytes> shorter{{}, {std::byte{0}}, all};
    std::vector<sql::Bytes> bytes = shorter;
    bytes.emplace_back(50000, std::byte{0xfe});
    auto body = [&]() -> awaitable<void> {
      co_await come_back(t, on(t, "bytea", "BLOB", "BLOB"), bytes);
      if (t.db->dialect() == sql::Dialect::mysql) co_await come_back(t, "VARBINARY(300)", shorter);
    };
    t.run(body);
  });
}

TEST_CASE("Instants come back from every database, before 1970 and at the ends of the calendar too, with a zone and without") {
  on_each_database([](RealDatabase& t) {
    const sql::Timestamp leap = sys_days(2024y / 2 / 29) + 12h + 34min + 56s + 789012us, before = sql::Timestamp(-1us),
                         old = sys_days(1900y / 2 / 28) + 23h + 59min + 59s + 999999us, first = sys_days(year(1000) / 1 / 1),
                         last = sys_days(9999y / 12 / 31) + 23h + 59min + 59s + 999999us;
    const std::vector<sql::Timestamp> all{leap, sql::Timestamp(), before, old, first, last};
    // MariaDB's TIMESTAMP has no more.
    const std::vector<sql::Timestamp> few{leap, sys_days(1970y / 1 / 1) + 1s, sys_days(2038y / 1 / 19) + 3h + 14min + 7s};
    auto body = [&]() -> awaitable<void> {
      co_await come_back(t, on(t, "timestamp", "DATETIME(6)", "DATETIME"), all);
      co_await come_back(t, on(t, "timestamptz", "TIMESTAMP(6) NULL", "TIMESTAMP"), t.db->dialect() == sql::Dialect::mysql ? few : all);
    };
    t.run(body);
  });
}

TEST_CASE("PostgreSQL: an instant is the same in every zone of the session, also where that had seconds") {
  if (!PostgresServer::require()) return;
  RealDatabase t(server().url(), 1);
  const std::vector<sql::Timestamp> instants{sys_days(year(1000) / 1 / 1), sql::Timestamp(-1us), sys_days(2024y / 2 / 29)};
  auto body = [&]() -> awaitable<void> {
    sql::Transaction tx = co_await t.db->begin();
    for (const char* zone : {"UTC", "Asia/Kolkata", "America/St_Johns", "Pacific/Apia"}) {
      CAPTURE(zone);
      const std::string set = std::string("SET LOCAL TIME ZONE '") + zone + "'";
      co_await tx.query(set);
      for (const sql::Timestamp at : instants) {
        const sql::Rows rows = co_await tx.query("SELECT $1::timestamptz", at);
        CHECK(rows[0][0].as<sql::Timestamp>() == at);
      }
    }
    co_await tx.commit();
  };
  t.run(body);
}

TEST_CASE("Days of the calendar come back from every database, before 1970 and at its ends too") {
  on_each_database([](RealDatabase& t) {
    std::vector<sql::Date> days{2024y / 2 / 29, 1970y / 1 / 1, 1969y / 12 / 31, year(1000) / 1 / 1, 9999y / 12 / 31};
    if (t.db->dialect() != sql::Dialect::mysql) days.insert(days.end(), {year(1) / 1 / 1, year(-4712) / 1 / 1});
    auto body = [&]() -> awaitable<void> { co_await come_back(t, on(t, "date", "DATE", "DATE"), days); };
    t.run(body);
  });
}

TEST_CASE("Times of day come back from every database to the microsecond") {
  on_each_database([](RealDatabase& t) {
    const std::vector<sql::Time> times{sql::Time{0us}, sql::Time{1us}, sql::Time{12h + 34min + 56s}, sql::Time{23h + 59min + 59s + 999999us}};
    const std::vector<seconds> durations{0s, 86399s};
    auto body = [&]() -> awaitable<void> {
      co_await come_back(t, on(t, "time", "TIME(6)", "TIME"), times);
      co_await come_back(t, on(t, "time", "TIME", "TIME"), durations);
    };
    t.run(body);
  });
}

TEST_CASE("UUIDs come back from every database as they went") {
  on_each_database([](RealDatabase& t) {
    std::vector<sql::Uuid> uuids;
    for (const char* one :
         {"f47ac10b-58cc-4372-a567-0e02b2c3d479", "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"})
      uuids.push_back(*sql::parse_uuid(one));
    auto body = [&]() -> awaitable<void> {
      co_await come_back(t, on(t, "uuid", "UUID", "UUID"), uuids);
      co_await come_back(t, on(t, "uuid", "CHAR(36)", "TEXT"), uuids);
    };
    t.run(body);
  });
}

TEST_CASE("JSON comes back from every database as it went, its null apart from NULL") {
  on_each_database([](RealDatabase& t) {
    std::vector<nlohmann::json> documents;
    for (const char* one :
         {"null", "[]", "\"text\"", "-0.5", "9007199254740993", "{\"a\": [1, null, {\"b\": true}], \"\xE2\x82\xAC\": \"\\\" \\\\ \\n\"}"})
      documents.push_back(nlohmann::json::parse(one));
    auto body = [&]() -> awaitable<void> {
      co_await come_back(t, on(t, "json", "JSON", "TEXT"), documents);
      if (t.db->dialect() == sql::Dialect::postgres) co_await come_back(t, "jsonb", documents);
    };
    t.run(body);
  });
}

TEST_CASE("Arrays come back from PostgreSQL with NULL among elements of every type; the others refuse them") {
  on_each_database([](RealDatabase& t) {
    const std::vector<std::vector<std::optional<bool>>> booleans{{true, std::nullopt, false}};
    const std::vector<std::vector<std::optional<std::int64_t>>> integers{{}, {std::nullopt}, {-most_signed() - 1, std::nullopt, most_signed()}};
    const std::vector<std::vector<std::optional<double>>> doubles{{-0.1, std::nullopt, std::numeric_limits<double>::infinity()}};
    const std::vector<std::vector<std::optional<std::string>>> texts{{"", std::nullopt, "NULL", "a\"b\\c,{}", "\xE2\x82\xAC"}};
    const std::vector<std::vector<std::optional<sql::Decimal>>> decimals{{sql::Decimal("0.10"), std::nullopt}};
    const std::vector<std::vector<std::optional<sql::Bytes>>> bytes{{sql::Bytes{std::byte{0}, std::byte{'\\'}}, std::nullopt, sql::Bytes()}};
    const std::vector<std::vector<std::optional<sql::Date>>> days{{sql::Date(1969y / 12 / 31), std::nullopt}};
    const std::vector<std::vector<std::optional<sql::Time>>> times{{sql::Time{1us}, std::nullopt}};
    const std::vector<std::vector<std::optional<sql::Timestamp>>> instants{{sql::Timestamp(-1us), std::nullopt}};
    const std::vector<std::vector<std::optional<sql::Uuid>>> uuids{{*sql::parse_uuid("f47ac10b-58cc-4372-a567-0e02b2c3d479"), std::nullopt}};
    auto body = [&]() -> awaitable<void> {
      if (t.db->dialect() != sql::Dialect::postgres) {
        co_await check_refused(t, sql::encode(texts.front()));
        co_return;
      }
      co_await come_back(t, "boolean[]", booleans);
      co_await come_back(t, "bigint[]", integers);
      co_await come_back(t, "double precision[]", doubles);
      co_await come_back(t, "text[]", texts);
      co_await come_back(t, "numeric[]", decimals);
      co_await come_back(t, "bytea[]", bytes);
      co_await come_back(t, "date[]", days);
      co_await come_back(t, "time[]", times);
      co_await come_back(t, "timestamptz[]", instants);
      co_await come_back(t, "timestamp[]", instants);
      co_await come_back(t, "uuid[]", uuids);
    };
    t.run(body);
  });
}
