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
    std::exception_ptr failure;
    try {
      co_await on.run_group(pointers, false, scaled(patience));
    } catch (const Error&) {
      failure = std::current_exception();
    }
    for (sql::GroupMember& member : all) {
      if (member.outcome != Outcome::open) continue;
      member.outcome = Outcome::failed;  // as whoever runs a group does
      member.failure = failure;
    }
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
  make_naps();
  for (const char* tls : {"disable", "require"}) {
    CAPTURE(tls);
    Relay relay(static_cast<std::uint16_t>(mariadb().port()));
    MysqlClient client("mysql://app:secret@127.0.0.1:" + std::to_string(relay.port()) + "/app?sslmode=" + tls);
    with_mysql(client, [&](MysqlSession& s) -> awaitable<void> {
      Members group;
      group.add(nap_there, 0);
      for (int i = 1; i < 8; ++i) group.add("SELECT $1, 'a'", i);
      co_await group.run(s);  // everything is prepared now
      for (const sql::GroupMember& member : group.all) REQUIRE(member.outcome == Outcome::done);
      group.all.front().statement = sql::make_statement(nap_there, 500);
      const auto nothing = [&] { return naps(s.session) == 0; };
      co_await until(nothing);  // the list may show it for a moment after its answer
      const std::uint64_t before = relay.totals().to_server;
      bool ended = false;
      const auto executor = co_await asio::this_coro::executor;
      start(executor, group.run(s), ended);
      const auto sleeping = [&] { return naps(s.session) == 1; };
      co_await until(sleeping);
      const std::uint64_t sent = relay.totals().to_server - before;
      CHECK(naps(s.session) == 1);  // still
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
    group.add("SELECT $1, REPEAT('y', 2000000)", large);
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

TEST_CASE("MariaDB: the same statement many times in a group: each caller gets his own rows, and no more of them") {
  if (!MariaDbServer::require()) return;
  MysqlClient client;
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    for (int round = 0; round < 3; ++round) {
      Members group;
      for (const int rows : {1, 0, 3, 0, 2, 2, 0}) group.add("SELECT seq, REPEAT('x', 200) FROM seq_1_to_3 WHERE seq <= $1", rows);
      co_await group.run(s);
      for (const sql::GroupMember& member : group.all) {
        REQUIRE(member.outcome == Outcome::done);
        const auto rows = static_cast<std::size_t>(std::get<std::int64_t>(member.statement.parameters[0]));
        REQUIRE(member.rows.size() == rows);
        for (std::size_t i = 0; i < rows; ++i) CHECK(member.rows[i][0].as<std::size_t>() == i + 1);
      }
    }
    co_await check_whole(s);
  });
}

TEST_CASE("MariaDB: what ends its transaction is not refused because reads shared the connection before") {
  if (!MariaDbServer::require()) return;
  mariadb().query("CREATE OR REPLACE TABLE kept (i INT) ENGINE=InnoDB");
  mariadb().query("CREATE OR REPLACE PROCEDURE commit_and_write() BEGIN COMMIT; INSERT INTO kept VALUES (2); END");
  MysqlClient client;
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    for (const char* ending : {"CREATE OR REPLACE TABLE made_in_between (i INT)", "TRUNCATE made_in_between", "CALL commit_and_write()"}) {
      CAPTURE(ending);
      mariadb().query("DELETE FROM kept");
      Members group;
      group.add("SELECT 1");
      group.add("SELECT 2");
      co_await group.run(s);
      const sql::TransactionOptions usual;
      co_await s.begin(usual, Deadline::after(scaled(10s)));
      co_await query(s, "INSERT INTO kept VALUES (1)");
      co_await query(s, ending);
      co_await s.commit(Deadline::after(scaled(10s)));
      const bool called = std::string_view(ending).starts_with("CALL");
      CHECK(mariadb().query("SELECT COUNT(*) FROM kept")[0][0] == (called ? "2" : "1"));
    }
    co_await s.reset(Deadline::after(scaled(10s)));
    co_await check_whole(s);
  });
}

TEST_CASE("MariaDB: past the group's patience or its own deadline, what runs is ended by the janitor, and its neighbours are served") {
  if (!MariaDbServer::require()) return;
  make_naps();
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
      sql::GroupMember& slow = group.add(nap_there, 60000);
      const sql::GroupMember& after = group.add("SELECT 2");
      if (late) slow.deadline = Deadline::after(100ms);
      bool ended = false;
      start(loop.context().get_executor(), group.run(*s, late ? Duration(20s) : Duration(50ms)), ended);
      pool::StatementCancel request(word);
      const auto is_asked = [&] { return request.is_asked(); };
      co_await until(is_asked);
      CHECK(request.take());
      request.done();  // as by a KILL QUERY that came before the server had begun with it, and hit nothing
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

TEST_CASE("MariaDB: many slow statements, and one that waits already to be prepared, hold their neighbours up for little more than the patience") {
  if (!MariaDbServer::require()) return;
  make_naps();
  mariadb().query("CREATE OR REPLACE TABLE altered (i INT) ENGINE=InnoDB");
  MysqlClient client;
  Loop loop;
  loop.run([&]() -> awaitable<void> {
    std::unique_ptr<MysqlSession> s = co_await client.connect();
    std::unique_ptr<MysqlSession> other = co_await client.connect();
    const auto inspector = mysql_inspector();
    co_await inspector->open(Deadline::after(scaled(10s)));
    std::atomic<std::uint32_t> word{0};
    s->cancel = &word;
    bool over = false, gone = false;
    const auto janitor = [&]() -> awaitable<void> {
      asio::steady_timer timer(loop.context());
      pool::StatementCancel request(word);
      while (!over) {
        if (request.take()) {
          co_await inspector->cancel(s->session, s->session_birth, Deadline::after(scaled(5s)));
          request.done();
        }
        timer.expires_after(1ms);
        co_await timer.async_wait(use_awaitable);
      }
      gone = true;
    };
    start(loop.context().get_executor(), janitor(), gone);
    {
      Members group;
      for (int i = 0; i < 20; ++i) group.add(nap_there, 60000);
      const sql::GroupMember& quick = group.add("SELECT 7");
      const TimePoint began = Clock::now();
      co_await group.run(*s, 100ms);
      CHECK(Clock::now() - began < scaled(1500ms));  // a patience for each would be 2 s
      CHECK(group.all.front().outcome == Outcome::alone);
      CHECK(group.all.front().slow);
      for (const sql::GroupMember& member : group.all) {
        if (&member == &group.all.front() || &member == &quick) continue;
        CHECK(member.outcome == Outcome::again);
        CHECK_FALSE(member.slow);
      }
      CHECK((quick.outcome == Outcome::done || quick.outcome == Outcome::again));
      co_await check_whole(*s);
    }
    // ALTER waits for a reader, and whoever comes after waits for ALTER.
    co_await query(*s, "SELECT 5");
    mariadb().query("BEGIN");
    mariadb().query("SELECT * FROM altered");
    bool altered = false;
    const auto alter = [&]() -> awaitable<void> { co_await query(*other, "ALTER TABLE altered ADD COLUMN j INT"); };
    start(loop.context().get_executor(), alter(), altered);
    const auto waits = [&] {
      return mariadb().query("SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'Waiting for table metadata lock' AND id = " +
                             std::to_string(other->session))[0][0] == "1";
    };
    co_await until(waits);
    Members group;
    const sql::GroupMember& blocked = group.add("SELECT i FROM altered");
    const sql::GroupMember& too = group.add("SELECT i FROM altered");
    const sql::GroupMember& known = group.add("SELECT 5");
    const TimePoint began = Clock::now();
    co_await group.run(*s, 50ms);
    CHECK(Clock::now() - began < scaled(1500ms));
    CHECK(blocked.outcome == Outcome::alone);
    CHECK(blocked.slow);
    CHECK(too.outcome == Outcome::again);
    CHECK(known.outcome == Outcome::done);
    CHECK_FALSE(altered);
    mariadb().query("COMMIT");
    const auto done = [&] { return altered; };
    co_await until(done);
    co_await check_whole(*s);
    over = true;
    const auto janitor_gone = [&] { return gone; };
    co_await until(janitor_gone);
    s->cancel = nullptr;
    co_await inspector->close(Deadline::after(scaled(5s)));
    co_await client.close(std::move(other));
    co_await client.close(std::move(s));
  });
}

TEST_CASE("MariaDB: a KILL QUERY of somebody else is an error of the statement that it hit, and of no other") {
  if (!MariaDbServer::require()) return;
  make_naps();
  MysqlClient client;
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    Members group;
    const sql::GroupMember& hit = group.add(nap_there, 60000);
    const sql::GroupMember& after = group.add("SELECT 2");
    bool ended = false;
    const auto executor = co_await asio::this_coro::executor;
    start(executor, group.run(s), ended);
    const auto sleeping = [&] { return naps(s.session) == 1; };
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
  make_naps();
  MysqlClient client;
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    Members group;
    const sql::GroupMember& before = group.add("SELECT 1");
    const sql::GroupMember& sleeping = group.add(nap_there, 60000);
    const sql::GroupMember& after = group.add("SELECT $1", std::string("kept"));
    bool ended = false;
    const auto executor = co_await asio::this_coro::executor;
    start(executor, group.run(s), ended);
    const auto asleep = [&] { return naps(s.session) == 1; };
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
  // The same where not even the preparing is answered, and where somebody is asked to end what runs but does not.
  for (const bool asked : {false, true}) {
    with_mysql(through, [&](MysqlSession& s) -> awaitable<void> {
      std::atomic<std::uint32_t> word{0};
      if (asked) s.cancel = &word;
      Members one;
      sql::GroupMember& late = one.add("SELECT 1");
      if (asked) co_await one.run(s);
      relay.stall();
      late.deadline = Deadline::after(50ms);
      co_await one.run(s);
      CHECK(s.broken);
      CHECK(timed_out(late));
      CHECK(pool::StatementCancel(word).is_asked() == asked);
      relay.resume();
      s.cancel = nullptr;
    });
  }
  for (const bool prepared : {false, true}) {
    Members before, lost;
    before.add("SELECT 2");
    const sql::GroupMember& first = lost.add("SELECT 'first of its connection'");
    const sql::GroupMember& second = lost.add("SELECT 2");
    with_mysql(client, [&](MysqlSession& s) -> awaitable<void> {
      if (prepared) co_await before.run(s);
      mariadb().query("KILL " + std::to_string(s.session));
      co_await lost.run(s);
      CHECK(s.broken);
      CHECK(first.outcome == Outcome::again);
      CHECK(second.outcome == Outcome::again);
    });
  }
}
