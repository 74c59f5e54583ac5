// A group on one session: what the server is believed to have prepared, and what is left behind.
#include <iterator>
#include <tuple>

#include "group_members.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

using Outcome = sql::GroupMember::Outcome;

awaitable<std::int64_t> prepared(postgres::PostgresSession& session) {
  const sql::Rows rows = co_await query(session, "SELECT count(*) FROM pg_prepared_statements");
  co_return rows[0][0].as<std::int64_t>();
}

// The server has exactly what the session believes.
awaitable<void> check_prepared(postgres::PostgresSession& session) {
  const std::int64_t there = co_await prepared(session);
  CHECK(there == static_cast<std::int64_t>(session.cached_statements()));
  CHECK_FALSE(session.broken);
  CHECK_FALSE(session.dirty);
  CHECK_FALSE(session.in_transaction());
}

std::string code_of(const std::exception_ptr& failure) {
  try {
    if (failure) std::rethrow_exception(failure);
  } catch (const sql::SqlError& e) {
    return e.sqlstate();
  }
  return {};
}

}  // namespace

TEST_CASE("A statement whose preparing the server skipped or refused is not believed to be prepared") {
  if (!PostgresServer::require()) return;
  for (const bool chained : {false, true}) {
    Client client;
    Loop loop;
    loop.run([&]() -> awaitable<void> {
      std::unique_ptr<postgres::PostgresSession> session = co_await client.connect();
      co_await check_prepared(*session);
      {
        Members group;
        sql::GroupMember& first = group.add("SELECT 1");
        sql::GroupMember& error = group.add("SELECT 1 / $1::int", 0);
        sql::GroupMember& skipped = group.add("SELECT 42");
        co_await group.run(*session, chained);
        CHECK(first.outcome == (chained ? Outcome::done : Outcome::again));
        CHECK(error.outcome == Outcome::failed);
        CHECK(code_of(error.failure) == "22012");
        CHECK(skipped.outcome == Outcome::again);
        co_await check_prepared(*session);
        Members next;
        sql::GroupMember& again = next.add("SELECT 42");
        sql::GroupMember& too = next.add("SELECT 1");
        co_await next.run(*session, chained);
        REQUIRE(again.outcome == Outcome::done);
        CHECK(again.rows[0][0].as<int>() == 42);
        CHECK(too.outcome == Outcome::done);
        co_await check_prepared(*session);
      }
      {
        Members group;  // a Parse error
        sql::GroupMember& gone = group.add("SELECT * FROM there_is_no_such_table");
        sql::GroupMember& skipped = group.add("SELECT 43");
        sql::GroupMember& same = group.add("SELECT * FROM there_is_no_such_table");
        co_await group.run(*session, chained);
        CHECK(gone.outcome == Outcome::failed);
        CHECK(code_of(gone.failure) == "42P01");
        CHECK(skipped.outcome == Outcome::again);
        CHECK(same.outcome == Outcome::again);
        co_await check_prepared(*session);
        const sql::Rows rows = co_await query(*session, "SELECT 43");
        CHECK(rows[0][0].as<int>() == 43);
        co_await check_prepared(*session);
      }
      co_await client.close(std::move(session));
    });
  }
}

TEST_CASE("More texts than the cache holds: groups make room behind their COMMIT, and every answer is right") {
  if (!PostgresServer::require()) return;
  for (const std::uint32_t capacity : {0u, 1u, 4u, 6u}) {
    config::Pool options = pool_options(server().url());
    options.statement_cache = capacity;
    Client client(options);
    Loop loop;
    loop.run([&]() -> awaitable<void> {
      std::unique_ptr<postgres::PostgresSession> session = co_await client.connect();
      for (int round = 0; round < 4; ++round) {
        Members group;
        for (int i = 0; i < 5; ++i) group.add("SELECT $1::int + " + std::to_string(round * 3 + i), i);
        if (round % 2 == 0) group.add("SELECT 1 / $1::int", round == 0 ? 0 : 1);
        co_await group.run(*session, round == 3);
        int i = 0;
        for (const sql::GroupMember& member : group.all) {
          if (i < 5 && round > 0) {
            REQUIRE(member.outcome == Outcome::done);
            CHECK(member.rows[0][0].as<int>() == round * 3 + 2 * i);
          }
          ++i;
        }
        Members one;
        one.add("SELECT 'single' || $1::text", std::to_string(round));
        co_await one.run(*session);
        CHECK(one.all.front().outcome == Outcome::done);
        const std::int64_t there = co_await prepared(*session);
        if (capacity > 0) CHECK(there == static_cast<std::int64_t>(session->cached_statements()));
        CHECK(session->cached_statements() <= capacity);
      }
      co_await client.close(std::move(session));
    });
  }
}

TEST_CASE("A table that changed under a prepared statement is no error in company: the statement goes alone and is prepared anew") {
  if (!PostgresServer::require()) return;
  server().query("DROP TABLE IF EXISTS changing; CREATE TABLE changing (a int); ALTER TABLE changing OWNER TO app; INSERT INTO changing VALUES (1)");
  Client client;
  Loop loop;
  loop.run([&]() -> awaitable<void> {
    std::unique_ptr<postgres::PostgresSession> session = co_await client.connect();
    co_await query(*session, "SELECT * FROM changing");
    server().query("ALTER TABLE changing ADD COLUMN b int DEFAULT 2");
    Members group;
    sql::GroupMember& other = group.add("SELECT 1");
    sql::GroupMember& stale = group.add("SELECT * FROM changing");
    co_await group.run(*session);
    CHECK(stale.outcome == Outcome::alone);
    CHECK_FALSE(stale.unfit);
    CHECK(other.outcome == Outcome::again);
    co_await check_prepared(*session);
    const sql::Rows rows = co_await query(*session, "SELECT * FROM changing");
    CHECK(rows.columns().size() == 2);
    co_await check_prepared(*session);
    co_await client.close(std::move(session));
  });
}

TEST_CASE("Large parameters and large results in one group: both sides go on, and nothing blocks the loop") {
  if (!PostgresServer::require()) return;
  Client client;
  Loop loop;
  loop.run([&]() -> awaitable<void> {
    std::unique_ptr<postgres::PostgresSession> session = co_await client.connect();
    const std::string large(3'000'000, 'x');
    Members group;
    for (int i = 0; i < 12; ++i) group.add("SELECT $1::text, repeat('y', 2000000)", large);
    co_await group.run(*session);
    for (const sql::GroupMember& member : group.all) {
      REQUIRE(member.outcome == Outcome::done);
      CHECK(member.rows[0][0].as<std::string>().size() == large.size());
      CHECK(member.rows[0][1].as<std::string>().size() == 2000000);
    }
    co_await client.close(std::move(session));
  });
}

TEST_CASE("A group in a session of its own: nothing of it is left, whatever ended it") {
  if (!PostgresServer::require()) return;
  Client client;
  Loop loop;
  loop.run([&]() -> awaitable<void> {
    std::unique_ptr<postgres::PostgresSession> session = co_await client.connect();
    for (const char* bad : {"SELECT 1/0", "CREATE TABLE not_here (i int)", "SELECT pg_sleep(60)", "SELECT 1"}) {
      CAPTURE(bad);
      Members group;
      group.add("SELECT 1");
      group.add(bad);
      group.add("SELECT 2");
      co_await group.run(*session, false, 100ms);
      for (const sql::GroupMember& member : group.all) CHECK(member.outcome != Outcome::open);
      co_await check_prepared(*session);
      const sql::Rows rows = co_await query(*session, "SELECT current_setting('transaction_read_only')");
      CHECK(rows[0][0].as<std::string>() == "off");
    }
    co_await client.close(std::move(session));
  });
}

// The third group on a session has every statement prepared and described, and goes past libpq.
TEST_CASE("Groups past libpq: rows, errors and what cannot be sent are their members' own") {
  if (!PostgresServer::require()) return;
  for (const bool chained : {false, true}) {
    CAPTURE(chained);
    Client client;
    Loop loop;
    loop.run([&]() -> awaitable<void> {
      std::unique_ptr<postgres::PostgresSession> session = co_await client.connect();
      const auto three = [&](int divisor, std::string text, int n, Members& group) {
        group.add("SELECT 10 / $1::int AS q", divisor);
        group.add("SELECT $1::text, NULL", text);
        group.add("SELECT g FROM generate_series(1, $1::int) AS g", n);
      };
      for (int round = 0; round < 4; ++round) {
        Members group;
        three(5, "a", 3, group);
        co_await group.run(*session, chained);
        for (const sql::GroupMember& member : group.all) REQUIRE(member.outcome == Outcome::done);
        const auto& [quotient, text, series] = std::tie(group.all.front().rows, std::next(group.all.begin())->rows, group.all.back().rows);
        CHECK(quotient[0]["q"].as<int>() == 2);
        CHECK(text[0][0].as<std::string>() == "a");
        CHECK(text[0][1].is_null());
        CHECK(series.as<int>() == std::vector<int>{1, 2, 3});
      }
      for (const bool last : {false, true}) {
        Members group;
        three(last ? 5 : 0, last ? "a" : std::string("z\0z", 3), 0, group);
        if (last) group.add("SELECT $1::text, NULL", std::string("z\0z", 3));
        co_await group.run(*session, chained);
        sql::GroupMember& unsendable = last ? group.all.back() : *std::next(group.all.begin());
        CHECK(unsendable.outcome == Outcome::failed);
        CHECK(code_of(unsendable.failure) == "22021");
        if (last) {
          CHECK(group.all.front().outcome == Outcome::done);
          CHECK(std::next(group.all.begin())->outcome == Outcome::done);
        } else {
          CHECK(group.all.front().outcome == Outcome::failed);
          CHECK(code_of(group.all.front().failure) == "22012");
          CHECK(group.all.back().outcome == Outcome::again);
        }
      }
      co_await check_prepared(*session);
      co_await client.close(std::move(session));
    });
  }
}

TEST_CASE("A session that has lost all its prepared forms, its BEGIN's too, soon runs groups as before") {
  if (!PostgresServer::require()) return;
  for (const bool chained : {false, true}) {
    CAPTURE(chained);
    Client client;
    Loop loop;
    loop.run([&]() -> awaitable<void> {
      std::unique_ptr<postgres::PostgresSession> session = co_await client.connect();
      const auto go = [&](Members& group) -> awaitable<void> {
        for (int i = 0; i < 3; ++i) group.add("SELECT $1::int", i);
        co_await group.run(*session, chained);
      };
      for (int round = 0; round < 3; ++round) {
        Members group;
        co_await go(group);
        REQUIRE(group.all.back().outcome == Outcome::done);
      }
      co_await session->run_script("DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$", Deadline::never());
      bool as_before = false;
      for (int round = 0; round < 3 && !as_before; ++round) {
        Members group;
        co_await go(group);
        as_before = true;
        for (const sql::GroupMember& member : group.all) {
          CHECK(member.outcome != Outcome::failed);
          as_before = as_before && member.outcome == Outcome::done;
        }
      }
      CHECK(as_before);
      const std::int64_t there = co_await prepared(*session);
      CHECK(there == static_cast<std::int64_t>(session->cached_statements()));
      CHECK_FALSE(session->broken);
      co_await client.close(std::move(session));
    });
  }
}
