#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>

#include "fixture.hpp"
#include "support/eventually.hpp"

using namespace sluice;
using namespace sluice::test;
using sql::SqlError;

namespace {

// Ticks every 5 ms while `running`, and remembers the longest distance between two ticks.
awaitable<void> watch_loop(const bool& running, Duration& longest, int& ticks) {
  TimePoint last = Clock::now();
  while (running) {
    co_await sleep_for(5ms);
    const TimePoint now = Clock::now();
    longest = std::max(longest, now - last);
    last = now;
    ++ticks;
  }
}

}  // namespace

TEST_CASE("a statement past its deadline ends with TimedOut while the loop goes on, and the connection stays usable") {
  const TemporaryDirectory directory;
  bool running = true;
  Duration longest{};
  int ticks = 0;
  auto body = [&]() -> awaitable<void> {
    Open db(url_of(directory / "a.db"));
    co_await db.connect();
    asio::co_spawn(co_await asio::this_coro::executor, watch_loop(running, longest, ticks), asio::detached);
    const TimePoint began = Clock::now();
    const auto late = co_await thrown<TimedOut>(db.run_within(300ms, endless));
    const Duration took = Clock::now() - began;
    running = false;
    REQUIRE(late);
    CHECK(std::string(late->what()).find("ended at its deadline: WITH RECURSIVE") != std::string::npos);
    CHECK(took >= 300ms);
    CHECK(took < scaled(2s));
    CHECK(!db.connection().broken);
    CHECK(!db.connection().dirty);
    const sql::Rows rows = co_await db.run("SELECT 1");
    CHECK(rows[0][0].as<int>() == 1);
    co_await db.close();
  };
  on_loop(body);
  CHECK(ticks >= 3);  // a loop that is held up ticks once; a busy machine ticks late
  CHECK(longest < scaled(100ms));
}

TEST_CASE("a deadline that has passed already runs nothing") {
  auto body = []() -> awaitable<void> {
    Open db("sqlite::memory:");
    co_await db.connect();
    co_await db.run("CREATE TABLE t (n INTEGER)");
    const auto late = co_await thrown<TimedOut>(db.run_within(-1s, "INSERT INTO t VALUES (1)"));
    CHECK(late);
    const sql::Rows rows = co_await db.run("SELECT count(*) FROM t");
    CHECK(rows[0][0].as<int>() == 0);
    co_await db.close();
  };
  on_loop(body);
}

TEST_CASE("a write that is cut off inside a transaction ends the transaction visibly") {
  auto body = []() -> awaitable<void> {
    Open db("sqlite::memory:");
    co_await db.connect();
    co_await db.run("CREATE TABLE t (n INTEGER)");
    co_await db.begin();
    co_await db.run("INSERT INTO t VALUES (1)");
    const std::string slow = "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000000000) SELECT count(*) FROM n";
    const auto late = co_await thrown<TimedOut>(db.run_within(100ms, slow));
    REQUIRE(late);
    const auto next = co_await thrown<SqlError>(db.run("INSERT INTO t VALUES (2)"));
    CHECK(next);
    const auto commit = co_await thrown<SqlError>(db.commit());
    REQUIRE(commit);
    CHECK(commit->phase() == sql::Phase::commit);
    const sql::Rows rows = co_await db.run("SELECT count(*) FROM t");
    CHECK(rows[0][0].as<int>() == 0);
    co_await db.close();
  };
  on_loop(body);
}

TEST_CASE("a writer that waits for another connection gives up at its deadline, and succeeds once the other is done") {
  const TemporaryDirectory directory;
  auto body = [&]() -> awaitable<void> {
    // Two connectors: two gates, as in two processes.
    Open one(url_of(directory / "a.db")), other(url_of(directory / "a.db"));
    co_await one.connect();
    co_await other.connect();
    co_await one.run("CREATE TABLE t (n INTEGER)");
    co_await one.begin();
    const auto late = co_await thrown<TimedOut>(other.run_within(200ms, "INSERT INTO t VALUES (1)"));
    REQUIRE(late);
    CHECK(std::string(late->what()).find("locked until the deadline") != std::string::npos);
    const sql::Rows read = co_await other.run("SELECT count(*) FROM t");  // readers do not wait
    CHECK(read[0][0].as<int>() == 0);
    co_await one.commit();
    const sql::Rows written = co_await other.run("INSERT INTO t VALUES (1)");
    CHECK(written.affected() == 1);
    co_await one.close();
    co_await other.close();
  };
  on_loop(body);
}

TEST_CASE("writers of one worker wait in line for the gate, with their deadlines") {
  const TemporaryDirectory directory;
  auto body = [&]() -> awaitable<void> {
    const auto connector = std::make_shared<sqlite::Connector>(pool_options(url_of(directory / "a.db")));
    Open one(connector), other(connector);
    co_await one.connect();
    co_await other.connect();
    co_await one.run("CREATE TABLE t (n INTEGER)");
    co_await one.begin();
    const auto late = co_await thrown<TimedOut>(other.run_within(100ms, "INSERT INTO t VALUES (1)"));
    CHECK(late);
    co_await one.session().rollback(Deadline::never());
    const sql::Rows written = co_await other.run("INSERT INTO t VALUES (1)");
    CHECK(written.affected() == 1);
    co_await one.close();
    co_await other.close();
  };
  on_loop(body);
}

TEST_CASE("a cancelled coroutine ends its statement on the thread; the next one finds a usable connection") {
  auto body = []() -> awaitable<void> {
    Open db("sqlite::memory:");
    co_await db.connect();
    const auto executor = co_await asio::this_coro::executor;
    asio::cancellation_signal cancel;
    bool ended = false;
    std::exception_ptr failure;
    asio::co_spawn(executor, db.session().run(sql::make_statement(endless), Deadline::never()),
                   asio::bind_cancellation_slot(cancel.slot(), [&](std::exception_ptr e, sql::Rows) {
                     failure = e;
                     ended = true;
                   }));
    co_await sleep_for(50ms);
    CHECK(!ended);
    cancel.emit(asio::cancellation_type::terminal);
    while (!ended) co_await sleep_for(1ms);
    CHECK(failure != nullptr);
    CHECK(db.connection().dirty);
    co_await db.connector().reset(db.connection(), Deadline::after(30s));
    CHECK(!db.connection().dirty);
    const sql::Rows rows = co_await db.run_within(20s, "SELECT 1");
    CHECK(rows[0][0].as<int>() == 1);
    co_await db.close();
  };
  on_loop(body);
}

TEST_CASE("close ends what still runs and confirms") {
  const TemporaryDirectory directory;
  auto body = [&]() -> awaitable<void> {
    Open db(url_of(directory / "a.db"));
    co_await db.connect();
    const auto executor = co_await asio::this_coro::executor;
    asio::cancellation_signal cancel;
    asio::co_spawn(executor, db.session().run(sql::make_statement(endless), Deadline::never()),
                   asio::bind_cancellation_slot(cancel.slot(), [](std::exception_ptr, sql::Rows) {}));
    co_await sleep_for(20ms);
    cancel.emit(asio::cancellation_type::terminal);
    co_await sleep_for(1ms);
    const TimePoint began = Clock::now();
    const pool::CloseResult result = co_await db.close();
    CHECK(result == pool::CloseResult::confirmed);
    CHECK(Clock::now() - began < scaled(2s));
    CHECK(!std::filesystem::exists(directory / "a.db-wal"));  // the last connection has let go
  };
  on_loop(body);
}

TEST_CASE("a loop that is destroyed in the middle of a statement leaves the thread nothing to stumble over") {
  const TemporaryDirectory directory;
  for (int round = 0; round < 20; ++round) {
    asio::io_context loop;
    Open db(url_of(directory / "a.db"));
    bool connected = false;
    auto body = [&]() -> awaitable<void> {
      co_await db.connect();
      connected = true;
      co_await db.session().run(sql::make_statement(endless), Deadline::never());
    };
    asio::co_spawn(loop, body(), asio::detached);
    while (!connected) loop.run_one();
    loop.poll();
  }
  // All the threads have closed their handles once the log is gone.
  CHECK(eventually(5s, [&] { return !std::filesystem::exists(directory / "a.db-wal"); }));
}
