// A group of reads on one MariaDB session: when its statements are sent, what each gets, and what is left behind.
#include <sluice/pool/statement_cancel.hpp>

#include <support/relay.hpp>

#include <algorithm>
#include <atomic>
#include <list>

#include "mysql_fixture.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

using Outcome = sql::GroupMember::Outcome;

struct Members {
  std::list<sql::GroupMember> all;
  template <class... Args>
  sql::GroupMember& add(std::string_view sql, const Args&... args) {
    sql::GroupMember& member = all.emplace_back();
    member.statement = sql::make_statement(sql, args...);
    member.deadline = Deadline::after(scaled(20s));
    return member;
  }
  awaitable<void> run(MysqlSession& on, Duration patience = 20s) {
    std::vector<sql::GroupMember*> pointers;
    for (sql::GroupMember& member : all) {
      member.outcome = Outcome::open;
      pointers.push_back(&member);
    }
    co_await on.run_group(pointers, false, scaled(patience));
  }
};

int code_of(const sql::GroupMember& member) {
  try {
    if (member.failure) std::rethrow_exception(member.failure);
  } catch (const sql::SqlError& e) {
    return e.native_code();
  } catch (const std::exception&) {
  }
  return 0;
}

bool timed_out(const sql::GroupMember& member) {
  try {
    if (member.failure) std::rethrow_exception(member.failure);
  } catch (const TimedOut&) {
    return true;
  } catch (const std::exception&) {
  }
  return false;
}

bool sleeps(std::uint64_t thread) {
  const auto sessions = mariadb().sessions();
  return std::any_of(sessions.begin(), sessions.end(), [thread](const MariaDbSession& s) { return s.id == thread && s.info.find("SLEEP") != s.info.npos; });
}

// It can do whatever it could before: also write.
awaitable<void> check_whole(MysqlSession& s) {
  CHECK_FALSE(s.broken);
  CHECK_FALSE(s.dirty);
  CHECK_FALSE(s.in_transaction());
  co_await query(s, "CREATE OR REPLACE TABLE whole (n INT) ENGINE=InnoDB");
  co_await query(s, "INSERT INTO whole VALUES (1)");
  const sql::Rows rows = co_await query(s, "SELECT n, @@tx_read_only FROM whole");
  CHECK(rows[0][0].as<int>() == 1);
  CHECK(rows[0][1].as<int>() == 0);
}

// The group runs beside the test.
void start(const asio::any_io_executor& executor, awaitable<void> group, bool& ended) {
  asio::co_spawn(executor, std::move(group), [&ended](const std::exception_ptr& failure) {
    CHECK_FALSE(failure);
    ended = true;
  });
}

// Lets the loop turn until the condition holds. REQUIRES: `holds` is named before.
template <class Condition>
awaitable<void> until(const Condition& holds) {
  const auto executor = co_await asio::this_coro::executor;
  asio::steady_timer poll(executor);
  const TimePoint end = Clock::now() + scaled(10s);
  while (!holds() && Clock::now() < end) {
    poll.expires_after(2ms);
    co_await poll.async_wait(use_awaitable);
  }
  CHECK(holds());
}

}  // namespace

TEST_CASE("MariaDB: the statements of a group are with the server before the first one is answered, and each gets its own answer") {
  if (!MariaDbServer::require()) return;
  for (const char* tls : {"disable", "require"}) {
    CAPTURE(tls);
    Relay relay(static_cast<std::uint16_t>(mariadb().port()));
    MysqlClient client("mysql://app:secret@127.0.0.1:" + std::to_string(relay.port()) + "/app?sslmode=" + tls);
    with_mysql(client, [&](MysqlSession& s) -> awaitable<void> {
      Members group;
      group.add("SELECT SLEEP($1)", 0.0);
      for (int i = 1; i < 8; ++i) group.add("SELECT $1, 'a'", i);
      co_await group.run(s);  // everything is prepared now
      for (const sql::GroupMember& member : group.all) REQUIRE(member.outcome == Outcome::done);
      group.all.front().statement = sql::make_statement("SELECT SLEEP($1)", 0.5);
      const std::uint64_t before = relay.totals().to_server;
      bool ended = false;
      const auto executor = co_await asio::this_coro::executor;
      start(executor, group.run(s), ended);
      const auto sleeping = [&] { return sleeps(s.session); };
      co_await until(sleeping);
      const std::uint64_t sent = relay.totals().to_server - before;
      CHECK(sleeps(s.session));  // still
      CHECK(sent > 8 * 20);
      const auto over = [&] { return ended; };
      co_await until(over);
      int i = 0;
      for (const sql::GroupMember& member : group.all) {
        REQUIRE(member.outcome == Outcome::done);
        CHECK(member.rows.columns().size() == (i == 0 ? 1 : 2));
        CHECK(member.rows[0][0].as<int>() == i++);
      }
      co_await check_whole(s);
    });
  }
}

TEST_CASE("MariaDB: a neighbour's error is its own, wherever it comes from") {
  if (!MariaDbServer::require()) return;
  MysqlClient client;
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    for (int round = 0; round < 2; ++round) {
      Members group;
      const sql::GroupMember& first = group.add("SELECT 1");
      const sql::GroupMember& unknown = group.add("SELECT * FROM there_is_no_such_table");
      const sql::GroupMember& second = group.add("SELECT 2");
      const sql::GroupMember& running = group.add("SELECT (SELECT $1 UNION SELECT 2)", 1);  // 1242: more than one row
      const sql::GroupMember& encoding = group.add("SELECT $1", std::string("\xff\xfe"));
      const sql::GroupMember& count = group.add("SELECT $1, $2", 1);
      const sql::GroupMember& last = group.add("SELECT 3");
      co_await group.run(s);
      CHECK(first.rows[0][0].as<int>() == 1);
      CHECK(second.rows[0][0].as<int>() == 2);
      CHECK(last.rows[0][0].as<int>() == 3);
      CHECK(code_of(unknown) == 1146);
      CHECK(code_of(running) == 1242);
      CHECK(encoding.outcome == Outcome::failed);
      CHECK(count.outcome == Outcome::failed);
      co_await check_whole(s);
    }
  });
}

TEST_CASE("MariaDB: a session is read-only while reads share it, by the server's own word, and no longer than that") {
  if (!MariaDbServer::require()) return;
  mariadb().query("CREATE OR REPLACE TABLE written (i INT) ENGINE=InnoDB");
  mariadb().query("CREATE OR REPLACE FUNCTION write_it() RETURNS INT BEGIN INSERT INTO written VALUES (1); RETURN 7; END");
  mariadb().query("CREATE OR REPLACE VIEW innocent AS SELECT write_it() AS v");
  MysqlClient client;
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    Members group;
    const sql::GroupMember& before = group.add("SELECT 1");
    const sql::GroupMember& write = group.add("SELECT v FROM innocent");
    const sql::GroupMember& after = group.add("SELECT 2");
    co_await group.run(s);
    CHECK(before.outcome == Outcome::done);
    CHECK(after.outcome == Outcome::done);
    CHECK(write.outcome == Outcome::alone);
    CHECK(write.unfit);
    CHECK(mariadb().query("SELECT COUNT(*) FROM written")[0][0] == "0");
    // Of its own it is as good as any, whether it was prepared before or is prepared now.
    for (int i = 0; i < 2; ++i) {
      const sql::Rows wrote = co_await query(s, "SELECT v FROM innocent");
      CHECK(wrote[0][0].as<int>() == 7);
      co_await group.run(s);
      CHECK(write.outcome == Outcome::alone);
      CHECK(write.unfit);
    }
    CHECK(mariadb().query("SELECT COUNT(*) FROM written")[0][0] == "2");
    mariadb().query("TRUNCATE written");
    // In a transaction that its user made read-only it is refused like any write.
    sql::TransactionOptions reading;
    reading.read_only = true;
    co_await s.begin(reading, Deadline::after(scaled(10s)));
    const sql::SqlError refused = co_await error_of(s, "SELECT v FROM innocent");
    CHECK(refused.native_code() == 1792);
    co_await s.rollback(Deadline::after(scaled(10s)));
    co_await group.run(s);
    // A read of its own needs no word to the server; everything else takes the mark away first.
    co_await query(s, "SELECT 1");  // its limit of time is the session's now
    const std::uint64_t settings = mariadb().status("Com_set_option");
    co_await query(s, "SELECT 1");
    CHECK(mariadb().status("Com_set_option") == settings);
    co_await query(s, "INSERT INTO written VALUES (2)");
    CHECK(mariadb().status("Com_set_option") == settings + 1);
    co_await query(s, "INSERT INTO written VALUES (3)");
    CHECK(mariadb().status("Com_set_option") == settings + 1);
    co_await group.run(s);
    co_await s.begin(sql::TransactionOptions(), Deadline::after(scaled(10s)));
    co_await query(s, "INSERT INTO written VALUES (4)");
    co_await s.commit(Deadline::after(scaled(10s)));
    co_await group.run(s);
    co_await s.run_script("INSERT INTO written VALUES (5); INSERT INTO written VALUES (6)", Deadline::after(scaled(10s)));
    co_await group.run(s);
    {
      sql::Statement inserting("INSERT INTO written VALUES (7) RETURNING i", {});
      std::unique_ptr<sql::RowSource> rows = co_await s.open_stream(std::move(inserting), Deadline::after(scaled(10s)), Deadline::never());
      while (co_await rows->next(Deadline::after(scaled(10s)))) {
      }
    }
    co_await group.run(s);
    co_await query(s, "CREATE OR REPLACE TABLE made_by_ddl (i INT)");
    co_await group.run(s);
    co_await s.reset(Deadline::after(scaled(10s)));
    co_await query(s, "INSERT INTO written VALUES (8)");
    CHECK(mariadb().query("SELECT SUM(i) FROM written")[0][0] == "35");
    co_await check_whole(s);
  });
}

TEST_CASE("MariaDB: more texts than the cache holds: every answer is right, and nothing stays prepared that the session forgot") {
  if (!MariaDbServer::require()) return;
  for (const std::uint32_t capacity : {0u, 1u, 4u, 6u}) {
    CAPTURE(capacity);
    config::Pool options = pool_options(mariadb().url());
    options.statement_cache = capacity;
    MysqlClient client(options);
    const std::uint64_t before = mariadb().status("Prepared_stmt_count");
    with_mysql(client, [&](MysqlSession& s) -> awaitable<void> {
      for (int round = 0; round < 4; ++round) {
        Members group;
        for (int i = 0; i < 5; ++i) group.add("SELECT $1 + " + std::to_string(round * 3 + i), i);
        if (round % 2 == 0) group.add("SELECT * FROM not_there");
        co_await group.run(s);
        int i = 0;
        for (const sql::GroupMember& member : group.all) {
          if (i < 5) {
            REQUIRE(member.outcome == Outcome::done);
            CHECK(member.rows[0][0].as<int>() == round * 3 + 2 * i);
          } else {
            CHECK(member.outcome == Outcome::failed);
          }
          ++i;
        }
        CHECK(s.cached_statements() <= capacity);
        const auto as_believed = [&] { return mariadb().status("Prepared_stmt_count") == before + s.cached_statements(); };
        co_await until(as_believed);  // the server is told, and does not answer
      }
      co_await check_whole(s);
    });
  }
}

TEST_CASE("MariaDB: a table that changed under a prepared statement shows its new columns") {
  if (!MariaDbServer::require()) return;
  mariadb().query("CREATE OR REPLACE TABLE changing (a INT) ENGINE=InnoDB");
  mariadb().query("INSERT INTO changing VALUES (1)");
  MysqlClient client;
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    Members group;
    const sql::GroupMember& one = group.add("SELECT * FROM changing");
    const sql::GroupMember& two = group.add("SELECT * FROM changing");
    co_await group.run(s);
    CHECK(two.rows.columns().size() == 1);
    mariadb().query("ALTER TABLE changing ADD COLUMN b INT DEFAULT 2");
    co_await group.run(s);
    CHECK(one.rows.columns().size() == 2);
    CHECK(two.rows[0][1].as<int>() == 2);
    mariadb().query("ALTER TABLE changing DROP COLUMN a");
    co_await group.run(s);
    CHECK(one.rows.columns() == std::vector<std::string>{"b"});
    CHECK(two.rows[0][0].as<int>() == 2);
    co_await check_whole(s);
  });
}

TEST_CASE("MariaDB: large parameters do not travel behind a result that nobody reads yet, and large results come whole") {
  if (!MariaDbServer::require()) return;
  MysqlClient client;
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    const std::string large(3'000'000, 'x');
    Members group;
    group.add("SELECT $1, REPEAT('y', 2000000)", std::string("small"));
    for (int i = 0; i < 4; ++i) group.add("SELECT $1, REPEAT('y', 2000000)", large);
    group.add("SELECT $1, REPEAT('y', 2000000)", std::string("small"));
    co_await group.run(s);
    for (const sql::GroupMember& member : group.all) {
      if (member.statement.parameters.size() != 1) FAIL("a statement has lost its parameters");
      const bool small = std::get<std::string>(member.statement.parameters[0]) == "small";
      CHECK(member.outcome == (small ? Outcome::done : Outcome::alone));
      if (small) CHECK(member.rows[0][1].as<std::string>().size() == 2'000'000);
    }
    Members alone;
    const sql::GroupMember& one = alone.add("SELECT $1, 1", large);
    co_await alone.run(s);
    REQUIRE(one.outcome == Outcome::done);
    CHECK(one.rows[0][0].as<std::string>() == large);
    co_await check_whole(s);
  });
}

TEST_CASE("MariaDB: rows of all kinds, none, and many, side by side") {
  if (!MariaDbServer::require()) return;
  MysqlClient client;
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    Members group;
    const sql::GroupMember& none = group.add("SELECT 1 FROM DUAL WHERE 1 = $1", 2);
    const sql::GroupMember& many = group.add("SELECT seq, REPEAT('x', 300) FROM seq_1_to_5000");
    const sql::GroupMember& nulls = group.add("SELECT NULL, $1, 2.50, DATE '2026-11-28'", sql::Null{});
    co_await group.run(s);
    CHECK(none.outcome == Outcome::done);
    CHECK(none.rows.empty());
    REQUIRE(many.outcome == Outcome::done);
    CHECK(many.rows.size() == 5000);
    CHECK(many.rows[4999][0].as<int>() == 5000);
    CHECK(many.rows[4999][1].as<std::string>().size() == 300);
    REQUIRE(nulls.outcome == Outcome::done);
    CHECK(nulls.rows[0][0].is_null());
    CHECK(nulls.rows[0][2].as<sql::Decimal>().text() == "2.50");
    co_await check_whole(s);
  });
}

TEST_CASE("MariaDB: past the group's patience or its own deadline, what runs is ended by the janitor, and its neighbours are served") {
  if (!MariaDbServer::require()) return;
  MysqlClient client;
  Loop loop;
  loop.run([&]() -> awaitable<void> {
    std::unique_ptr<MysqlSession> s = co_await client.connect();
    const auto inspector = mysql_inspector();
    co_await inspector->open(Deadline::after(scaled(10s)));
    std::atomic<std::uint32_t> word{0};
    s->cancel = &word;
    for (const bool late : {false, true}) {
      CAPTURE(late);
      Members group;
      const sql::GroupMember& before = group.add("SELECT 1");
      sql::GroupMember& slow = group.add("SELECT SLEEP($1) FROM seq_1_to_2", 60.0);
      const sql::GroupMember& after = group.add("SELECT 2");
      if (late) slow.deadline = Deadline::after(100ms);
      bool ended = false;
      start(loop.context().get_executor(), group.run(*s, late ? Duration(20s) : Duration(50ms)), ended);
      pool::StatementCancel request(word);
      const auto is_asked = [&] { return request.is_asked(); };
      co_await until(is_asked);
      CHECK(request.take());
      const bool cancelled = co_await inspector->cancel(s->session, s->session_birth, Deadline::after(scaled(5s)));
      CHECK(cancelled);
      asio::steady_timer moment(loop.context(), 20ms);
      co_await moment.async_wait(use_awaitable);
      CHECK_FALSE(ended);  // not before the one who ended it is done: it could hit what comes next
      request.done();
      const auto over = [&] { return ended; };
      co_await until(over);
      CHECK(before.outcome == Outcome::done);
      CHECK(after.outcome == Outcome::done);
      CHECK(slow.outcome == (late ? Outcome::failed : Outcome::alone));
      CHECK(slow.slow == !late);
      CHECK(timed_out(slow) == late);
      co_await check_whole(*s);
    }
    s->cancel = nullptr;
    co_await inspector->close(Deadline::after(scaled(5s)));
    co_await client.close(std::move(s));
  });
  loop.check_responsive();
}

TEST_CASE("MariaDB: a KILL QUERY of somebody else is an error of the statement that it hit, and of no other") {
  if (!MariaDbServer::require()) return;
  MysqlClient client;
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    Members group;
    const sql::GroupMember& hit = group.add("SELECT SLEEP($1) FROM seq_1_to_2", 60.0);
    const sql::GroupMember& after = group.add("SELECT 2");
    bool ended = false;
    const auto executor = co_await asio::this_coro::executor;
    start(executor, group.run(s), ended);
    const auto sleeping = [&] { return sleeps(s.session); };
    co_await until(sleeping);
    mariadb().query("KILL QUERY " + std::to_string(s.session));
    const auto over = [&] { return ended; };
    co_await until(over);
    CHECK(hit.outcome == Outcome::failed);
    CHECK(code_of(hit) == 1317);
    CHECK(after.outcome == Outcome::done);
    co_await check_whole(s);
  });
}

TEST_CASE("MariaDB: reads whose connection is lost leave nothing and may run again; a silent server costs the connection") {
  if (!MariaDbServer::require()) return;
  MysqlClient client;
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    Members group;
    const sql::GroupMember& before = group.add("SELECT 1");
    const sql::GroupMember& sleeping = group.add("SELECT SLEEP($1)", 60.0);
    const sql::GroupMember& after = group.add("SELECT $1", std::string("kept"));
    bool ended = false;
    const auto executor = co_await asio::this_coro::executor;
    start(executor, group.run(s), ended);
    const auto asleep = [&] { return sleeps(s.session); };
    co_await until(asleep);
    mariadb().query("KILL " + std::to_string(s.session));
    const auto over = [&] { return ended; };
    co_await until(over);
    CHECK(s.broken);
    CHECK(before.outcome == Outcome::done);
    CHECK(sleeping.outcome == Outcome::again);
    CHECK(after.outcome == Outcome::again);
    REQUIRE(after.statement.parameters.size() == 1);
    CHECK(std::get<std::string>(after.statement.parameters[0]) == "kept");
  });
  Relay relay(static_cast<std::uint16_t>(mariadb().port()));
  config::Pool options = pool_options("mysql://app:secret@127.0.0.1:" + std::to_string(relay.port()) + "/app");
  options.close_timeout = 200ms;
  MysqlClient through(options);
  with_mysql(through, [&](MysqlSession& s) -> awaitable<void> {
    Members group;
    sql::GroupMember& first = group.add("SELECT 1");
    const sql::GroupMember& second = group.add("SELECT 2");
    co_await group.run(s);
    relay.stall();
    first.deadline = Deadline::after(50ms);
    co_await group.run(s);
    CHECK(s.broken);
    CHECK(timed_out(first));
    CHECK(second.outcome == Outcome::again);
    relay.resume();
  });
}
