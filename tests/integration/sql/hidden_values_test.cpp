// Values of parameters, which servers like to quote, are in no error.
#include "mysql_fixture.hpp"
#include "support/real_database.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

struct Quoting {
  std::string sql;
  sql::Value parameter;
};

// Each fails; true to its database's own words without the secret, and with it only if asked for.
void check_hidden(const std::string& url, const std::vector<Quoting>& quotings, const std::string& secret) {
  for (const bool shown : {false, true}) {
    config::Pool options = RealDatabase::with_url(url);
    options.log_parameters = shown;
    RealDatabase t(options, 1);
    auto body = [&]() -> awaitable<void> {
      for (const Quoting& one : quotings) {
        const std::string told = one.sql;
        CAPTURE(told);
        pool::Lease lease = co_await t.pool->acquire();
        auto& session = static_cast<sql::Session&>(lease.connection());
        for (const bool streamed : {false, true}) {
          std::vector<sql::Value> parameters{one.parameter};
          sql::Statement statement(one.sql, std::move(parameters));
          std::optional<sql::SqlError> error;
          try {
            const Deadline soon = Deadline::after(scaled(20s));
            if (streamed) {
              const auto source = co_await session.open_stream(std::move(statement), soon, soon);
              co_await source->next(soon);
            } else {
              co_await session.run(std::move(statement), soon);
            }
          } catch (const sql::SqlError& e) {
            error = e;
          }
          REQUIRE(error);
          const std::string what = error->what();
          CAPTURE(what);
          CHECK((std::string(error->what()).find(secret) != std::string::npos) == shown);
          CHECK(error->statement() == sql::shorten(one.sql));
          CHECK_FALSE(session.broken);
        }
      }
    };
    t.run(body);
  }
}

}  // namespace

TEST_CASE("PostgreSQL: errors do not quote values, unless log_parameters shows them") {
  if (!PostgresServer::require()) return;
  server().query("DROP TYPE IF EXISTS mood");
  server().query("CREATE TYPE mood AS ENUM ('good')");
  const sql::Value word = sql::encode("hunter2");
  check_hidden(server().url(),
               {{"SELECT $1::int", word},
                {"SELECT $1::timestamptz", word},
                {"SELECT $1::uuid", word},
                {"SELECT $1::bool", word},
                {"SELECT $1::int[]", word},
                {"SELECT $1::mood", word},
                {"SELECT $1::regclass", word},
                {"SELECT $1::regtype", word},
                {"SELECT $1::regproc", word},
                {"SELECT ($1::text || ' \" x')::int", word},
                {"SELECT to_tsquery('simple', $1::text || ' \" & &')", word},
                {"SELECT set_config('work_mem', $1, true)", word},
                {"SELECT date_trunc($1::text, now())", word},
                {"SELECT nextval($1)", word}},
               "hunter2");
  check_hidden(server().url(),
               {{"SELECT $1::int", sql::encode(std::int64_t{98765432109876})}, {"SELECT $1::smallint", sql::encode("98765432109876")}},
               "98765432109876");
  check_hidden(server().url(), {{"SELECT convert_from($1, 'UTF8')", sql::encode(sql::Bytes{std::byte{0xc3}, std::byte{0x28}})}}, "0xc3 0x28");
}

TEST_CASE("PostgreSQL: the names in an error are those that the statement or the server's own fields tell") {
  if (!PostgresServer::require()) return;
  RealDatabase t(server().url(), 1);
  auto body = [&]() -> awaitable<void> {
    co_await t.db->execute("DROP TABLE IF EXISTS told");
    co_await t.db->execute(
        "CREATE TABLE told (id int CONSTRAINT told_once PRIMARY KEY, name text NOT NULL, n int CONSTRAINT told_positive CHECK (n > 0))");
    co_await t.db->execute("INSERT INTO told VALUES (1, 'a', 1)");
    struct Told {
      const char* sql;
      const char* words;
    };
    const std::vector<Told> all = {{"INSERT INTO told VALUES ($1, 'a', 1)", "\"told_once\""},
                                   {"INSERT INTO told VALUES ($1 + 1, 'a', -1)", "\"told\" violates check constraint \"told_positive\""},
                                   {"INSERT INTO told VALUES ($1 + 1, NULL, 1)", "column \"name\" of relation \"told\""},
                                   {"SELECT Nowhere FROM told WHERE id = $1", "column \"nowhere\" does not exist"},
                                   {"SELECT $1::int FROM elsewhere", "relation \"elsewhere\" does not exist"}};
    for (const Told& one : all) {
      const std::string told = one.sql;
      CAPTURE(told);
      const auto error = co_await error_from<sql::SqlError>(t.db->query(one.sql, 1));
      REQUIRE(error);
      const std::string what = error->what();
      CAPTURE(what);
      CHECK(std::string(error->what()).find(one.words) != std::string::npos);
    }
  };
  t.run(body);
}

TEST_CASE("MariaDB: errors do not quote values, unless log_parameters shows them") {
  if (!MariaDbServer::require()) return;
  mariadb().query("CREATE OR REPLACE TABLE quoted (n INT, name VARCHAR(20) UNIQUE, at DATETIME) ENGINE=InnoDB");
  mariadb().query("INSERT INTO quoted VALUES (1, 'hunter2', NULL)");
  mariadb().query("CREATE OR REPLACE TABLE parted (n BIGINT) PARTITION BY LIST (n) (PARTITION one VALUES IN (1))");
  const sql::Value word = sql::encode("hunter2");
  check_hidden(mariadb().url(),
               {{"INSERT INTO quoted (n) VALUES ($1)", word},
                {"INSERT INTO quoted (name) VALUES ($1)", word},
                {"INSERT INTO quoted (at) VALUES ($1)", word},
                {"UPDATE quoted SET n = n + $1", word},
                {"SET sql_mode = $1", word},
                {"SET time_zone = $1", word},
                {"SET character_set_results = $1", word}},
               "hunter2");
  check_hidden(mariadb().url(),
               {{"SELECT $1 * 9223372036854775807", sql::encode(std::int64_t{98765432109876})},
                {"INSERT INTO parted VALUES ($1)", sql::encode(std::int64_t{98765432109876})}},
               "98765432109876");
}
