// What a pool's check of an idle connection asks the server: `validation_query`, where one is set.
#include <cstdint>
#include <string>

#include "databases.hpp"
#include "mysql_fixture.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

// Every connection that was idle is checked before it is leased.
config::Pool checking(const std::string& url, const std::string& validation_query) {
  config::Pool options;
  options.url = url;
  options.validate_after = 0s;
  options.pipeline = config::Pipeline::off;  // who carries statements keeps its connection between two of them
  options.validation_query = validation_query;
  return options;
}

template <class F>
void on_each_server_url(F test) {
  SUBCASE("PostgreSQL") {
    if (!PostgresServer::require()) return;
    server().query("DROP SCHEMA IF EXISTS public CASCADE");
    server().query("CREATE SCHEMA public AUTHORIZATION app");
    test(server().url());
  }
  SUBCASE("MariaDB") {
    if (!MariaDbServer::require()) return;
    mariadb().query("DROP TABLE IF EXISTS checks");
    test(mariadb().url());
  }
}

}  // namespace

TEST_CASE("option validation_query: it is what the pool asks an idle connection before somebody gets it, each time") {
  on_each_server_url([](const std::string& url) {
    RealDatabase t(checking(url, "INSERT INTO checks VALUES (1)"));
    t.run([&]() -> awaitable<void> {
      co_await t.db->execute("CREATE TABLE checks (n integer)");  // on a connection that is new
      for (int checks = 1; checks <= 3; ++checks) {
        const sql::Rows rows = co_await t.db->query("SELECT count(*) FROM checks");
        CHECK(rows[0][0].as<std::int64_t>() == checks);
      }
    });
    CHECK(t.stats.connects.get() == 1);
  });
}

TEST_CASE("a connection whose validation_query fails is closed with its error, and the caller gets another one") {
  on_each_server_url([](const std::string& url) {
    std::string why;  // outlives the pool that tells it
    RealDatabase t(checking(url, "SELECT of_nothing FROM nowhere"));
    t.pool->on_event([&](const pool::Event& event) {
      if (event.type == pool::EventType::closed && event.reason == pool::CloseReason::error) why = event.detail;
    });
    std::uint64_t first = 0;
    t.run([&]() -> awaitable<void> {
      pool::Lease lease = co_await t.pool->acquire();
      first = lease->session;
    });
    CHECK(t.pool->numbers().idle == 1);
    t.run([&]() -> awaitable<void> {
      pool::Lease lease = co_await t.pool->acquire();
      CHECK(lease->session != first);
    });
    CHECK(why.find("nowhere") != std::string::npos);
    CHECK(t.stats.connects.get() == 2);
  });
}
