#include <malloc.h>

#include <functional>
#include <support/meanwhile.hpp>

#include "databases.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

// The sessions in which the server runs numbers(), by its own list.
std::vector<std::string> streaming_sessions(sql::Dialect dialect) {
  std::vector<std::string> out;
  if (dialect == sql::Dialect::postgres)
    for (const auto& row : server().query("SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT n, %' AND state = 'active'")) out.push_back(row[0]);
  if (dialect == sql::Dialect::mysql)
    for (const MariaDbSession& session : mariadb().sessions())
      if (session.info.find("seq_1_to_") != session.info.npos) out.push_back(std::to_string(session.id));
  return out;
}

// 1 million rows; SLUICE_STREAM_ROWS asks for more.
std::int64_t rows_to_stream() {
  const char* asked = std::getenv("SLUICE_STREAM_ROWS");
  return asked ? std::stoll(asked) : 1'000'000;
}

}  // namespace

TEST_CASE("A large result is streamed in flat memory, in order and complete") {
  on_each_database([](RealDatabase& t) {
    const std::int64_t count = rows_to_stream();
    auto body = [&]() -> awaitable<void> {
      sql::Stream rows = co_await t.db->stream(within(10min), numbers(t.db->dialect()), count);
      std::int64_t expected = 0, wrong = 0;
      std::size_t base = 0, most = 0;
      while (auto row = co_await rows.next()) {
        wrong += (*row)["n"].as<std::int64_t>() != ++expected;
        if (expected == 20'000) base = resident_bytes();
        if (expected % 20'000 == 0) most = std::max(most, resident_bytes());
      }
      CHECK(wrong == 0);
      CHECK(expected == count);
      CHECK(rows.ended());
      MESSAGE(count, " rows; resident memory grew by ", (most - base) / 1024, " KiB");
      if constexpr (!sanitized) CHECK(most - base <= 8u << 20);  // sanitizers keep what was freed
      // The connection is back, and good for the next one.
      CHECK(t.pool->numbers().leased == 0);
      const sql::Rows one = co_await t.db->query("SELECT 1 AS one");
      CHECK(one[0]["one"].as<int>() == 1);
      CHECK(t.stats.connects.get() == 1);
    };
    t.run(body, 10min);
  });
}

TEST_CASE("A stream of nothing ends at once; whole pieces may be taken; row and piece alternate") {
  on_each_database([](RealDatabase& t) {
    auto body = [&]() -> awaitable<void> {
      sql::Stream none = co_await t.db->stream("SELECT 1 AS one WHERE 1 = 0");
      const auto nothing = co_await none.next();
      CHECK_FALSE(nothing);
      const auto still_nothing = co_await none.next();
      CHECK_FALSE(still_nothing);

      sql::Stream rows = co_await t.db->stream(numbers(t.db->dialect()), 2000);
      std::int64_t expected = 0;
      for (int i = 0; i < 5; ++i) {
        const auto row = co_await rows.next();
        REQUIRE(row);
        CHECK((*row)[0].as<std::int64_t>() == ++expected);
      }
      for (;;) {
        const sql::Rows piece = co_await rows.next_rows();
        if (piece.empty()) break;
        CHECK(piece.size() <= 512);
        for (const sql::Row& row : piece) CHECK(row["n"].as<std::int64_t>() == ++expected);
      }
      CHECK(expected == 2000);
    };
    t.run(body);
  });
}

TEST_CASE("A closed stream keeps its connection, an abandoned one is cleaned away, and both end the statement") {
  on_each_database([](RealDatabase& t) {
    auto body = [&]() -> awaitable<void> {
      {
        sql::Stream rows = co_await t.db->stream(numbers(t.db->dialect()), endless);
        co_await rows.next();
        co_await rows.close();
        CHECK(rows.ended());
      }
      const sql::Rows one = co_await t.db->query("SELECT 1 AS one");
      CHECK(one[0][0].as<int>() == 1);
      CHECK(t.stats.connects.get() == 1);
      {
        sql::Stream rows = co_await t.db->stream(numbers(t.db->dialect()), endless);
        co_await rows.next();
      }
      const sql::Rows two = co_await t.db->query("SELECT 2 AS two");
      CHECK(two[0][0].as<int>() == 2);
      asio::steady_timer timer(t.loop);
      for (int i = 0; i < 1000 && !streaming_sessions(t.db->dialect()).empty(); ++i) {
        timer.expires_after(10ms);
        co_await timer.async_wait(use_awaitable);
      }
      const bool ended = streaming_sessions(t.db->dialect()).empty();
      CHECK(ended);
    };
    t.run(body);
  });
}

TEST_CASE("Within a transaction a stream sees its changes, and nothing else runs beside it") {
  on_each_database([](RealDatabase& t) {
    auto body = [&]() -> awaitable<void> {
      co_await t.db->execute("CREATE TABLE t (n bigint)");
      sql::Transaction tx = co_await t.db->begin();
      sql::BulkInsert bulk = co_await tx.bulk_insert("t", "n");
      for (int n = 1; n <= 3000; ++n) co_await bulk.add(n);
      const std::uint64_t inserted = co_await bulk.finish();
      CHECK(inserted == 3000);
      {
        sql::Stream rows = co_await tx.stream("SELECT n FROM t ORDER BY n");
        const auto first = co_await rows.next();
        REQUIRE(first);
        const auto refused = co_await error_from<sql::SqlError>(tx.query("SELECT 1"));
        CHECK(refused);
        // Nor does it end under its reader: the session would be somebody else's.
        for (const bool commit : {true, false}) {
          awaitable<void> end = commit ? tx.commit() : tx.rollback();
          const auto too_early = co_await error_from<Error>(std::move(end));
          REQUIRE(too_early);
          CHECK(std::string(too_early->what()).find("a stream of this transaction is open") != std::string::npos);
        }
        CHECK(tx.open());
        std::int64_t count = 1;
        while (auto row = co_await rows.next()) ++count;
        CHECK(count == 3000);
      }
      co_await tx.commit();
      const sql::Rows rows = co_await t.db->query("SELECT count(*) AS n FROM t");
      CHECK(rows[0]["n"].as<int>() == 3000);
    };
    t.run(body);
  });
}

TEST_CASE("An error in the middle of a result comes after the rows before it, typed, and spares the connection") {
  on_each_database([](RealDatabase& t) {
    auto body = [&]() -> awaitable<void> {
      const sql::Dialect dialect = t.db->dialect();
      const std::string failing =
          dialect == sql::Dialect::postgres ? "SELECT 1 / (1000 - n) FROM (SELECT generate_series(1, 2000) AS n) AS s"
          : dialect == sql::Dialect::mysql  ? "SELECT 9223372036854775807 + IF(seq = 1000, 1, 0) FROM seq_1_to_2000"
                                            : "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 2000) SELECT abs(CASE n WHEN "
                                              "1000 THEN -9223372036854775808 ELSE n END) FROM s";
      sql::Stream rows = co_await t.db->stream(failing);
      std::int64_t count = 0;
      std::optional<sql::SqlError> error;
      try {
        while (auto row = co_await rows.next()) ++count;
      } catch (const sql::SqlError& e) {
        error = e;
      }
      REQUIRE(error);
      CHECK(error->phase() == sql::Phase::fetch);
      CHECK_FALSE(error->statement().empty());
      CHECK(count == 999);
      if (dialect == sql::Dialect::postgres) CHECK(error->sqlstate() == "22012");
      if (dialect == sql::Dialect::mysql) CHECK(error->native_code() == 1690);
      CHECK(rows.ended());
      const auto over = co_await rows.next();
      CHECK_FALSE(over);
      const auto wrong = co_await error_from<sql::SqlError>(t.db->stream("SELECT nowhere FROM nothing"));
      REQUIRE(wrong);
      // As a whole: no row is handed out.
      const auto whole = co_await error_from<sql::SqlError>(t.db->query(failing));
      REQUIRE(whole);
      CHECK(whole->sqlstate() == error->sqlstate());
      CHECK(whole->native_code() == error->native_code());
      const sql::Rows one = co_await t.db->query("SELECT 1 AS one");
      CHECK(one.size() == 1);
      CHECK(t.stats.connects.get() == 1);
      CHECK(t.stats.statement_errors.get() == 3);
    };
    t.run(body);
  });
}

TEST_CASE("A server that ends the session in mid-result is a typed error, and the connection is not used again") {
  on_each_server([](RealDatabase& t) {
    auto body = [&]() -> awaitable<void> {
      const sql::Dialect dialect = t.db->dialect();
      sql::Stream rows = co_await t.db->stream(numbers(dialect), endless);
      co_await rows.next();
      const std::vector<std::string> sessions = streaming_sessions(dialect);
      REQUIRE(sessions.size() == 1);
      if (dialect == sql::Dialect::postgres)
        server().query("SELECT pg_terminate_backend(" + sessions[0] + ")");
      else
        mariadb().query("KILL " + sessions[0]);
      std::optional<sql::SqlError> error;
      try {
        while (auto row = co_await rows.next()) {
        }
      } catch (const sql::SqlError& e) {
        error = e;
      }
      REQUIRE(error);
      CHECK(error->phase() == sql::Phase::lost);
      CHECK(error->error_class() == sql::Class::connection);
      const sql::Rows one = co_await t.db->query("SELECT 1 AS one");
      CHECK(one.size() == 1);
      CHECK(t.stats.connects.get() == 2);
    };
    t.run(body);
  });
}

TEST_CASE("However slowly a stream is read, statement_timeout bounds each wait for the server alone") {
  config::Pool options;
  options.statement_timeout = 1s;
  const auto read_slowly = [](RealDatabase& t) {
    auto body = [&]() -> awaitable<void> {
      sql::Stream rows = co_await t.db->stream(numbers(t.db->dialect()), endless);
      asio::steady_timer timer(t.loop);
      std::int64_t expected = 0, wrong = 0;
      const TimePoint slow_until = Clock::now() + 5 * t.pool->options().statement_timeout / 2;
      while (expected < 500'000) {  // more than the sockets hold, so that the server has to wait
        const sql::Rows piece = co_await rows.next_rows();
        REQUIRE_FALSE(piece.empty());
        for (const sql::Row& row : piece) wrong += row["n"].as<std::int64_t>() != ++expected;
        if (Clock::now() > slow_until) continue;
        timer.expires_after(20ms);
        co_await timer.async_wait(use_awaitable);
      }
      CHECK(Clock::now() > slow_until);
      CHECK(wrong == 0);
      co_await rows.close();
      const sql::Rows one = co_await t.db->query("SELECT 1 AS one");
      CHECK(one.size() == 1);
      CHECK(t.stats.connects.get() == 1);
    };
    t.run(body);
  };
  on_each_database(read_slowly, options);
}

TEST_CASE("MariaDB: a reader that pauses for longer than net_write_timeout finds the rest of its stream; the next statement has the server's again") {
  if (!MariaDbServer::require()) return;
  const Meanwhile shortened(mariadb(), "SET GLOBAL net_write_timeout = 1", "SET GLOBAL net_write_timeout = DEFAULT");
  RealDatabase t(mariadb().url());
  auto body = [&]() -> awaitable<void> {
    const std::int64_t count = 500'000;  // far more than the sockets hold
    sql::Stream rows = co_await t.db->stream(numbers(sql::Dialect::mysql), count);
    const sql::Rows first = co_await rows.next_rows();
    auto read = static_cast<std::int64_t>(first.size());
    asio::steady_timer timer(t.loop, 2500ms);  // that much longer that the server, which looks once a second, has noticed
    co_await timer.async_wait(use_awaitable);
    for (;;) {
      const sql::Rows piece = co_await rows.next_rows();
      if (piece.empty()) break;
      read += static_cast<std::int64_t>(piece.size());
    }
    CHECK(read == count);
    const sql::Rows after = co_await t.db->query("SELECT @@net_write_timeout");
    CHECK(after[0][0].as<int>() == 1);
    CHECK(t.stats.connects.get() == 1);
  };
  t.run(body);
}

TEST_CASE("MariaDB: the loop turns while rows are read that have come already") {
  if (!MariaDbServer::require()) return;
  RealDatabase t(mariadb().url());
  auto body = [&]() -> awaitable<void> {
    sql::Stream rows = co_await t.db->stream(numbers(sql::Dialect::mysql), 100'000);
    asio::steady_timer timer(t.loop, 200ms);  // the server goes ahead
    co_await timer.async_wait(use_awaitable);
    std::size_t pieces = 0, at_once = 0, most_at_once = 0;
    bool over = false;
    std::function<void()> turn = [&] {
      at_once = 0;
      if (!over) asio::post(t.loop, turn);
    };
    asio::post(t.loop, turn);
    for (;;) {
      const sql::Rows piece = co_await rows.next_rows();
      if (piece.empty()) break;
      ++pieces;
      most_at_once = std::max(most_at_once, ++at_once);
    }
    over = true;
    co_await asio::post(t.loop, use_awaitable);  // the last turn
    CHECK(pieces >= 100'000 / 512);
    CHECK(most_at_once == 1);
  };
  t.run(body);
}

TEST_CASE("A stream past its limit is cancelled on the server") {
  on_each_database([](RealDatabase& t) {
    auto body = [&]() -> awaitable<void> {
      const sql::Rows warm = co_await t.db->query("SELECT 1 AS one");  // the limit is not for the connect
      CHECK(warm.size() == 1);
      sql::Stream rows = co_await t.db->stream(within(scaled(200ms)), numbers(t.db->dialect()), endless);
      std::int64_t count = 0;
      std::exception_ptr error;
      try {
        while (auto row = co_await rows.next()) ++count;
      } catch (const TimedOut&) {
        error = std::current_exception();
      }
      CHECK(error);
      CHECK(count > 0);
      const sql::Rows one = co_await t.db->query("SELECT 1 AS one");
      CHECK(one.size() == 1);
    };
    t.run(body);
  });
}

TEST_CASE("Bulk insert is all or nothing, with progress, every type and awkward texts") {
  on_each_database([](RealDatabase& t) {
    auto body = [&]() -> awaitable<void> {
      const sql::Dialect dialect = t.db->dialect();
      const char* const table =
          dialect == sql::Dialect::postgres ? "CREATE TABLE t (id int8 PRIMARY KEY, \"odd \"\"`name\" text, b bytea, at timestamptz, d date, ok bool, r float8)"
          : dialect == sql::Dialect::mysql
              ? "CREATE TABLE t (id BIGINT PRIMARY KEY, `odd \"``name` TEXT, b BLOB, at DATETIME(6), d DATE, ok BOOLEAN, r DOUBLE) ENGINE=InnoDB"
              : "CREATE TABLE t (id INTEGER PRIMARY KEY, \"odd \"\"`name\" TEXT, b BLOB, at TIMESTAMP, d DATE, ok BOOLEAN, r REAL)";
      co_await t.db->execute(table);
      const std::vector<std::optional<std::string>> texts{"plain", "", std::nullopt, "tab\tnewline\nreturn\rbackslash\\N \\.", "\xE2\x82\xAC", "\\."};
      const sql::Bytes bytes{std::byte{0}, std::byte{'\\'}, std::byte{0xff}};
      const sql::Timestamp at(1'700'000'000'123'456us);
      const sql::Date day(std::chrono::year(2024) / 2 / 29);
      sql::BulkInsert bulk = co_await t.db->bulk_insert("t", "id", "odd \"`name", "b", "at", "d", "ok", "r");
      std::uint64_t last = 0, calls = 0;
      bulk.on_progress([&](std::uint64_t sent) {
        CHECK(sent > last);
        last = sent;
        ++calls;
      });
      // A row with a value that cannot be encoded leaves nothing behind that would shift what follows.
      CHECK_THROWS_AS((void)bulk.add(-1, texts[0], bytes, at, std::chrono::year(2023) / 2 / 30, true, 0.5), sql::SqlError);
      const std::int64_t count = 20'000;
      for (std::int64_t i = 0; i < count; ++i)
        co_await bulk.add(i, texts[static_cast<std::size_t>(i) % texts.size()], bytes, at, day, i % 2 == 0, 0.5);
      const std::uint64_t inserted = co_await bulk.finish();
      CHECK(inserted == 20'000);
      CHECK(last == 20'000);
      CHECK(calls > 5);
      const sql::Rows rows = co_await t.db->query("SELECT * FROM t WHERE id < 6 ORDER BY id");
      REQUIRE(rows.size() == 6);
      for (std::size_t i = 0; i < 6; ++i) {
        CHECK(rows[i][1].as<std::optional<std::string>>() == texts[i]);
        CHECK(rows[i]["b"].as<sql::Bytes>() == bytes);
        CHECK(rows[i]["at"].as<sql::Timestamp>() == at);
        CHECK(rows[i]["d"].as<sql::Date>() == day);
        CHECK(rows[i]["ok"].as<bool>() == (i % 2 == 0));
      }
      // One bad row, and nothing of it all is there.
      sql::BulkInsert twice = co_await t.db->bulk_insert("t", "id", "r");
      std::optional<sql::SqlError> error;
      try {
        for (std::int64_t i = count; i < count + 5000; ++i) co_await twice.add(i, 1.5);
        co_await twice.add(7, 1.5);
        co_await twice.finish();
      } catch (const sql::SqlError& e) {
        error = e;
      }
      REQUIRE(error);
      CHECK(error->error_class() == sql::Class::unique_violation);
      {
        sql::BulkInsert abandoned = co_await t.db->bulk_insert("t", "id", "r");
        for (std::int64_t i = count; i < count + 5000; ++i) co_await abandoned.add(i, 1.5);
      }
      sql::BulkInsert wrong = co_await t.db->bulk_insert("t", "id", "r");
      CHECK_THROWS_AS((void)wrong.add(1), sql::SqlError);
      { const sql::BulkInsert over = std::move(wrong); }
      const auto unknown = co_await error_from<sql::SqlError>([](sql::Database& db) -> awaitable<void> {
        sql::BulkInsert none = co_await db.bulk_insert("nowhere", "id");
        co_await none.add(1);
        co_await none.finish();
      }(*t.db));
      CHECK(unknown);
      const sql::Rows total = co_await t.db->query("SELECT count(*) AS n FROM t");
      CHECK(total[0]["n"].as<std::int64_t>() == count);
    };
    t.run(body);
  });
}

TEST_CASE("A bulk insert is among the running statements until it ends, however it ends, and counts as one statement") {
  on_each_database([](RealDatabase& t) {
    auto body = [&]() -> awaitable<void> {
      co_await t.db->execute("CREATE TABLE t (id bigint PRIMARY KEY, r int)");
      const std::uint64_t before = t.stats.statements.get(), errors_before = t.stats.statement_errors.get();
      const auto shown = [&] {
        std::vector<std::string> out;
        for (const shm::RunningStatement& entry : t.running)
          if (entry.started_nanos.get() != 0) out.push_back(std::string(entry.text.get()));
        return out;
      };
      const std::vector<std::string> nothing, it{"bulk insert into t (id, r)"};
      {
        sql::BulkInsert bulk = co_await t.db->bulk_insert("t", "id", "r");
        co_await bulk.add(1, 1);
        CHECK(shown() == it);
        co_await bulk.finish();
        CHECK(shown() == nothing);
      }
      {
        sql::Transaction tx = co_await t.db->begin();
        sql::BulkInsert bulk = co_await tx.bulk_insert("t", "id", "r");
        co_await bulk.add(2, 1);
        CHECK(shown() == it);
        co_await bulk.finish();
        CHECK(shown() == nothing);
        co_await tx.commit();
      }
      CHECK(t.stats.statements.get() == before + 2);
      CHECK(t.stats.statement_errors.get() == errors_before);
      {
        sql::BulkInsert failing = co_await t.db->bulk_insert("t", "id", "r");
        co_await failing.add(1, 1);
        const auto twice = co_await error_from<sql::SqlError>(failing.finish());
        CHECK(twice);
        CHECK(shown() == nothing);
      }
      {
        sql::BulkInsert abandoned = co_await t.db->bulk_insert("t", "id", "r");
        co_await abandoned.add(3, 1);
        CHECK(shown() == it);
      }
      CHECK(shown() == nothing);
      CHECK(t.stats.statements.get() == before + 4);
      CHECK(t.stats.statement_errors.get() == errors_before + 2);
    };
    t.run(body);
  });
}
