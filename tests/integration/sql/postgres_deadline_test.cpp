// Deadlines and cancellation reach the server, and nothing blocks the loop.
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/system/system_error.hpp>

#include "fixture.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

std::size_t running_sleeps() {
  std::size_t count = 0;
  for (const test::PostgresSession& s : server().sessions("shop@test."))
    count += s.state == "active" && s.query.find("pg_sleep") != std::string::npos;
  return count;
}

}  // namespace

TEST_CASE("A statement past its deadline is cancelled on the server and the connection stays usable") {
  if (!PostgresServer::require()) return;
  Client client;
  Loop loop;
  loop.run([&]() -> awaitable<void> {
    std::unique_ptr<postgres::PostgresSession> session = co_await client.connect();
    const TimePoint begin = Clock::now();
    bool timed_out = false;
    sql::Statement statement("SELECT pg_sleep(60)", {});
    try {
      co_await session->run(std::move(statement), Deadline::after(200ms));
    } catch (const TimedOut& e) {
      timed_out = std::string(e.what()).find("pg_sleep(60)") != std::string::npos;
    }
    CHECK(timed_out);
    CHECK(Clock::now() - begin < scaled(1s));
    CHECK_FALSE(session->broken);
    CHECK_FALSE(session->dirty);
    // The cancel must not hit what comes next.
    for (int i = 0; i < 50; ++i) {
      const sql::Rows rows = co_await query(*session, "SELECT $1::int", i);
      CHECK(rows[0][0].as<int>() == i);
    }
    CHECK(running_sleeps() == 0);
    const bool gone = co_await client.close(std::move(session));
    CHECK(gone);
  });
}

TEST_CASE("While a statement is late and cancelled the loop turns") {
  if (!PostgresServer::require()) return;
  Client client;
  Loop loop;
  loop.run([&]() -> awaitable<void> {
    std::unique_ptr<postgres::PostgresSession> session = co_await client.connect();
    for (int i = 0; i < 3; ++i) {
      sql::Statement statement("SELECT pg_sleep(60)", {});
      try {
        co_await session->run(std::move(statement), Deadline::after(50ms));
      } catch (const TimedOut&) {
      }
    }
    co_await client.close(std::move(session));
  });
  loop.check_responsive();
}

TEST_CASE("A deadline inside a transaction leaves the transaction failed, and the connection dirty") {
  if (!PostgresServer::require()) return;
  Client client;
  Loop loop;
  loop.run([&]() -> awaitable<void> {
    std::unique_ptr<postgres::PostgresSession> session = co_await client.connect();
    co_await session->begin({}, Deadline::never());
    sql::Statement statement("SELECT pg_sleep(60)", {});
    try {
      co_await session->run(std::move(statement), Deadline::after(100ms));
      FAIL("it ended");
    } catch (const TimedOut&) {
    }
    CHECK(session->dirty);
    CHECK_FALSE(session->broken);
    co_await session->reset(Deadline::after(scaled(5s)));
    CHECK_FALSE(session->dirty);
    co_await client.close(std::move(session));
  });
}

TEST_CASE("A statement whose deadline has passed already is not sent") {
  if (!PostgresServer::require()) return;
  Client client;
  Loop loop;
  loop.run([&]() -> awaitable<void> {
    std::unique_ptr<postgres::PostgresSession> session = co_await client.connect();
    sql::Statement statement("SELECT 1", {});
    bool timed_out = false;
    try {
      co_await session->run(std::move(statement), Deadline::after(-1ms));
    } catch (const TimedOut&) {
      timed_out = true;
    }
    CHECK(timed_out);
    CHECK_FALSE(session->broken);
    co_await client.close(std::move(session));
  });
}

TEST_CASE("A cancelled coroutine breaks its connection, and closing that ends the statement on the server") {
  if (!PostgresServer::require()) return;
  Client client;
  Loop loop;
  loop.run([&]() -> awaitable<void> {
    std::unique_ptr<postgres::PostgresSession> session = co_await client.connect();
    asio::cancellation_signal cancel;
    std::exception_ptr outcome;
    bool ended = false;
    asio::co_spawn(loop.context(), query(*session, "SELECT pg_sleep(60)"),
                   asio::bind_cancellation_slot(cancel.slot(), [&](std::exception_ptr e, sql::Rows) {
                     outcome = e;
                     ended = true;
                   }));
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer poll(executor);
    while (running_sleeps() == 0) {
      poll.expires_after(5ms);
      co_await poll.async_wait(use_awaitable);
    }
    cancel.emit(asio::cancellation_type::terminal);
    while (!ended) {
      poll.expires_after(1ms);
      co_await poll.async_wait(use_awaitable);
    }
    CHECK_THROWS_AS(std::rethrow_exception(outcome), boost::system::system_error);
    CHECK(session->broken);
    const TimePoint begin = Clock::now();
    const bool gone = co_await client.close(std::move(session));
    CHECK(gone);
    CHECK(Clock::now() - begin < scaled(1s));
    CHECK(running_sleeps() == 0);
  });
}

TEST_CASE("Closing a busy connection neither waits for its statement nor blocks the loop") {
  if (!PostgresServer::require()) return;
  Client client;
  for (const char* sql : {"SELECT pg_sleep(60)", "SELECT repeat('x', 1000) FROM generate_series(1, 3000000)"}) {
    CAPTURE(sql);
    Loop loop;
    bool gone = false;
    Duration took{};
    loop.run([&]() -> awaitable<void> {
      std::unique_ptr<postgres::PostgresSession> session = co_await client.connect();
      asio::cancellation_signal cancel;
      bool ended = false;
      asio::co_spawn(loop.context(), query(*session, sql),
                     asio::bind_cancellation_slot(cancel.slot(), [&](std::exception_ptr, sql::Rows) { ended = true; }));
      const auto executor = co_await asio::this_coro::executor;
      asio::steady_timer poll(executor, 50ms);
      co_await poll.async_wait(use_awaitable);
      cancel.emit(asio::cancellation_type::terminal);
      while (!ended) {
        poll.expires_after(1ms);
        co_await poll.async_wait(use_awaitable);
      }
      const TimePoint begin = Clock::now();
      gone = co_await client.close(std::move(session));
      took = Clock::now() - begin;
    });
    CHECK(gone);
    CHECK(took < scaled(1s));
    loop.check_responsive();
  }
}

TEST_CASE("The server's death is an error of the lost phase, and a new connection works after its restart") {
  if (!PostgresServer::require()) return;
  PostgresServer other;
  other.start();
  Client client(other.url());
  for (const bool hard : {false, true}) {
    CAPTURE(hard);
    Loop loop;
    loop.run([&]() -> awaitable<void> {
      std::unique_ptr<postgres::PostgresSession> session = co_await client.connect();
      co_await query(*session, "SELECT 1");
      if (hard) {
        other.kill_hard();
      } else {
        other.stop();
      }
      // A backend may answer once more before it notices that its postmaster was killed.
      std::optional<sql::SqlError> error;
      for (const TimePoint limit = Clock::now() + scaled(5s); !error && Clock::now() < limit;) {
        try {
          co_await query(*session, "SELECT 1");
        } catch (const sql::SqlError& e) {
          error = e;
        }
      }
      REQUIRE(error);
      CHECK(error->phase() == sql::Phase::lost);
      CHECK(error->error_class() == sql::Class::connection);
      CHECK(session->broken);
      co_await client.close(std::move(session), 1s);
      std::optional<pool::ConnectFailed> refused;
      try {
        session = co_await client.connect();
      } catch (const pool::ConnectFailed& e) {
        refused = e;
      }
      REQUIRE(refused);
      CHECK(refused->released());
      CHECK_FALSE(refused->permanent());
      other.start();
      session = co_await client.connect();
      const sql::Rows rows = co_await query(*session, "SELECT 2");
      CHECK(rows[0][0].as<int>() == 2);
      co_await client.close(std::move(session));
    });
  }
}

TEST_CASE("An administrator who ends the session is named as the cause, and the close is confirmed") {
  if (!PostgresServer::require()) return;
  Client client;
  Loop loop;
  loop.run([&]() -> awaitable<void> {
    std::unique_ptr<postgres::PostgresSession> session = co_await client.connect();
    server().query("SELECT pg_terminate_backend(" + std::to_string(session->session) + ", 5000)");
    std::optional<sql::SqlError> error;
    try {
      co_await query(*session, "SELECT 1");
    } catch (const sql::SqlError& e) {
      error = e;
    }
    REQUIRE(error);
    CHECK(error->sqlstate() == "57P01");
    CHECK(error->phase() == sql::Phase::lost);
    CHECK(session->broken);
    co_await client.close(std::move(session));
  });
}
