// Too few and too many parameters are told alike on every database, with both numbers, and nothing runs.
#include <support/process.hpp>

#include "group_members.hpp"
#include "mysql_fixture.hpp"
#include "support/real_database.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

void check_counts(RealDatabase& t) {
  auto body = [&]() -> awaitable<void> {
    struct Case {
      const char* sql;
      std::size_t given;
      const char* words;
    };
    const std::vector<Case> cases = {{"SELECT $1, $2 -- $3", 1, "statement has $2 but 1 parameter was given"},
                                     {"SELECT $1, '$2'", 0, "statement has $1 but 0 parameters were given"},
                                     {"SELECT $1", 2, "statement uses $1 to $1 only but 2 parameters were given"},
                                     {"SELECT 1", 1, "statement uses no parameter but 1 parameter was given"}};
    for (const Case& one : cases) {
      const std::string shown = one.sql;
      CAPTURE(shown);
      for (const bool streamed : {false, true}) {
        std::vector<sql::Value> parameters(one.given, sql::encode(sql::Bytes{std::byte{1}}));
        sql::Statement statement(one.sql, std::move(parameters));
        std::optional<sql::SqlError> error;
        try {
          pool::Lease lease = co_await t.pool->acquire();
          auto& session = static_cast<sql::Session&>(lease.connection());
          if (streamed)
            co_await session.open_stream(std::move(statement), Deadline::after(scaled(20s)), Deadline::never());
          else
            co_await session.run(std::move(statement), Deadline::after(scaled(20s)));
        } catch (const sql::SqlError& e) {
          error = e;
        }
        REQUIRE(error);
        const std::string what = error->what();
        CAPTURE(what);
        CHECK(error->phase() == sql::Phase::encode);
        CHECK(error->error_class() == sql::Class::syntax);
        CHECK(std::string(error->what()).find(one.words) == 0);
      }
    }
    const sql::Rows rows = co_await t.db->query("SELECT 1");
    CHECK(rows[0][0].as<int>() == 1);
  };
  t.run(body);
  CHECK(t.stats.connects.get() == 1);
}

}  // namespace

TEST_CASE("another number of parameters than the statement has is one error on every database, with both numbers") {
  SUBCASE("PostgreSQL") {
    if (!PostgresServer::require()) return;
    RealDatabase t(server().url(), 1);
    check_counts(t);
    auto body = [&]() -> awaitable<void> {
      // What is no placeholder of ours is the server's to judge.
      const sql::Rows quoted = co_await t.db->query("SELECT $a$ $7 $a$ || $1::text", "x");
      CHECK(quoted[0][0].as<std::string>() == " $7 x");
      co_await t.db->execute("CREATE OR REPLACE FUNCTION pg_temp.plus(int) RETURNS int LANGUAGE sql RETURN $1 + 1");
      sql::Transaction tx = co_await t.db->begin();
      const auto inside = co_await error_from<sql::SqlError>(tx.query("SELECT $1::int", 1, 2));
      CHECK(inside);
      co_await tx.query("SELECT 1");  // nothing was sent: the transaction goes on
      co_await tx.commit();
      // One of a group fails alone, new or known.
      pool::Lease lease = co_await t.pool->acquire();
      for (int round = 0; round < 2; ++round) {
        Members group;
        const sql::GroupMember& before = group.add("SELECT $1::int AS grouped", 1);
        const sql::GroupMember& wrong = group.add("SELECT $1::int AS grouped", 1, 2);
        const sql::GroupMember& after = group.add("SELECT $1::int AS other", 3);
        co_await group.run(static_cast<sql::Session&>(lease.connection()));
        CHECK(before.outcome == sql::GroupMember::Outcome::done);
        CHECK(after.outcome == sql::GroupMember::Outcome::done);
        REQUIRE(wrong.failure);
        std::string words;
        try {
          std::rethrow_exception(wrong.failure);
        } catch (const sql::SqlError& e) {
          words = e.what();
        }
        CHECK(words.find("statement uses $1 to $1 only but 2 parameters were given") == 0);
      }
    };
    t.run(body);
  }
  SUBCASE("MariaDB") {
    if (!MariaDbServer::require()) return;
    RealDatabase t(mariadb().url(), 1);
    check_counts(t);
  }
  SUBCASE("SQLite") {
    const TemporaryDirectory directory;
    RealDatabase t("sqlite:" + directory.path() + "/test.db", 1);
    check_counts(t);
  }
}
