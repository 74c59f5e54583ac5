// Statements that are prepared and described already: they go past libpq. Each is run until it does, and then once more.
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/system/system_error.hpp>

#include "with_session.hpp"

using namespace sluice;
using namespace sluice::test;
using Session = postgres::PostgresSession;

namespace {

// Described with its first run.
template <class... Args>
awaitable<sql::Rows> run_again(Session& session, std::string sql, Args... args) {
  co_await query(session, sql, args...);
  const sql::Rows rows = co_await query(session, sql, args...);
  co_return rows;
}

awaitable<std::optional<sql::SqlError>> error_of_another(Session& session, std::string sql, int wrong) {
  std::optional<sql::SqlError> error;
  try {
    co_await query(session, sql, wrong);
  } catch (const sql::SqlError& e) {
    error = e;
  }
  co_return error;
}

awaitable<bool> times_out(Session& session, std::string sql, double seconds, Duration limit) {
  std::vector<sql::Value> values{sql::encode(seconds)};
  sql::Statement statement(std::move(sql), std::move(values));
  bool late = false;
  try {
    co_await session.run(std::move(statement), Deadline::after(limit));
  } catch (const TimedOut&) {
    late = true;
  }
  co_return late;
}

}  // namespace

TEST_CASE("A second run gives names and values as the first one") {
  if (!PostgresServer::require()) return;
  Client client(server().url() + "?sslmode=disable");
  with_session(client, [](Session& s) -> awaitable<void> {
    const sql::Rows rows = co_await run_again(s, "SELECT $1::int AS a, NULL AS b, $2::text AS c", 5, std::string("x"));
    CHECK(rows.columns() == std::vector<std::string>{"a", "b", "c"});
    CHECK(rows[0]["a"].as<int>() == 5);
    CHECK(rows[0]["b"].is_null());
    CHECK(rows[0]["c"].as<std::string>() == "x");
  });
}

TEST_CASE("Rows of no columns, empty statements, changed rows and bytes are past libpq what they are through it") {
  if (!PostgresServer::require()) return;
  Client client;
  with_session(client, [](Session& s) -> awaitable<void> {
    const sql::Rows bare = co_await run_again(s, "SELECT FROM generate_series(1, 3)");
    CHECK(bare.size() == 3);
    const sql::Rows none = co_await run_again(s, "SELECT 1 WHERE false");
    CHECK(none.empty());
    CHECK(none.columns().size() == 1);
    const sql::Rows nothing = co_await run_again(s, "");
    CHECK(nothing.empty());
    co_await query(s, "CREATE TEMP TABLE t (n int, b bytea)");
    const sql::Rows changed = co_await run_again(s, "INSERT INTO t SELECT generate_series(1, $1::int), NULL", 7);
    CHECK(changed.affected() == 7);
    const sql::Bytes bytes{std::byte{0}, std::byte{0xff}, std::byte{'\\'}};
    co_await run_again(s, "UPDATE t SET b = $1", bytes);
    const sql::Rows back = co_await run_again(s, "SELECT b, b = $1 FROM t LIMIT 1", bytes);
    CHECK(back[0][0].as<sql::Bytes>() == bytes);
    CHECK(back[0][1].as<bool>());
  });
}

TEST_CASE("A parameter and a result of many buffers go past libpq while the loop turns, with TLS and without") {
  if (!PostgresServer::require()) return;
  for (const char* mode : {"?sslmode=disable", "?sslmode=require"}) {
    CAPTURE(mode);
    Client client(server().url() + mode);
    with_session(client, [](Session& s) -> awaitable<void> {
      const std::string large(2'000'000, 'y');
      const sql::Rows rows = co_await run_again(s, "SELECT $1::text, n FROM generate_series(1, 3) AS n", large);
      REQUIRE(rows.size() == 3);
      for (std::size_t i = 0; i < 3; ++i) CHECK(rows[i][0].as<std::string>() == large);
      CHECK(rows[2][1].as<int>() == 3);
      const sql::Rows small = co_await run_again(s, "SELECT 1");
      CHECK(small[0][0].as<int>() == 1);
    });
  }
}

TEST_CASE("An error of a second run is its own, in autocommit and in a transaction, and libpq goes on behind it") {
  if (!PostgresServer::require()) return;
  Client client;
  with_session(client, [](Session& s) -> awaitable<void> {
    const std::string divide = "SELECT 10 / $1::int";
    co_await run_again(s, divide, 5);
    const auto error = co_await error_of_another(s, divide, 0);
    REQUIRE(error);
    CHECK(error->sqlstate() == "22012");
    CHECK(error->phase() == sql::Phase::execute);
    CHECK(error->statement() == divide);
    CHECK_FALSE(s.broken);
    CHECK_FALSE(s.dirty);

    co_await s.begin({}, Deadline::after(scaled(5s)));
    const sql::Rows within = co_await query(s, divide, 2);
    CHECK(within[0][0].as<int>() == 5);
    CHECK(s.in_transaction());
    CHECK(s.dirty);
    CHECK((co_await error_of_another(s, divide, 0)));
    CHECK(s.in_transaction());
    const auto failed = co_await error_of_another(s, divide, 1);  // nothing runs in a failed transaction
    REQUIRE(failed);
    CHECK(failed->sqlstate() == "25P02");
    std::string new_one = "SELECT 'not prepared' || $1";
    const auto unprepared = co_await error_of_another(s, std::move(new_one), 1);
    REQUIRE(unprepared);
    CHECK(unprepared->sqlstate() == "25P02");
    co_await s.rollback(Deadline::after(scaled(5s)));
    CHECK_FALSE(s.in_transaction());
    CHECK_FALSE(s.dirty);

    co_await s.begin({}, Deadline::after(scaled(5s)));
    co_await query(s, divide, 2);
    co_await s.commit(Deadline::after(scaled(5s)));
    CHECK_FALSE(s.in_transaction());
    const sql::Rows after = co_await query(s, divide, 1);
    CHECK(after[0][0].as<int>() == 10);
  });
}

TEST_CASE("A second run past its deadline is cancelled on the server, and the cancel hits nothing that comes later") {
  if (!PostgresServer::require()) return;
  Client client;
  with_session(client, [](Session& s) -> awaitable<void> {
    const std::string sleep = "SELECT pg_sleep($1)";
    co_await run_again(s, sleep, 0.0);
    const TimePoint begin = Clock::now();
    const bool late = co_await times_out(s, sleep, 60, 200ms);
    CHECK(late);
    CHECK(Clock::now() - begin < scaled(2s));
    CHECK_FALSE(s.broken);
    CHECK_FALSE(s.dirty);
    for (int i = 0; i < 50; ++i) {
      const sql::Rows rows = co_await query(s, "SELECT $1::int", i);
      CHECK(rows[0][0].as<int>() == i);
    }
  });
}

TEST_CASE("A second run whose coroutine is cancelled breaks its connection, and closing that ends it on the server") {
  if (!PostgresServer::require()) return;
  Client client;
  with_session(client, [](Session& s) -> awaitable<void> {
    const std::string sleep = "SELECT pg_sleep($1)";
    co_await run_again(s, sleep, 0.0);
    const auto executor = co_await asio::this_coro::executor;
    asio::cancellation_signal cancel;
    std::exception_ptr outcome;
    bool ended = false;
    asio::co_spawn(executor, query(s, sleep, 60.0), asio::bind_cancellation_slot(cancel.slot(), [&](std::exception_ptr e, sql::Rows) {
                     outcome = e;
                     ended = true;
                   }));
    asio::steady_timer pause(executor);
    pause.expires_after(50ms);
    co_await pause.async_wait(use_awaitable);
    cancel.emit(asio::cancellation_type::terminal);
    while (!ended) {
      pause.expires_after(1ms);
      co_await pause.async_wait(use_awaitable);
    }
    CHECK_THROWS_AS(std::rethrow_exception(outcome), boost::system::system_error);
    CHECK(s.broken);
  });
  const std::string sleepers = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'";
  CHECK(eventually(5s, [&] { return server().query(sleepers).empty(); }));
}

TEST_CASE("An administrator who ends the session during a second run, or before it, is named as the cause") {
  if (!PostgresServer::require()) return;
  Client client;
  Loop loop;
  for (const bool meanwhile : {false, true}) {
    CAPTURE(meanwhile);
    loop.run([&]() -> awaitable<void> {
      std::unique_ptr<Session> session = co_await client.connect();
      const std::string kill = "SELECT CASE WHEN $1::int > 0 THEN pg_terminate_backend(pg_backend_pid()) END, pg_sleep($1::int)";
      co_await run_again(*session, kill, 0);
      if (!meanwhile) server().query("SELECT pg_terminate_backend(" + std::to_string(session->session) + ", 5000)");
      const auto error = co_await error_of_another(*session, kill, 20);
      REQUIRE(error);
      CHECK(error->sqlstate() == "57P01");
      CHECK(error->phase() == sql::Phase::lost);
      CHECK(error->error_class() == sql::Class::connection);
      CHECK(session->broken);
      const bool gone = co_await client.close(std::move(session));
      if (meanwhile) CHECK(gone);  // what was sent to one that is gone comes back as a reset, which proves nothing
    });
  }
}

TEST_CASE("A prepared form that no longer fits is made anew, by a new description") {
  if (!PostgresServer::require()) return;
  Client client;
  with_session(client, [](Session& s) -> awaitable<void> {
    co_await query(s, "CREATE TEMP TABLE t (a int)");
    co_await query(s, "INSERT INTO t VALUES (1)");
    co_await run_again(s, "SELECT * FROM t");
    co_await query(s, "ALTER TABLE t ADD COLUMN b text DEFAULT 'new'");
    const sql::Rows wider = co_await run_again(s, "SELECT * FROM t");
    REQUIRE(wider.columns().size() == 2);
    CHECK(wider[0]["b"].as<std::string>() == "new");
    co_await query(s, "ALTER TABLE t ALTER COLUMN a TYPE text");
    const sql::Rows other = co_await run_again(s, "SELECT * FROM t");
    CHECK(other[0]["a"].as<std::string>() == "1");
    co_await s.run_script("DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$", Deadline::never());
    const sql::Rows again = co_await run_again(s, "SELECT * FROM t");
    CHECK(again.columns().size() == 2);
  });
}

TEST_CASE("What gives other columns with each run has them described each time") {
  if (!PostgresServer::require()) return;
  Client client;
  with_session(client, [](Session& s) -> awaitable<void> {
    co_await s.begin({}, Deadline::after(scaled(5s)));
    for (const char* select : {"SELECT 1.5 AS a", "SELECT 'text' AS b", "SELECT 1 AS c, 2 AS d"}) {
      co_await s.run_script("DECLARE c CURSOR FOR " + std::string(select), Deadline::after(scaled(5s)));
      const sql::Rows rows = co_await query(s, "FETCH ALL FROM c");
      REQUIRE(rows.size() == 1);
      CHECK(rows.columns().size() == (std::string(select).find(" d") != std::string::npos ? 2 : 1));
      if (std::string(select).find("text") != std::string::npos) CHECK(rows[0]["b"].as<std::string>() == "text");
      co_await s.run_script("CLOSE c", Deadline::after(scaled(5s)));
    }
    co_await s.rollback(Deadline::after(scaled(5s)));
  });
}

TEST_CASE("Bytes in the server's older form end where they end") {
  if (!PostgresServer::require()) return;
  Client client;
  with_session(client, [](Session& s) -> awaitable<void> {
    co_await query(s, "SET bytea_output = escape");
    const sql::Bytes bytes{std::byte{0}, std::byte{'a'}, std::byte{'\\'}, std::byte{0xff}};
    for (int i = 0; i < 3; ++i) {
      const sql::Rows rows = co_await query(s, "SELECT $1::bytea, NULL, $1::bytea FROM generate_series(1, 2)", bytes);
      REQUIRE(rows.size() == 2);
      for (std::size_t row = 0; row < 2; ++row) {
        CHECK(rows[row][0].as<sql::Bytes>() == bytes);
        CHECK(rows[row][2].as<sql::Bytes>() == bytes);
      }
    }
  });
}

TEST_CASE("Notices, settings and other asides between a second run's messages do not disturb it") {
  if (!PostgresServer::require()) return;
  Client client;
  with_session(client, [](Session& s) -> awaitable<void> {
    co_await s.run_script(
        "CREATE FUNCTION pg_temp.talk(n int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'hear, %', n; "
        "PERFORM set_config('application_name', 'other' || n, false); RETURN n; END $$",
        Deadline::never());
    const sql::Rows rows = co_await run_again(s, "SELECT pg_temp.talk(n) FROM generate_series(1, 3) AS n");
    REQUIRE(rows.size() == 3);
    CHECK(rows[2][0].as<int>() == 3);
  });
}
