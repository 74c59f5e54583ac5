// A group of reads on one MariaDB session: when its statements are sent, what each gets, and what is left behind.
#include <support/relay.hpp>

#include "group_members.hpp"
#include "mysql_fixture.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

using Outcome = sql::GroupMember::Outcome;

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
      group.all.front().parameters = sql::make_parameters(nap_there, 500);
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
      if (member.parameters.size() != 1) FAIL("a statement has lost its parameters");
      const bool small = std::get<std::string>(member.parameters[0]) == "small";
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
        const auto rows = static_cast<std::size_t>(std::get<std::int64_t>(member.parameters[0]));
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
