// Deadlines and cancellation reach MariaDB, and nothing blocks the loop.
#include <sluice/pool/statement_cancel.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <atomic>

#include "mysql_fixture.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

bool sleeps(std::uint64_t thread) {
  const auto sessions = mariadb().sessions();
  return std::any_of(sessions.begin(), sessions.end(),
                     [thread](const MariaDbSession& s) { return s.id == thread && s.info.find("SLEEP") != std::string::npos; });
}

// What the statement took, and that it timed out.
awaitable<Duration> time_out(MysqlSession& s, std::string sql, Duration limit) {
  const TimePoint begin = Clock::now();
  sql::Statement statement(std::move(sql), {});
  std::string message;
  try {
    co_await s.run(std::move(statement), Deadline::after(limit));
  } catch (const TimedOut& e) {
    message = e.what();
  }
  CHECK_MESSAGE(!message.empty(), "it did not time out");
  co_return Clock::now() - begin;
}

}  // namespace

TEST_CASE("MariaDB: a statement past its deadline is ended on the server and the connection stays usable") {
  if (!MariaDbServer::require()) return;
  MysqlClient client;
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    for (const Duration limit : {Duration(100ms), Duration(250ms), Duration(100ms)}) {
      const Duration took = co_await time_out(s, "SELECT SLEEP(60)", limit);
      CHECK(took >= limit);
      CHECK(took < limit + scaled(1s));
      CHECK_FALSE(s.broken);
      CHECK_FALSE(s.dirty);
      const auto ended = [&s] { return !sleeps(s.session); };
      co_await until(ended);  // the server's list may show it for a moment after its answer
      for (int i = 0; i < 20; ++i) {
        const sql::Rows rows = co_await query(s, "SELECT $1", i);
        CHECK(rows[0][0].as<int>() == i);
      }
    }
  });
}

TEST_CASE("MariaDB: statements of one deadline share one setting, and none without a deadline is limited") {
  if (!MariaDbServer::require()) return;
  MysqlClient client;
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    const auto limit = [&s](Deadline deadline) -> awaitable<double> {
      sql::Statement statement("SELECT @@max_statement_time", {});
      const sql::Rows rows = co_await s.run(std::move(statement), deadline);
      co_return rows[0][0].as<double>();
    };
    const std::uint64_t before = mariadb().status("Com_set_option");
    for (int i = 0; i < 10; ++i) {
      const double seconds = co_await limit(Deadline::after(30s));  // the pool's statement_timeout
      CHECK(seconds == 30.0);
    }
    CHECK(mariadb().status("Com_set_option") == before);
    for (int i = 0; i < 10; ++i) {
      const double seconds = co_await limit(Deadline::after(2s));
      CHECK(seconds >= 1.9);
      CHECK(seconds <= 2.5);
    }
    CHECK(mariadb().status("Com_set_option") == before + 1);
    const double none = co_await limit(Deadline::never());
    CHECK(none == 0.0);
  });
}

TEST_CASE("MariaDB: a deadline inside a transaction ends the statement alone; the transaction can go on or roll back") {
  if (!MariaDbServer::require()) return;
  MysqlClient client;
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    const Deadline soon = Deadline::after(scaled(20s));
    co_await query(s, "CREATE OR REPLACE TABLE late (n INT) ENGINE=InnoDB");
    co_await s.begin({}, soon);
    co_await query(s, "INSERT INTO late VALUES (1)");
    co_await time_out(s, "INSERT INTO late SELECT SLEEP(60)", 100ms);
    CHECK(s.in_transaction());
    CHECK_FALSE(s.broken);
    co_await query(s, "INSERT INTO late VALUES (2)");
    co_await s.commit(soon);
    const sql::Rows rows = co_await query(s, "SELECT SUM(n) FROM late");
    CHECK(rows[0][0].as<std::string>() == "3");
  });
}

TEST_CASE("MariaDB: a short deadline of a statement does not shorten the COMMIT after it") {
  if (!MariaDbServer::require()) return;
  MysqlClient client;
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    co_await query(s, "CREATE OR REPLACE TABLE brief (n INT) ENGINE=InnoDB");
    co_await s.begin({}, Deadline::after(20s));
    sql::Statement statement("INSERT INTO brief VALUES (1)", {});
    co_await s.run(std::move(statement), Deadline::after(scaled(50ms)));
    co_await s.commit(Deadline::after(20s));
    const sql::Rows rows = co_await query(s, "SELECT @@max_statement_time");
    CHECK(rows[0][0].as<double>() >= 19.0);
  });
}

TEST_CASE("MariaDB: a statement whose deadline has passed already is not sent") {
  if (!MariaDbServer::require()) return;
  MysqlClient client;
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    const std::uint64_t before = mariadb().status("Com_stmt_prepare");
    co_await time_out(s, "SELECT 1", -1ms);
    CHECK(mariadb().status("Com_stmt_prepare") == before);
    CHECK_FALSE(s.broken);
  });
}

TEST_CASE("MariaDB: where the server's own limit is longer, the row's word asks for the end, and is settled before the next statement") {
  if (!MariaDbServer::require()) return;
  MysqlClient client;
  Loop loop;
  loop.run([&]() -> awaitable<void> {
    std::unique_ptr<MysqlSession> s = co_await client.connect();
    const auto inspector = mysql_inspector();
    co_await inspector->open(Deadline::after(scaled(10s)));
    std::atomic<std::uint32_t> word{0};
    s->cancel = &word;
    co_await query(*s, "SELECT 1");
    // COMMIT and the like go without a limit of their own; here a script that the session's limit does not reach.
    bool ended = false;
    Duration took{};
    const auto run = [&]() -> awaitable<void> {
      const TimePoint begin = Clock::now();
      sql::Statement statement("SET STATEMENT max_statement_time = 60 FOR SELECT SLEEP(60)", {});
      try {
        co_await s->run(std::move(statement), Deadline::after(150ms));
      } catch (const TimedOut&) {
        took = Clock::now() - begin;
      }
      ended = true;
    };
    asio::co_spawn(loop.context(), run(), [](std::exception_ptr e) { CHECK(e == nullptr); });
    pool::StatementCancel request(word);
    const auto is_asked = [&] { return request.is_asked(); };
    co_await until(is_asked);
    CHECK(request.take());
    const bool cancelled = co_await inspector->cancel(s->session, s->session_birth, Deadline::after(scaled(5s)));
    CHECK(cancelled);
    CHECK_FALSE(request.settle());
    CHECK_FALSE(ended);  // not before the one who ended it is done
    request.done();
    const auto has_ended = [&] { return ended; };
    co_await until(has_ended);
    CHECK(took >= 150ms);
    CHECK(took < scaled(1500ms));
    CHECK_FALSE(s->broken);
    CHECK(word.load() == 0);
    const sql::Rows rows = co_await query(*s, "SELECT $1", 5);
    CHECK(rows[0][0].as<int>() == 5);
    // Of another start of the server, nothing is ended.
    const bool stranger = co_await inspector->cancel(s->session, s->session_birth + 1, Deadline::after(scaled(5s)));
    CHECK_FALSE(stranger);
    s->cancel = nullptr;
    co_await inspector->close(Deadline::after(scaled(5s)));
    co_await client.close(std::move(s));
  });
}

TEST_CASE("MariaDB: a server that does not end a late statement costs the connection, not the caller") {
  if (!MariaDbServer::require()) return;
  config::Pool options = pool_options(mariadb().url());
  options.close_timeout = 200ms;
  MysqlClient client(options);
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    const std::uint64_t thread = s.session;
    const Duration took = co_await time_out(s, "SET STATEMENT max_statement_time = 60 FOR SELECT SLEEP(60)", 100ms);
    CHECK(took < scaled(1s));
    CHECK(s.broken);
    CHECK(sleeps(thread));
    mariadb().query("KILL " + std::to_string(thread));
  });
}

TEST_CASE("MariaDB: a cancelled coroutine breaks its connection, and asks for the end of its statement") {
  if (!MariaDbServer::require()) return;
  MysqlClient client;
  Loop loop;
  loop.run([&]() -> awaitable<void> {
    std::unique_ptr<MysqlSession> s = co_await client.connect();
    std::atomic<std::uint32_t> word{0};
    s->cancel = &word;
    const std::uint64_t thread = s->session;
    asio::cancellation_signal cancel;
    std::exception_ptr outcome;
    bool ended = false;
    asio::co_spawn(loop.context(), query(*s, "SELECT SLEEP(60)"), asio::bind_cancellation_slot(cancel.slot(), [&](std::exception_ptr e, sql::Rows) {
                     outcome = e;
                     ended = true;
                   }));
    const auto is_sleeping = [&] { return sleeps(thread); };
    co_await until(is_sleeping);
    cancel.emit(asio::cancellation_type::terminal);
    const auto has_ended = [&] { return ended; };
    co_await until(has_ended);
    CHECK_THROWS_AS(std::rethrow_exception(outcome), boost::system::system_error);
    CHECK(s->broken);
    co_await client.close(std::move(s));
    CHECK(pool::StatementCancel(word).is_asked());
    mariadb().query("KILL QUERY " + std::to_string(thread));  // as the janitor does
    const auto is_gone = [&] { return !shows(mariadb(), thread); };
    co_await until(is_gone);
  });
  loop.check_responsive();
}

TEST_CASE("MariaDB: the server's death, and a session that an administrator ended, are errors of the lost phase") {
  if (!MariaDbServer::require()) return;
  MariaDbServer own;
  own.start();
  MysqlClient client(own.url());
  Loop loop;
  loop.run([&]() -> awaitable<void> {
    std::unique_ptr<MysqlSession> s = co_await client.connect();
    own.query("KILL " + std::to_string(s->session));
    const sql::SqlError killed = co_await error_of(*s, "SELECT 1");
    CHECK(killed.phase() == sql::Phase::lost);
    CHECK(killed.error_class() == sql::Class::connection);
    CHECK(s->broken);
    const sql::SqlError again = co_await error_of(*s, "SELECT 1");
    CHECK(again.phase() == sql::Phase::lost);
    co_await client.close(std::move(s));

    s = co_await client.connect();
    std::exception_ptr outcome;
    bool ended = false;
    asio::co_spawn(loop.context(), query(*s, "SELECT SLEEP(60)"), [&](std::exception_ptr e, sql::Rows) {
      outcome = e;
      ended = true;
    });
    const auto is_sleeping = [&] { return own.sessions().size() == 1 && own.sessions()[0].info.find("SLEEP") != std::string::npos; };
    co_await until(is_sleeping);
    own.kill_hard();
    const auto has_ended = [&] { return ended; };
    co_await until(has_ended);
    std::optional<sql::SqlError> error;
    try {
      if (outcome) std::rethrow_exception(outcome);
    } catch (const sql::SqlError& e) {
      error = e;
    }
    REQUIRE(error);
    CHECK(error->phase() == sql::Phase::lost);
    co_await client.close(std::move(s));
  });
  const Failure down = failure_of_connect(loop, client);
  CHECK(down.released);
  CHECK_FALSE(down.permanent);
  own.start();
  loop.run([&]() -> awaitable<void> {
    std::unique_ptr<MysqlSession> s = co_await client.connect();
    co_await query(*s, "SELECT 1");
    co_await client.close(std::move(s));
  });
}

TEST_CASE("MariaDB: a connection that is lost in the middle of a result is an error, not a short result") {
  if (!MariaDbServer::require()) return;
  MysqlClient client;
  Loop loop;
  loop.run([&]() -> awaitable<void> {
    std::unique_ptr<MysqlSession> s = co_await client.connect();
    const std::uint64_t thread = s->session;
    sql::Statement statement("SELECT seq, REPEAT('x', 1000) FROM seq_1_to_1000000", {});
    std::unique_ptr<sql::RowSource> source = co_await s->open_stream(std::move(statement), Deadline::after(scaled(20s)), Deadline::never());
    co_await source->next(Deadline::after(scaled(5s)));
    mariadb().query("KILL " + std::to_string(thread));
    std::size_t rows = 0;
    std::optional<sql::SqlError> error;
    try {
      for (;;) {
        const auto piece = co_await source->next(Deadline::after(scaled(10s)));
        if (!piece) break;
        rows += piece->row_count;
      }
    } catch (const sql::SqlError& e) {
      error = e;
    }
    REQUIRE(error);
    CHECK(error->phase() == sql::Phase::lost);
    CHECK(rows < 1000000);
    CHECK(s->broken);
    source.reset();
    co_await client.close(std::move(s));
  });
}
