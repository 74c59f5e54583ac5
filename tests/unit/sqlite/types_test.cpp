#include <boost/describe/class.hpp>
#include <limits>
#include <nlohmann/json.hpp>

#include "fixture.hpp"

using namespace sluice;
using namespace sluice::test;
using namespace std::chrono;

namespace {
struct Order {
  std::int64_t id = 0;
  std::string customer;
  bool paid = false;
  sql::Timestamp placed;
  std::optional<double> discount;
};
BOOST_DESCRIBE_STRUCT(Order, (), (id, customer, paid, placed, discount))
}  // namespace

TEST_CASE("every type comes back as it was bound") {
  const TemporaryDirectory directory;
  auto body = [&]() -> awaitable<void> {
    Open db(url_of(directory / "types.db"));
    co_await db.connect();
    co_await db.run("CREATE TABLE t (i INTEGER, r REAL, s TEXT, b BLOB, flag BOOLEAN, at TIMESTAMP)");
    const sql::Timestamp at = sys_days(2024y / 2 / 29) + 12h + 34min + 56s + 789us;
    const sql::Bytes bytes{std::byte{0}, std::byte{255}};
    const std::string with_nul("a\0b", 3);
    co_await db.run("INSERT INTO t VALUES ($1, $2, $3, $4, $5, $6)", std::numeric_limits<std::int64_t>::min(), 0.1, with_nul, bytes, true, at);
    const sql::Rows rows = co_await db.run("SELECT * FROM t");
    REQUIRE(rows.size() == 1);
    CHECK(rows.columns() == std::vector<std::string>{"i", "r", "s", "b", "flag", "at"});
    CHECK(rows[0]["i"].as<std::int64_t>() == std::numeric_limits<std::int64_t>::min());
    CHECK(rows[0]["r"].as<double>() == 0.1);
    CHECK(rows[0]["s"].as<std::string>() == with_nul);
    CHECK(rows[0]["b"].as<sql::Bytes>() == bytes);
    CHECK(rows[0]["flag"].value() == sql::Value(true));
    CHECK(rows[0]["at"].value() == sql::Value(at));
    co_await db.close();
  };
  on_loop(body);
}

TEST_CASE("NULL, empty text and empty bytes stay three different things") {
  auto body = []() -> awaitable<void> {
    Open db("sqlite::memory:");
    co_await db.connect();
    const sql::Rows rows = co_await db.run("SELECT $1 AS n, $2 AS s, $3 AS b, typeof($3) AS t", nullptr, "", sql::Bytes());
    CHECK(rows[0]["n"].is_null());
    CHECK(rows[0]["s"].as<std::string>() == "");
    CHECK(rows[0]["b"].as<sql::Bytes>().empty());
    CHECK(rows[0]["t"].as<std::string>() == "blob");
    co_await db.close();
  };
  on_loop(body);
}

TEST_CASE("declared types are hints only: what does not fit comes back as it is stored") {
  auto body = []() -> awaitable<void> {
    Open db("sqlite::memory:");
    co_await db.connect();
    co_await db.run("CREATE TABLE t (flag bool, at DATETIME)");
    co_await db.run("INSERT INTO t VALUES (2, 'soon')");
    const sql::Rows rows = co_await db.run("SELECT flag, at, flag = 2 AS computed FROM t");
    CHECK(rows[0]["flag"].value() == sql::Value(std::int64_t{2}));
    CHECK(rows[0]["at"].value() == sql::Value(std::string("soon")));
    CHECK(rows[0]["computed"].as<bool>());
    co_await db.close();
  };
  on_loop(body);
}

TEST_CASE("placeholders go by number, and a struct is filled by name") {
  auto body = []() -> awaitable<void> {
    Open db("sqlite::memory:");
    co_await db.connect();
    co_await db.run("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT NOT NULL, paid BOOLEAN NOT NULL, placed TIMESTAMP NOT NULL, discount REAL)");
    const sql::Timestamp placed = sys_days(2025y / 1 / 2) + 3h;
    const sql::Rows inserted = co_await db.run("INSERT INTO orders (discount, customer, paid, placed) VALUES ($4, $1, $2, $3)", "Ada", false, placed, std::optional<double>());
    CHECK(inserted.affected() == 1);
    CHECK(inserted.last_insert_id() == 1);
    const sql::Rows rows = co_await db.run("SELECT * FROM orders WHERE id = $1 OR id = $1", 1u);
    const auto orders = rows.as<Order>();
    REQUIRE(orders.size() == 1);
    CHECK(orders[0].id == 1);
    CHECK(orders[0].customer == "Ada");
    CHECK(!orders[0].paid);
    CHECK(orders[0].placed == placed);
    CHECK(!orders[0].discount);
    co_await db.close();
  };
  on_loop(body);
}

TEST_CASE("affected counts changed rows only, and an empty result still has its columns") {
  auto body = []() -> awaitable<void> {
    Open db("sqlite::memory:");
    co_await db.connect();
    co_await db.run("CREATE TABLE t (n INTEGER)");
    const sql::Rows inserted = co_await db.run("INSERT INTO t VALUES (1), (2), (3)");
    CHECK(inserted.affected() == 3);
    const sql::Rows updated = co_await db.run("UPDATE t SET n = n + 1 WHERE n > $1", 1);
    CHECK(updated.affected() == 2);
    const sql::Rows selected = co_await db.run("SELECT n FROM t WHERE n > 100");
    CHECK(selected.affected() == 0);
    CHECK(selected.empty());
    CHECK(selected.columns() == std::vector<std::string>{"n"});
    const sql::Rows returned = co_await db.run("DELETE FROM t WHERE n = 3 RETURNING n");
    CHECK(returned.affected() == 1);
    CHECK(returned[0]["n"].as<int>() == 3);
    co_await db.close();
  };
  on_loop(body);
}

TEST_CASE("a cached statement follows a schema that changes under it") {
  const TemporaryDirectory directory;
  auto body = [&]() -> awaitable<void> {
    Open one(url_of(directory / "schema.db")), other(url_of(directory / "schema.db"));
    co_await one.connect();
    co_await other.connect();
    co_await one.run("CREATE TABLE t (a INTEGER)");
    co_await one.run("INSERT INTO t VALUES (1)");
    const sql::Rows before = co_await one.run("SELECT * FROM t");
    CHECK(before.columns().size() == 1);
    co_await other.run("ALTER TABLE t ADD COLUMN b BOOLEAN NOT NULL DEFAULT 1");
    const sql::Rows after = co_await one.run("SELECT * FROM t");
    CHECK(after.columns() == std::vector<std::string>{"a", "b"});
    CHECK(after[0]["b"].value() == sql::Value(true));
    co_await one.close();
    co_await other.close();
  };
  on_loop(body);
}

TEST_CASE("more statements than the cache holds, and a cache of none, give the same answers") {
  auto body = []() -> awaitable<void> {
    for (const std::uint32_t capacity : {0u, 1u, 3u}) {
      config::Pool options = pool_options("sqlite::memory:");
      options.statement_cache = capacity;
      Open db(options);
      co_await db.connect();
      for (int round = 0; round < 3; ++round) {
        for (int n = 0; n < 5; ++n) {
          const std::string sql = "SELECT $1 + " + std::to_string(n) + " AS n";
          const sql::Rows rows = co_await db.run(sql, round);
          CHECK(rows[0]["n"].as<int>() == round + n);
        }
      }
      co_await db.close();
    }
  };
  on_loop(body);
}

TEST_CASE("dates, times, UUIDs, decimals and JSON come back from SQLite at their extremes") {
  auto body = []() -> awaitable<void> {
    Open db("sqlite::memory:");
    co_await db.connect();
    co_await db.run("CREATE TABLE t (d DATE, t TIME, u UUID, n TEXT, j TEXT, at TIMESTAMP)");
    const sql::Uuid uuid = *sql::parse_uuid("f47ac10b-58cc-4372-a567-0e02b2c3d479");
    const sql::Decimal decimal("99999999999999999999999999999999999999.99");
    nlohmann::json json;
    json["a"] = {1, nullptr};
    for (const sql::Date date : {sql::Date(2024y / 2 / 29), sql::Date(1y / 1 / 1), sql::Date(9999y / 12 / 31), sql::Date(-4712y / 1 / 1)}) {
      for (const sql::Time time : {sql::Time{0us}, sql::Time{23h + 59min + 59s + 999999us}}) {
        const sql::Timestamp at = sys_days(9999y / 12 / 31) + time.since_midnight;
        co_await db.run("DELETE FROM t");
        co_await db.run("INSERT INTO t VALUES ($1, $2, $3, $4, $5, $6)", date, time, uuid, decimal, json, at);
        const sql::Rows rows = co_await db.run("SELECT * FROM t");
        CHECK(rows[0]["d"].value() == sql::Value(date));
        CHECK(rows[0]["t"].value() == sql::Value(time));
        CHECK(rows[0]["u"].value() == sql::Value(uuid));
        CHECK(rows[0]["n"].as<sql::Decimal>() == decimal);
        CHECK(rows[0]["j"].as<nlohmann::json>() == json);
        CHECK(rows[0]["at"].as<sql::Timestamp>() == at);
      }
    }
    co_await db.close();
  };
  on_loop(body);
}

TEST_CASE("what SQLite cannot hold is refused with the parameter's number, and the connection stays") {
  auto body = []() -> awaitable<void> {
    Open db("sqlite::memory:");
    co_await db.connect();
    const std::pair<sql::Value, const char*> wrongs[] = {
        {sql::encode(std::numeric_limits<std::uint64_t>::max()), "parameter $1: an integer above"},
        {sql::encode("\xC3("), "parameter $1: text that is not valid UTF-8"},
        {sql::encode(std::vector<int>{1}), "parameter $1: an array"},
        {sql::encode(std::numeric_limits<double>::quiet_NaN()), "parameter $1: NaN"},
        {sql::encode(sql::Timestamp(sys_days(10000y / 1 / 1))), "parameter $1: a timestamp outside of the years 0 to 9999"},
        {sql::encode(sql::Timestamp(sys_days(0y / 1 / 1)) - std::chrono::microseconds(1)), "parameter $1: a timestamp outside"}};
    for (const auto& [value, words] : wrongs) {
      std::vector<sql::Value> parameters{value};
      sql::Statement statement("SELECT $1", std::move(parameters));
      const auto error = co_await thrown<sql::SqlError>(db.session().run(std::move(statement), Deadline::never()));
      REQUIRE(error);
      CHECK(error->phase() == sql::Phase::encode);
      CHECK(error->error_class() == sql::Class::type);
      CHECK(std::string(error->what()).find(words) == 0);
      CHECK(error->statement() == "SELECT $1");
      CHECK_FALSE(db.connection().broken);
    }
    co_await db.close();
  };
  on_loop(body);
}

TEST_CASE("infinity and the first and last timestamp come back from SQLite as they were bound") {
  auto body = []() -> awaitable<void> {
    Open db("sqlite::memory:");
    co_await db.connect();
    co_await db.run("CREATE TABLE t (r REAL, at TIMESTAMP)");
    const sql::Timestamp first = sys_days(0y / 1 / 1), last = sql::Timestamp(sys_days(9999y / 12 / 31)) + 24h - std::chrono::microseconds(1);
    for (const sql::Timestamp at : {first, last}) {
      co_await db.run("DELETE FROM t");
      co_await db.run("INSERT INTO t VALUES ($1, $2)", -std::numeric_limits<double>::infinity(), at);
      const sql::Rows rows = co_await db.run("SELECT * FROM t");
      CHECK(rows[0]["r"].as<double>() == -std::numeric_limits<double>::infinity());
      CHECK(rows[0]["at"].as<sql::Timestamp>() == at);
    }
    co_await db.close();
  };
  on_loop(body);
}

TEST_CASE("text that is not UTF-8 comes from SQLite as bytes, and as text it is an error that names its column") {
  auto body = []() -> awaitable<void> {
    Open db("sqlite::memory:");
    co_await db.connect();
    const sql::Rows rows = co_await db.run("SELECT 'ok' AS good, CAST(x'c328' AS TEXT) AS bad");
    CHECK(rows[0]["good"].as<std::string>() == "ok");
    CHECK(rows[0]["bad"].as<sql::Bytes>() == sql::Bytes{std::byte{0xc3}, std::byte{0x28}});
    std::optional<sql::SqlError> error;
    try {
      rows[0]["bad"].as<std::string>();
    } catch (const sql::SqlError& e) {
      error = e;
    }
    REQUIRE(error);
    CHECK(error->phase() == sql::Phase::decode);
    CHECK(error->error_class() == sql::Class::type);
    CHECK(std::string(error->what()).find("column \"bad\" of row 0: asked for text, found bytes") == 0);
    co_await db.close();
  };
  on_loop(body);
}
