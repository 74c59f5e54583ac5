// A transaction that a single statement opened. What comes next would run elsewhere, and what it did would be rolled back: never in silence.
#include <support/process.hpp>

#include "mysql_fixture.hpp"
#include "support/real_database.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

void check_smuggled(RealDatabase& t, bool closes, const char* create, const std::vector<std::string>& openers) {
  auto body = [&]() -> awaitable<void> {
    co_await t.db->execute("DROP TABLE IF EXISTS smuggled");
    co_await t.db->execute(create);
    std::uint64_t connects = t.stats.connects.get();
    for (const std::string& opener : openers) {
      CAPTURE(opener);
      const auto refused = co_await error_from<sql::SqlError>(t.db->query(opener));
      REQUIRE(refused);
      if (closes) CHECK(refused->sqlstate() == "25001");
      CHECK(std::string(refused->what()).find("begin()") != std::string::npos);
      co_await t.db->execute("INSERT INTO smuggled VALUES ($1)", 1);
      CHECK(t.stats.connects.get() == connects + (closes ? 1 : 0));  // not used again
      connects = t.stats.connects.get();
      std::optional<sql::SqlError> streamed;
      try {
        sql::Stream rows = co_await t.db->stream(opener);
        while (co_await rows.next()) {
        }
      } catch (const sql::SqlError& e) {
        streamed = e;
      }
      REQUIRE(streamed);
      co_await t.db->execute("INSERT INTO smuggled VALUES ($1)", 2);
      CHECK(t.stats.connects.get() == connects + (closes ? 1 : 0));
      connects = t.stats.connects.get();
    }
    const sql::Rows rows = co_await t.db->query("SELECT count(*) FROM smuggled");
    CHECK(rows[0][0].as<std::size_t>() == 2 * openers.size());
    // Whole results, in rows or streamed, are no transaction.
    sql::Stream plain = co_await t.db->stream("SELECT * FROM smuggled");
    while (co_await plain.next()) {
    }
    sql::Stream closed = co_await t.db->stream("SELECT * FROM smuggled");
    co_await closed.next();
    co_await closed.close();
    CHECK(t.stats.connects.get() == connects);
  };
  t.run(body);
}

}  // namespace

TEST_CASE("a transaction that a single statement leaves open is an error that says so, whether its rows are read at once or streamed") {
  SUBCASE("PostgreSQL") {
    if (!PostgresServer::require()) return;
    RealDatabase t(server().url(), 1);
    check_smuggled(t, true, "CREATE TABLE smuggled (n int)", {"BEGIN", "START TRANSACTION", "/* x */ begin read only"});
  }
  SUBCASE("MariaDB") {
    if (!MariaDbServer::require()) return;
    RealDatabase t(mariadb().url(), 16);  // the permits of closed ones do not come back without a janitor
    check_smuggled(t, true, "CREATE TABLE smuggled (n int) ENGINE=InnoDB",
                   {"BEGIN", "START TRANSACTION", "BEGIN NOT ATOMIC START TRANSACTION; INSERT INTO smuggled VALUES (9); END"});
  }
  SUBCASE("SQLite") {
    const TemporaryDirectory directory;
    RealDatabase t("sqlite:" + directory.path() + "/test.db", 1);
    check_smuggled(t, false, "CREATE TABLE smuggled (n int)", {"BEGIN", "BEGIN IMMEDIATE", "SAVEPOINT s"});
  }
}
