#include <chrono>
#include <limits>

#include "with_session.hpp"

using namespace sluice;
using namespace sluice::test;
using Session = postgres::PostgresSession;

namespace {

// The SqlError that the statement must end with.
awaitable<sql::SqlError> error_of(Session& session, std::string sql) {
  std::optional<sql::SqlError> error;
  try {
    co_await query(session, sql);
  } catch (const sql::SqlError& e) {
    error = e;
  }
  REQUIRE_MESSAGE(error.has_value(), sql);
  co_return *error;
}

}  // namespace

TEST_CASE("Values of every type come back as they went to PostgreSQL, the extremes too") {
  if (!PostgresServer::require()) return;
  Client client;
  with_session(client, [](Session& s) -> awaitable<void> {
    const sql::Timestamp time = std::chrono::sys_days(std::chrono::year(2024) / 2 / 29) + std::chrono::microseconds(45'296'789'012);
    const sql::Bytes bytes = {std::byte{0}, std::byte{0xff}, std::byte{'x'}};
    const std::int64_t least = std::numeric_limits<std::int64_t>::min(), most = std::numeric_limits<std::int64_t>::max();
    const double tiny = std::numeric_limits<double>::denorm_min(), huge = std::numeric_limits<double>::max();
    const sql::Rows rows = co_await query(
        s, "SELECT $1::bool, $2::int8, $3::int8, $4::float8, $5::float8, $6::text, $7::bytea, $8::timestamptz, $9::timestamp, $10::int4, $11::text",
        true, least, most, tiny, huge, "O'Reilly \\ \xE2\x82\xAC", bytes, time, time, std::optional<int>(), "");
    const sql::Row row = rows[0];
    CHECK(row[0].as<bool>());
    CHECK(row[1].as<std::int64_t>() == least);
    CHECK(row[2].as<std::int64_t>() == most);
    CHECK(row[3].as<double>() == tiny);
    CHECK(row[4].as<double>() == huge);
    CHECK(row[5].as<std::string>() == "O'Reilly \\ \xE2\x82\xAC");
    CHECK(row[6].as<sql::Bytes>() == bytes);
    CHECK(row[7].as<sql::Timestamp>() == time);
    CHECK(row[8].as<sql::Timestamp>() == time);
    CHECK(row[9].is_null());
    CHECK(row[10].as<std::string>().empty());
    // The zone of the session does not move an instant.
    co_await query(s, "SET TimeZone = 'Asia/Kolkata'");
    const sql::Rows shifted = co_await query(s, "SELECT $1::timestamptz, 'infinity'::timestamptz, 12.30::numeric, '{\"a\":1}'::json", time);
    CHECK(shifted[0][0].as<sql::Timestamp>() == time);
    CHECK(shifted[0][1].as<sql::Timestamp>() == sql::Timestamp::max());
    CHECK(shifted[0][2].as<std::string>() == "12.30");
    CHECK(shifted[0][3].as<std::string>() == "{\"a\":1}");
  });
}

TEST_CASE("Parameters take the type that the statement gives them") {
  if (!PostgresServer::require()) return;
  Client client;
  with_session(client, [](Session& s) -> awaitable<void> {
    co_await query(s, "CREATE TEMP TABLE t (id int PRIMARY KEY, name varchar(20), price numeric(10,2), born date, raw bytea, ok bool)");
    const sql::Bytes raw(70000, std::byte{7});
    const sql::Rows inserted =
        co_await query(s, "INSERT INTO t VALUES ($1, $2, $3, $4, $5, $6) RETURNING id", 1, "one", 2.5, "2024-02-29", raw, true);
    CHECK(inserted.affected() == 1);
    CHECK(inserted[0]["id"].as<int>() == 1);
    const sql::Rows found =
        co_await query(s, "SELECT * FROM t WHERE id = $1 AND ok = $2 AND name LIKE $3 AND price > $4 LIMIT $5", 1, true, "o%", 2, 10);
    REQUIRE(found.size() == 1);
    CHECK(found[0]["price"].as<std::string>() == "2.50");
    CHECK(found[0]["born"].as<std::string>() == "2024-02-29");
    CHECK(found[0]["raw"].as<sql::Bytes>() == raw);
    CHECK(found.affected() == 0);
    const sql::Rows changed = co_await query(s, "UPDATE t SET name = $1", sql::Null{});
    CHECK(changed.affected() == 1);
    const sql::Rows none = co_await query(s, "SELECT * FROM t WHERE id = $1", 2);
    CHECK(none.empty());
    CHECK(none.columns().size() == 6);
  });
}

TEST_CASE("A parameter and a result of many buffers go through while the loop turns") {
  if (!PostgresServer::require()) return;
  Client client;
  with_session(client, [](Session& s) -> awaitable<void> {
    const std::string big(2 << 20, 'x');
    const sql::Rows back = co_await query(s, "SELECT $1::text || 'y'", big);
    CHECK(back[0][0].as<std::string>().size() == big.size() + 1);
  });
}

TEST_CASE("A statement is prepared once, and the least used one is deallocated when the cache is full") {
  if (!PostgresServer::require()) return;
  config::Pool options = pool_options(server().url());
  options.statement_cache = 3;
  Client client(options);
  with_session(client, [](Session& s) -> awaitable<void> {
    for (int round = 0; round < 5; ++round) {
      for (int i = 0; i < 4; ++i) {
        const sql::Rows rows = co_await query(s, "SELECT $1::int + " + std::to_string(i), round);
        CHECK(rows[0][0].as<int>() == round + i);
      }
    }
    for (int i = 0; i < 3; ++i) co_await query(s, "SELECT $1::int + 3", i);
    CHECK(s.cached_statements() == 3);
    const sql::Rows seen = co_await query(s, "SELECT count(*) FROM pg_prepared_statements");
    CHECK(seen[0][0].as<int>() == 3);
    // Bytes and text are different statements of one text.
    const sql::Bytes two{std::byte{0}, std::byte{1}};
    const sql::Rows bytes = co_await query(s, "SELECT length($1)", two);
    CHECK(bytes[0][0].as<int>() == 2);
    const sql::Rows letters = co_await query(s, "SELECT length($1)", "abc");
    CHECK(letters[0][0].as<int>() == 3);
  });
}

TEST_CASE("Without a cache nothing is prepared by name") {
  if (!PostgresServer::require()) return;
  config::Pool options = pool_options(server().url());
  options.statement_cache = 0;
  Client client(options);
  with_session(client, [](Session& s) -> awaitable<void> {
    const sql::Rows rows = co_await query(s, "SELECT $1::int, (SELECT count(*) FROM pg_prepared_statements)", 5);
    CHECK(rows[0][0].as<int>() == 5);
    CHECK(rows[0][1].as<int>() == 0);
  });
}

TEST_CASE("A statement that failed to prepare is not taken for prepared") {
  if (!PostgresServer::require()) return;
  Client client;
  with_session(client, [](Session& s) -> awaitable<void> {
    const std::size_t before = s.cached_statements();
    const sql::SqlError missing = co_await error_of(s, "SELECT * FROM later");
    CHECK(missing.phase() == sql::Phase::prepare);
    CHECK(missing.sqlstate() == "42P01");
    CHECK(s.cached_statements() == before);
    co_await query(s, "CREATE TEMP TABLE later (i int)");
    const sql::Rows rows = co_await query(s, "SELECT * FROM later");
    CHECK(rows.empty());
  });
}

TEST_CASE("A prepared statement survives a change of its table and the loss of its prepared form") {
  if (!PostgresServer::require()) return;
  Client client;
  with_session(client, [](Session& s) -> awaitable<void> {
    co_await query(s, "CREATE TEMP TABLE t (a int)");
    co_await query(s, "SELECT * FROM t");
    co_await query(s, "ALTER TABLE t ADD COLUMN b int");
    const sql::Rows wider = co_await query(s, "SELECT * FROM t");
    CHECK(wider.columns().size() == 2);
    co_await s.run_script("DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$", Deadline::never());
    const sql::Rows again = co_await query(s, "SELECT * FROM t");
    CHECK(again.columns().size() == 2);
    co_await query(s, "DISCARD ALL");
    CHECK(s.cached_statements() == 0);
    const sql::Rows one = co_await query(s, "SELECT 1");
    CHECK(one[0][0].as<int>() == 1);
  });
}

TEST_CASE("Errors carry class, SQLSTATE and the statement, never a parameter, and leave the connection usable") {
  if (!PostgresServer::require()) return;
  Client client;
  with_session(client, [](Session& s) -> awaitable<void> {
    co_await s.run_script("CREATE TEMP TABLE p (id int PRIMARY KEY); CREATE TEMP TABLE c (id int NOT NULL REFERENCES p, n int CHECK (n > 0))",
                          Deadline::never());
    co_await query(s, "INSERT INTO p VALUES ($1)", 1);
    struct Expected {
      const char* sql;
      sql::Class error_class;
      const char* state;
    };
    const Expected expected[] = {{"INSERT INTO p VALUES (1)", sql::Class::unique_violation, "23505"},
                                 {"INSERT INTO c VALUES (7, 1)", sql::Class::foreign_key_violation, "23503"},
                                 {"INSERT INTO c VALUES (NULL, 1)", sql::Class::not_null_violation, "23502"},
                                 {"INSERT INTO c VALUES (1, 0)", sql::Class::check_violation, "23514"},
                                 {"SELEKT 1", sql::Class::syntax, "42601"},
                                 {"SELECT 1; SELECT 2", sql::Class::syntax, "42601"},
                                 {"SELECT pg_read_file('/etc/passwd')", sql::Class::permission, "42501"},
                                 {"SELECT 'x'::int", sql::Class::type, "22P02"}};
    for (const Expected& e : expected) {
      const std::string text = e.sql;
      const sql::SqlError error = co_await error_of(s, text);
      CAPTURE(error.what());
      CHECK(error.error_class() == e.error_class);
      CHECK(error.sqlstate() == e.state);
      CHECK(error.statement() == text);
      CHECK_FALSE(s.broken);
    }
    std::string message;
    try {
      co_await query(s, "INSERT INTO p VALUES ($1)", 1);
    } catch (const sql::SqlError& e) {
      message = e.what();
    }
    CHECK(message.find("p_pkey") != std::string::npos);
    CHECK(message.find("(1)") == std::string::npos);
    CHECK_FALSE(s.in_transaction());
  });
}

TEST_CASE("A transaction commits or rolls back, and a commit that the server turned into a rollback throws") {
  if (!PostgresServer::require()) return;
  Client client;
  with_session(client, [](Session& s) -> awaitable<void> {
    co_await query(s, "CREATE TEMP TABLE t (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)");
    const Deadline soon = Deadline::after(scaled(10s));
    co_await s.begin({}, soon);
    CHECK(s.in_transaction());
    co_await query(s, "INSERT INTO t VALUES (1)");
    CHECK(s.dirty);
    co_await s.commit(soon);
    CHECK_FALSE(s.in_transaction());

    co_await s.begin({}, soon);
    co_await query(s, "INSERT INTO t VALUES (2)");
    co_await s.rollback(soon);

    co_await s.begin({}, soon);
    co_await query(s, "INSERT INTO t VALUES (3)");
    const sql::SqlError failed = co_await error_of(s, "SELECT 1/0");
    CHECK(failed.sqlstate() == "22012");
    // A statement never seen before: the server's own error comes through.
    const sql::SqlError ignored = co_await error_of(s, "SELECT 'not prepared in a failed transaction'");
    CHECK(ignored.sqlstate() == "25P02");
    std::optional<sql::SqlError> refused;
    try {
      co_await s.commit(soon);
    } catch (const sql::SqlError& e) {
      refused = e;
    }
    REQUIRE(refused);
    CHECK(refused->phase() == sql::Phase::commit);
    CHECK_FALSE(s.in_transaction());

    co_await s.begin({}, soon);
    co_await query(s, "INSERT INTO t VALUES (1)");
    std::optional<sql::SqlError> deferred;
    try {
      co_await s.commit(soon);
    } catch (const sql::SqlError& e) {
      deferred = e;
    }
    REQUIRE(deferred);
    CHECK(deferred->phase() == sql::Phase::commit);
    CHECK(deferred->error_class() == sql::Class::unique_violation);
    const sql::Rows rows = co_await query(s, "SELECT array_agg(id)::text FROM t");
    CHECK(rows[0][0].as<std::string>() == "{1}");

    sql::TransactionOptions read_only;
    read_only.read_only = true;
    co_await s.begin(read_only, soon);
    const sql::SqlError written = co_await error_of(s, "CREATE TABLE never (i int)");
    CHECK(written.sqlstate() == "25006");
    co_await s.rollback(soon);
  });
}

TEST_CASE("reset ends transactions and session state; an unchanged session keeps its prepared statements") {
  if (!PostgresServer::require()) return;
  Client client;
  with_session(client, [&client](Session& s) -> awaitable<void> {
    const Deadline soon = Deadline::after(scaled(10s));
    co_await query(s, "SELECT 1");
    CHECK_FALSE(s.dirty);
    co_await query(s, "BEGIN");
    CHECK(s.dirty);
    co_await client.connector().reset(s, soon);
    CHECK_FALSE(s.in_transaction());
    CHECK_FALSE(s.dirty);
    CHECK(s.cached_statements() > 0);
    co_await query(s, "SET work_mem = '1MB'");
    CHECK(s.dirty);
    co_await query(s, "SELECT pg_advisory_lock(42)");
    co_await client.connector().reset(s, soon);
    CHECK_FALSE(s.dirty);
    CHECK(s.cached_statements() == 0);
    const sql::Rows rows = co_await query(
        s, "SELECT current_setting('work_mem'), (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())");
    CHECK(rows[0][0].as<std::string>() != "1MB");
    CHECK(rows[0][1].as<int>() == 0);
    co_await client.connector().ping(s, soon);
  });
}

TEST_CASE("COPY through a query breaks only its own connection, with a reason") {
  if (!PostgresServer::require()) return;
  Client client;
  with_session(client, [](Session& s) -> awaitable<void> {
    const sql::SqlError error = co_await error_of(s, "COPY (SELECT generate_series(1, 100000)) TO STDOUT");
    CHECK(std::string(error.what()).find("COPY") != std::string::npos);
    CHECK(s.broken);
    const sql::SqlError after = co_await error_of(s, "SELECT 1");
    CHECK(after.error_class() == sql::Class::connection);
  });
}

TEST_CASE("A second statement on a busy connection is refused and disturbs nothing") {
  if (!PostgresServer::require()) return;
  Client client;
  Loop loop;
  loop.run([&]() -> awaitable<void> {
    std::unique_ptr<Session> session = co_await client.connect();
    std::exception_ptr first = std::make_exception_ptr(0);
    asio::co_spawn(loop.context(), query(*session, "SELECT pg_sleep(0.1)"), [&](std::exception_ptr e, sql::Rows) { first = e; });
    const auto executor = co_await asio::this_coro::executor;
    co_await asio::post(executor, use_awaitable);
    const sql::SqlError refused = co_await error_of(*session, "SELECT 2");
    CHECK(std::string(refused.what()).find("another statement runs") != std::string::npos);
    asio::steady_timer poll(executor);
    while (first && !session->broken) {
      poll.expires_after(1ms);
      co_await poll.async_wait(use_awaitable);
    }
    CHECK_FALSE(first);
    const sql::Rows rows = co_await query(*session, "SELECT 3");
    CHECK(rows[0][0].as<int>() == 3);
    co_await client.close(std::move(session));
  });
}
