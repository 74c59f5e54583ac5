// What people get wrong in statements, parameters and reading: the same list on every database. Each is an error that says its phase and
// class and the statement, costs no connection, and leaves nothing half done.
#include <limits>

#include "databases.hpp"

using namespace sluice;
using namespace sluice::test;
using sql::Class;
using sql::Phase;

namespace {

struct Bad {
  std::string what;
  std::string sql;
  std::vector<sql::Value> parameters;
  Phase phase;
  Class error_class;
  std::string sqlstate;  // "": the driver found it, or SQLite, which has none
};

std::vector<Bad> everything_bad(sql::Dialect dialect) {
  const bool postgres = dialect == sql::Dialect::postgres, mysql = dialect == sql::Dialect::mysql, sqlite = dialect == sql::Dialect::sqlite;
  const auto state = [&](const char* of_postgres, const char* of_mysql) { return std::string(postgres ? of_postgres : mysql ? of_mysql : ""); };
  const std::string id = "INSERT INTO kept VALUES ($1, 'two')", name = "INSERT INTO kept VALUES (2, $1)";
  const std::string long_comment = "SELECT nowhere /* " + std::string(300, 'x') + " */ FROM kept";
  std::vector<Bad> all{
      {"too few parameters", "INSERT INTO kept VALUES ($1, $2)", {sql::encode(2)}, Phase::encode, Class::syntax, ""},
      {"too many parameters", id, {sql::encode(2), sql::encode("two")}, Phase::encode, Class::syntax, ""},
      {"a parameter of the wrong type", id, {sql::encode("seven")}, Phase::execute, Class::type, state("22P02", "")},
      {"an unknown column", "SELECT nowhere FROM kept", {}, Phase::prepare, Class::syntax, state("42703", "42S22")},
      {"an unknown column of a long statement", long_comment, {}, Phase::prepare, Class::syntax, state("42703", "42S22")},
      {"an unknown table", "SELECT * FROM nowhere", {}, Phase::prepare, Class::syntax, state("42P01", "42S02")},
      {"no SQL", "SELEC 1", {}, Phase::prepare, Class::syntax, state("42601", "42000")},
      {"NULL where it may not be", name, {sql::Value(sql::Null{})}, Phase::execute, Class::not_null_violation, state("23502", "23000")},
      {"text that is not UTF-8", name, {sql::encode("\xC3(")}, postgres ? Phase::execute : Phase::encode, Class::type, state("22021", "22021")},
      {"several statements", "INSERT INTO kept VALUES (2, 'two'); INSERT INTO kept VALUES (3, 'three')", {}, Phase::prepare, Class::syntax,
       state("42601", "42000")},
      {"a second row that may not be", "INSERT INTO kept VALUES (2, 'two'), (1, 'again')", {}, Phase::execute, Class::unique_violation,
       state("23505", "23000")}};
  if (sqlite) {
    const sql::Value largest = sql::encode(std::numeric_limits<std::uint64_t>::max());
    all.push_back({"a number too large", id, {largest}, Phase::encode, Class::type, ""});
  } else {
    all.push_back({"a number too large", id, {sql::encode(std::int64_t{5'000'000'000})}, Phase::execute, Class::type, "22003"});
    all.push_back({"a text too long", name, {sql::encode("longer")}, Phase::execute, Class::type, "22001"});
  }
  return all;
}

// What reading that throws says, or "".
template <class F>
std::string decode_failure(F read) {
  try {
    read();
  } catch (const sql::SqlError& e) {
    CHECK(e.phase() == Phase::decode);
    CHECK(e.error_class() == Class::type);
    return e.what();
  }
  return {};
}

}  // namespace

TEST_CASE("Whatever is wrong with a statement or a parameter is one typed error on every database; nothing of it is done, the connection serves on") {
  on_each_database([](RealDatabase& t) {
    const sql::Dialect dialect = t.db->dialect();
    const std::vector<Bad> all = everything_bad(dialect);
    auto body = [&]() -> awaitable<void> {
      co_await t.db->execute("CREATE TABLE kept (id INTEGER PRIMARY KEY, name VARCHAR(5) NOT NULL)");
      co_await t.db->execute("INSERT INTO kept VALUES (1, 'one')");
      for (const Bad& bad : all) {
        CAPTURE(bad.what);
        sql::Statement statement(bad.sql, bad.parameters);
        const auto error = co_await error_from<sql::SqlError>(t.db->run(std::move(statement)));
        REQUIRE(error);
        const std::string said = error->what();
        CAPTURE(said);
        CHECK(error->phase() == bad.phase);
        CHECK(error->error_class() == bad.error_class);
        if (!bad.sqlstate.empty()) CHECK(error->sqlstate() == bad.sqlstate);
        if (error->phase() != Phase::encode) CHECK((!error->sqlstate().empty() || error->native_code() != 0));
        CHECK(error->statement() == sql::shorten(bad.sql));
        const sql::Rows rows = co_await t.db->query("SELECT COUNT(*) FROM kept");
        CHECK(rows[0][0].as<int>() == 1);
      }
    };
    t.run(body);
    CHECK(t.stats.connects.get() == 1);
    CHECK(t.stats.lost.get() == 0);
  });
}

TEST_CASE("NULL into a plain type, a column that is not there, and a value that does not fit are errors of reading on every database") {
  on_each_database([](RealDatabase& t) {
    sql::Rows rows;
    auto body = [&]() -> awaitable<void> { rows = co_await t.db->query("SELECT 300 AS big, 'word' AS word, NULL AS absent"); };
    t.run(body);
    REQUIRE(rows.size() == 1);
    const auto says = [](const std::string& said, const std::string& words) {
      CAPTURE(said);
      CHECK(said.find(words) != std::string::npos);
    };
    says(decode_failure([&] { return rows[0]["absent"].as<int>(); }), "column \"absent\" of row 0: asked for an integer");
    says(decode_failure([&] { return rows[0]["absent"].as<std::string>(); }), "found NULL (a column that may be NULL is read as std::optional)");
    says(decode_failure([&] { return rows[0]["big"].as<std::int8_t>(); }), "the value is outside");
    says(decode_failure([&] { return rows[0]["word"].as<int>(); }), "column \"word\" of row 0");
    says(decode_failure([&] { return rows[0]["missing"].as<int>(); }), "no column \"missing\"; its columns: big, word, absent");
    says(decode_failure([&] { return rows[0][3].as<int>(); }), "no column at position 3");
    says(decode_failure([&] { return rows[1]; }), "no row 1");
    CHECK_FALSE(rows[0]["absent"].as<std::optional<int>>());
    t.run(body);
    CHECK(t.stats.connects.get() == 1);
  });
}

TEST_CASE("A statement that gives no rows is an empty result on every database, and the connection stays in step") {
  on_each_database([](RealDatabase& t) {
    auto body = [&]() -> awaitable<void> {
      const sql::Rows made = co_await t.db->query("CREATE TABLE bare (n INTEGER)");
      CHECK(made.empty());
      CHECK(made.columns().empty());
      const sql::Rows changed = co_await t.db->query("UPDATE bare SET n = 1");
      CHECK(changed.empty());
      CHECK(changed.affected() == 0);
      const sql::Rows none = co_await t.db->query("SELECT n FROM bare");
      CHECK(none.empty());
      CHECK(none.columns().size() == 1);
      // No statement at all: MariaDB calls that an error.
      const std::string nothing;
      if (t.db->dialect() == sql::Dialect::mysql) {
        const auto error = co_await error_from<sql::SqlError>(t.db->query(nothing));
        REQUIRE(error);
        CHECK(error->error_class() == Class::syntax);
        CHECK(error->native_code() == 1065);
      } else {
        const sql::Rows empty = co_await t.db->query(nothing);
        CHECK(empty.empty());
        CHECK(empty.columns().empty());
      }
      const sql::Rows seven = co_await t.db->query("SELECT 7");
      CHECK(seven[0][0].as<int>() == 7);
    };
    t.run(body);
    CHECK(t.stats.connects.get() == 1);
  });
}
