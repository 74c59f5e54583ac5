// Statements on a real MariaDB: the prepared-statement cache, errors, transactions, reset, results.
#include <support/meanwhile.hpp>

#include "mysql_fixture.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

std::uint64_t prepared_on_server() { return mariadb().status("Prepared_stmt_count"); }

bool says(const std::exception& e, const std::string& words) { return std::string(e.what()).find(words) != std::string::npos; }

}  // namespace

TEST_CASE("MariaDB: a statement is prepared once, and the least used one is closed when the cache is full") {
  if (!MariaDbServer::require()) return;
  config::Pool options = pool_options(mariadb().url());
  options.statement_cache = 3;
  MysqlClient client(options);
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    const std::uint64_t before = prepared_on_server(), prepares = mariadb().status("Com_stmt_prepare");
    for (int i = 0; i < 20; ++i) {
      const sql::Rows rows = co_await query(s, "SELECT $1 + 1", i);
      CHECK(rows[0][0].as<int>() == i + 1);
    }
    CHECK(mariadb().status("Com_stmt_prepare") == prepares + 1);
    for (int i = 0; i < 5; ++i) {
      const std::string sql = "SELECT " + std::to_string(i);
      co_await query(s, sql);
    }
    CHECK(s.cached_statements() == 3);
    co_await query(s, "SELECT 4");  // its answer shows that the closes before it have arrived
    CHECK(prepared_on_server() == before + 3);
  });
}

TEST_CASE("MariaDB: without a cache nothing stays prepared") {
  if (!MariaDbServer::require()) return;
  config::Pool options = pool_options(mariadb().url());
  options.statement_cache = 0;
  MysqlClient client(options);
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    const std::uint64_t before = prepared_on_server();
    for (int i = 0; i < 3; ++i) {
      const sql::Rows rows = co_await query(s, "SELECT $1", i);
      CHECK(rows[0][0].as<int>() == i);
    }
    co_await s.ping(Deadline::after(5s));
    CHECK(prepared_on_server() == before);
  });
}

TEST_CASE("MariaDB: a connection keeps no more statements prepared than its part of what the server holds") {
  if (!MariaDbServer::require()) return;
  const std::string most = "SET GLOBAL max_prepared_stmt_count = ";
  const Meanwhile limited(mariadb(), most + "100", most + "DEFAULT");  // of 20 connections: 5 for each
  MysqlClient client;
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    for (int i = 0; i < 30; ++i) {
      const std::string sql = "SELECT " + std::to_string(i);
      co_await query(s, sql);
    }
    CHECK(s.cached_statements() == 5);
  });
  mariadb().query(most + "0");
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    const sql::SqlError error = co_await error_of(s, "SELECT 1");
    CHECK(error.native_code() == 1461);
    CHECK(error.error_class() == sql::Class::busy);
    CHECK(says(error, "statement_cache"));
    CHECK_FALSE(s.broken);
  });
}

TEST_CASE("MariaDB: a prepared statement survives a change of its table") {
  if (!MariaDbServer::require()) return;
  MysqlClient client;
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    co_await query(s, "CREATE OR REPLACE TABLE changing (a INT)");
    co_await query(s, "INSERT INTO changing VALUES (1)");
    const sql::Rows one = co_await query(s, "SELECT * FROM changing");
    CHECK(one.columns().size() == 1);
    mariadb().query("ALTER TABLE changing ADD b VARCHAR(10) DEFAULT 'new'");
    const sql::Rows two = co_await query(s, "SELECT * FROM changing");
    REQUIRE(two.columns().size() == 2);
    CHECK(two[0]["b"].as<std::string>() == "new");
  });
}

TEST_CASE("MariaDB: errors carry class, number and SQLSTATE, never a parameter, and leave the connection usable") {
  if (!MariaDbServer::require()) return;
  MysqlClient client;
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    co_await query(s, "DROP TABLE IF EXISTS child");
    co_await query(s,
                   "CREATE OR REPLACE TABLE parent (id INT PRIMARY KEY, name VARCHAR(5) NOT NULL, n INT CHECK (n > 0), UNIQUE (name)) ENGINE=InnoDB");
    co_await query(s, "CREATE TABLE child (parent INT, FOREIGN KEY (parent) REFERENCES parent (id)) ENGINE=InnoDB");
    co_await query(s, "INSERT INTO parent VALUES (1, 'one', 1)");
    const std::string secret = "one", wrong = "hunter2 for all";
    const sql::SqlError twice = co_await error_of(s, "INSERT INTO parent VALUES (2, $1, 1)", secret);
    CHECK(twice.error_class() == sql::Class::unique_violation);
    CHECK(twice.native_code() == 1062);
    CHECK(twice.sqlstate() == "23000");
    CHECK_FALSE(says(twice, "'one'"));
    CHECK(says(twice, "INSERT INTO parent VALUES (2, $1, 1)"));
    const sql::SqlError orphan = co_await error_of(s, "INSERT INTO child VALUES (7)");
    CHECK(orphan.error_class() == sql::Class::foreign_key_violation);
    const sql::SqlError null = co_await error_of(s, "INSERT INTO parent VALUES (3, $1, 1)", sql::Null{});
    CHECK(null.error_class() == sql::Class::not_null_violation);
    const sql::SqlError check = co_await error_of(s, "INSERT INTO parent VALUES (3, 'x', 0)");
    CHECK(check.error_class() == sql::Class::check_violation);
    const sql::SqlError long_value = co_await error_of(s, "INSERT INTO parent VALUES (3, $1, 1)", wrong);
    CHECK(long_value.error_class() == sql::Class::type);
    CHECK_FALSE(says(long_value, "hunter2"));
    const sql::SqlError word = co_await error_of(s, "INSERT INTO parent VALUES ($1, 'y', 1)", wrong);
    CHECK(word.error_class() == sql::Class::type);
    CHECK_FALSE(says(word, "hunter2"));
    const sql::SqlError syntax = co_await error_of(s, "SELEC 1");
    CHECK(syntax.error_class() == sql::Class::syntax);
    CHECK(syntax.phase() == sql::Phase::prepare);
    const sql::SqlError table = co_await error_of(s, "SELECT * FROM nowhere");
    CHECK(table.error_class() == sql::Class::syntax);
    CHECK(table.sqlstate() == "42S02");
    const sql::SqlError denied = co_await error_of(s, "SELECT * FROM mysql.global_priv");
    CHECK(denied.error_class() == sql::Class::permission);
    const sql::SqlError few = co_await error_of(s, "SELECT $1, $2", 1);
    CHECK(few.phase() == sql::Phase::encode);
    const sql::SqlError many = co_await error_of(s, "SELECT 1", 1);
    CHECK(many.phase() == sql::Phase::encode);
    const sql::SqlError mark = co_await error_of(s, "SELECT ?", 1);
    CHECK(mark.phase() == sql::Phase::encode);
    CHECK(says(mark, "$1"));
    CHECK_FALSE(s.broken);
    CHECK_FALSE(s.dirty);
    const sql::Rows rows = co_await query(s, "SELECT COUNT(*) FROM parent");
    CHECK(rows[0][0].as<int>() == 1);
  });
}

TEST_CASE("MariaDB: a value beyond max_allowed_packet is refused before it is sent, with both sizes") {
  if (!MariaDbServer::require()) return;
  MysqlClient client;
  const std::string big(17 << 20, 'x'), fits(8 << 20, 'x');  // here, not on the loop, which must turn
  with_mysql(client, [&](MysqlSession& s) -> awaitable<void> {
    const sql::SqlError error = co_await error_of(s, "SELECT LENGTH($1)", big);
    CHECK(error.phase() == sql::Phase::encode);
    CHECK(error.native_code() == 1153);
    CHECK(says(error, "max_allowed_packet = 16777216"));
    CHECK_FALSE(s.broken);
    const sql::SqlError twice = co_await error_of(s, "SELECT $1, $1, $1", fits);
    CHECK(twice.native_code() == 1153);
    const sql::Rows rows = co_await query(s, "SELECT LENGTH(v), v FROM (SELECT $1 AS v) AS one", fits);
    CHECK(rows[0][0].as<int>() == 8 << 20);
    CHECK(rows[0][1].as<std::string>() == fits);
  });
}

TEST_CASE("MariaDB: statements without a result and those that cannot be prepared work, and count what they match") {
  if (!MariaDbServer::require()) return;
  MysqlClient client;
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    co_await query(s, "CREATE OR REPLACE TABLE counted (id INT PRIMARY KEY AUTO_INCREMENT, n INT)");
    const sql::Rows inserted = co_await query(s, "INSERT INTO counted (n) VALUES (1), (1), (2)");
    CHECK(inserted.affected() == 3);
    CHECK(inserted.last_insert_id() == 1);
    CHECK(inserted.columns().empty());
    const sql::Rows same = co_await query(s, "UPDATE counted SET n = 1 WHERE n = 1");
    CHECK(same.affected() == 2);  // matched, though unchanged: as PostgreSQL and SQLite count
    const sql::Rows returning = co_await query(s, "INSERT INTO counted (n) VALUES ($1) RETURNING id, n", 9);
    CHECK(returning[0]["id"].as<int>() == 4);
    CHECK(returning.affected() == 1);
    const sql::Rows none = co_await query(s, "SELECT * FROM counted WHERE id = 1000");
    CHECK(none.empty());
    CHECK(none.columns().size() == 2);
    CHECK(none.affected() == 0);
    co_await query(s, "PREPARE later FROM 'SELECT 1'");  // itself not preparable
    CHECK(s.dirty);
    const sql::Rows executed = co_await query(s, "EXECUTE later");
    CHECK(executed[0][0].as<int>() == 1);
  });
}

TEST_CASE("MariaDB: several results of a procedure are refused with a reason, one is taken, and the connection stays in step") {
  if (!MariaDbServer::require()) return;
  MysqlClient client;
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    co_await query(s, "CREATE OR REPLACE PROCEDURE two_results() BEGIN SELECT 1; SELECT 2, 3; END");
    co_await query(s, "CREATE OR REPLACE PROCEDURE one_result() SELECT 5 AS five");
    const sql::Rows one = co_await query(s, "CALL one_result()");
    CHECK(one[0]["five"].as<int>() == 5);
    for (int i = 0; i < 2; ++i) {
      const sql::SqlError error = co_await error_of(s, "CALL two_results()");
      CHECK(error.phase() == sql::Phase::fetch);
      CHECK(says(error, "several results"));
      CHECK_FALSE(s.broken);
      const sql::Rows rows = co_await query(s, "SELECT $1", i);
      CHECK(rows[0][0].as<int>() == i);
    }
    const sql::SqlError both = co_await error_of(s, "SELECT 1; SELECT 2");
    CHECK(both.error_class() == sql::Class::syntax);
    const sql::SqlError file = co_await error_of(s, "LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE counted");
    CHECK_FALSE(s.broken);
  });
}

TEST_CASE("MariaDB: a script of several statements runs as a whole, and stops at its first error") {
  if (!MariaDbServer::require()) return;
  MysqlClient client;
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    const Deadline soon = Deadline::after(scaled(20s));
    co_await s.run_script("DROP TABLE IF EXISTS scripted; CREATE TABLE scripted (n INT); INSERT INTO scripted VALUES (1); SELECT * FROM scripted;",
                          soon);
    std::string message;
    try {
      co_await s.run_script("INSERT INTO scripted VALUES (2); INSERT INTO nowhere VALUES (1); INSERT INTO scripted VALUES (3)", soon);
    } catch (const sql::SqlError& e) {
      message = e.what();
    }
    CHECK(message.find("nowhere") != std::string::npos);
    CHECK_FALSE(s.broken);
    const sql::Rows rows = co_await query(s, "SELECT SUM(n) FROM scripted");
    CHECK(rows[0][0].as<std::string>() == "3");
    const sql::SqlError still_one = co_await error_of(s, "SELECT 1; SELECT 2");
    CHECK(still_one.error_class() == sql::Class::syntax);
  });
}

TEST_CASE("MariaDB: a transaction commits or rolls back, at the isolation that was asked for") {
  if (!MariaDbServer::require()) return;
  MysqlClient client;
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    const Deadline soon = Deadline::after(scaled(20s));
    co_await query(s, "CREATE OR REPLACE TABLE moved (n INT) ENGINE=InnoDB");
    sql::TransactionOptions options;
    co_await s.begin(options, soon);
    CHECK(s.in_transaction());
    CHECK(s.dirty);
    co_await query(s, "INSERT INTO moved VALUES (1)");
    co_await s.rollback(soon);
    CHECK_FALSE(s.in_transaction());
    CHECK_FALSE(s.dirty);
    co_await s.begin(options, soon);
    co_await query(s, "INSERT INTO moved VALUES (2)");
    co_await s.commit(soon);
    const sql::Rows rows = co_await query(s, "SELECT n FROM moved");
    REQUIRE(rows.size() == 1);
    CHECK(rows[0][0].as<int>() == 2);
    const sql::Rows isolation = co_await query(s, "SELECT @@tx_isolation");
    CHECK(isolation[0][0].as<std::string>() == "READ-COMMITTED");
    options.isolation = sql::Isolation::repeatable_read;
    co_await s.begin(options, soon);
    const sql::Rows first = co_await query(s, "SELECT COUNT(*) FROM moved");
    mariadb().query("INSERT INTO moved VALUES (3)");
    const sql::Rows second = co_await query(s, "SELECT COUNT(*) FROM moved");
    CHECK(first[0][0].as<int>() == second[0][0].as<int>());
    co_await s.commit(soon);
    options.isolation = sql::Isolation::standard;
    co_await s.begin(options, soon);
    const sql::Rows third = co_await query(s, "SELECT COUNT(*) FROM moved");
    mariadb().query("INSERT INTO moved VALUES (4)");
    const sql::Rows fourth = co_await query(s, "SELECT COUNT(*) FROM moved");
    CHECK(fourth[0][0].as<int>() == third[0][0].as<int>() + 1);
    co_await s.commit(soon);
    options.read_only = true;
    co_await s.begin(options, soon);
    const sql::SqlError refused = co_await error_of(s, "INSERT INTO moved VALUES (5)");
    CHECK(refused.native_code() == 1792);
    CHECK(s.in_transaction());
    co_await s.rollback(soon);
  });
}

TEST_CASE("MariaDB: after a deadlock the rest of the transaction does not run on its own") {
  if (!MariaDbServer::require()) return;
  MysqlClient client;
  Loop loop;
  loop.run([&]() -> awaitable<void> {
    const Deadline soon = Deadline::after(scaled(20s));
    std::unique_ptr<MysqlSession> a = co_await client.connect();
    std::unique_ptr<MysqlSession> b = co_await client.connect();
    co_await query(*a, "CREATE OR REPLACE TABLE locked (id INT PRIMARY KEY, n INT) ENGINE=InnoDB");
    co_await query(*a, "INSERT INTO locked VALUES (1, 0), (2, 0)");
    co_await a->begin({}, soon);
    co_await b->begin({}, soon);
    // The heavier transaction wins.
    co_await query(*a, "UPDATE locked SET n = 1 WHERE id = 1");
    co_await query(*a, "INSERT INTO locked VALUES (3, 0), (4, 0), (5, 0)");
    co_await query(*b, "UPDATE locked SET n = 2 WHERE id = 2");
    bool done = false;
    asio::co_spawn(loop.context(), query(*a, "UPDATE locked SET n = 1 WHERE id = 2"), [&done](std::exception_ptr e, sql::Rows) { done = !e; });
    const sql::SqlError deadlock = co_await error_of(*b, "UPDATE locked SET n = 2 WHERE id = 1");
    CHECK(deadlock.error_class() == sql::Class::deadlock);
    const sql::SqlError refused = co_await error_of(*b, "INSERT INTO locked VALUES (99, 0)");
    CHECK(refused.sqlstate() == "25P02");
    std::string commit;
    try {
      co_await b->commit(soon);
    } catch (const sql::SqlError& e) {
      commit = e.what();
      CHECK(e.phase() == sql::Phase::commit);
    }
    CHECK(commit.find("rolled back") != std::string::npos);
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer poll(executor);
    while (!done) {
      poll.expires_after(5ms);
      co_await poll.async_wait(use_awaitable);
    }
    co_await a->commit(soon);
    const sql::Rows rows = co_await query(*b, "SELECT COUNT(*), SUM(n) FROM locked");
    CHECK(rows[0][0].as<int>() == 5);
    CHECK(rows[0][1].as<std::string>() == "2");
    CHECK_FALSE(b->dirty);
    co_await client.close(std::move(a));
    co_await client.close(std::move(b));
  });
}

TEST_CASE("MariaDB: DDL inside a transaction commits it, and what follows is refused instead of running on its own") {
  if (!MariaDbServer::require()) return;
  MysqlClient client;
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    const Deadline soon = Deadline::after(scaled(20s));
    co_await query(s, "CREATE OR REPLACE TABLE kept (n INT) ENGINE=InnoDB");
    co_await s.begin({}, soon);
    co_await query(s, "INSERT INTO kept VALUES (1)");
    co_await query(s, "CREATE OR REPLACE TABLE elsewhere (n INT)");
    const sql::SqlError refused = co_await error_of(s, "INSERT INTO kept VALUES (2)");
    CHECK(refused.sqlstate() == "25000");
    CHECK(says(refused, "committed"));
    co_await s.commit(soon);
    const sql::Rows rows = co_await query(s, "SELECT COUNT(*) FROM kept");
    CHECK(rows[0][0].as<int>() == 1);
  });
}

TEST_CASE("MariaDB: reset ends transactions and session state; an unchanged session keeps its prepared statements") {
  if (!MariaDbServer::require()) return;
  MysqlClient client;
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    const Deadline soon = Deadline::after(scaled(30s));
    co_await query(s, "CREATE OR REPLACE TABLE reset_me (n INT) ENGINE=InnoDB");
    co_await s.begin({}, soon);
    co_await query(s, "INSERT INTO reset_me VALUES (1)");
    CHECK(s.dirty);
    co_await s.reset(soon);
    CHECK_FALSE(s.dirty);
    CHECK(s.cached_statements() == 2);
    const sql::Rows gone = co_await query(s, "SELECT COUNT(*) FROM reset_me");
    CHECK(gone[0][0].as<int>() == 0);
    const std::vector<std::string> traces = {"SET @mine = 1",
                                             "SET SESSION sql_mode = ''",
                                             "CREATE TEMPORARY TABLE hidden (n INT)",
                                             "SELECT GET_LOCK('mine', 1)",
                                             "LOCK TABLES reset_me WRITE",
                                             "PREPARE named FROM 'SELECT 1'",
                                             "SET autocommit = 0",
                                             "SELECT 1 INTO @other"};
    for (const std::string& trace : traces) {
      INFO(trace);
      co_await query(s, trace);
      CHECK(s.dirty);
      co_await s.reset(soon);
      CHECK_FALSE(s.dirty);
    }
    CHECK(s.cached_statements() == 0);
    const sql::Rows clean = co_await query(s,
                                           "SELECT @mine, @other, @@sql_mode, IS_USED_LOCK('mine'), @@time_zone, @@character_set_client, "
                                           "@@tx_isolation, @@autocommit, @@max_statement_time");
    CHECK(clean[0][0].is_null());
    CHECK(clean[0][1].is_null());
    CHECK(clean[0][2].as<std::string>().find("STRICT_ALL_TABLES") != std::string::npos);
    CHECK(clean[0][3].is_null());
    CHECK(clean[0][4].as<std::string>() == "+00:00");
    CHECK(clean[0][5].as<std::string>() == "utf8mb4");
    CHECK(clean[0][6].as<std::string>() == "READ-COMMITTED");
    CHECK(clean[0][7].as<int>() == 1);
    const sql::SqlError hidden = co_await error_of(s, "SELECT * FROM hidden");
    CHECK(hidden.sqlstate() == "42S02");
    const sql::SqlError named = co_await error_of(s, "EXECUTE named");
    CHECK(named.native_code() == 1243);
  });
}

TEST_CASE("MariaDB: a second statement on a busy connection is refused and disturbs nothing") {
  if (!MariaDbServer::require()) return;
  MysqlClient client;
  Loop loop;
  loop.run([&]() -> awaitable<void> {
    std::unique_ptr<MysqlSession> s = co_await client.connect();
    std::optional<int> answer;
    asio::co_spawn(loop.context(), query(*s, "SELECT SLEEP(0.2), 42"), [&answer](std::exception_ptr e, sql::Rows rows) {
      if (!e) answer = rows[0][1].as<int>();
    });
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer poll(executor, 20ms);
    co_await poll.async_wait(use_awaitable);
    const sql::SqlError refused = co_await error_of(*s, "SELECT 1");
    CHECK(says(refused, "another statement runs"));
    while (!answer) {
      poll.expires_after(5ms);
      co_await poll.async_wait(use_awaitable);
    }
    CHECK(*answer == 42);
    CHECK_FALSE(s->broken);
    co_await client.close(std::move(s));
  });
}

TEST_CASE("MariaDB: a large result is streamed in pieces, and may be stopped or dropped before its end") {
  if (!MariaDbServer::require()) return;
  MysqlClient client;
  Loop loop;
  loop.run([&]() -> awaitable<void> {
    const Deadline soon = Deadline::after(scaled(30s));
    std::unique_ptr<MysqlSession> s = co_await client.connect();
    const std::string many = "SELECT seq, REPEAT('x', 200) FROM seq_1_to_100000";
    sql::Statement first(many, {}), second(many, {}), third(many, {});
    std::unique_ptr<sql::RowSource> source = co_await s->open_stream(std::move(first), soon, soon);
    const sql::SqlError busy = co_await error_of(*s, "SELECT 1");
    CHECK(says(busy, "another statement runs"));
    std::int64_t rows = 0, sum = 0, pieces = 0;
    for (;;) {
      const std::shared_ptr<const sql::ResultSet> piece = co_await source->next(soon);
      if (!piece) break;
      ++pieces;
      CHECK(piece->row_count < 1000);
      rows += static_cast<std::int64_t>(piece->row_count);
      for (std::size_t r = 0; r < piece->row_count; ++r) sum += std::get<std::int64_t>(piece->cells[r * 2]);
    }
    CHECK(rows == 100000);
    CHECK(sum == 5000050000);
    CHECK(pieces > 100);
    source.reset();
    CHECK_FALSE(s->broken);
    const sql::Rows after = co_await query(*s, "SELECT $1", 1);
    CHECK(after[0][0].as<int>() == 1);

    source = co_await s->open_stream(std::move(second), soon, soon);
    co_await source->next(soon);
    co_await source->stop(soon);
    source.reset();
    CHECK_FALSE(s->broken);
    const sql::Rows stopped = co_await query(*s, "SELECT $1", 2);
    CHECK(stopped[0][0].as<int>() == 2);

    source = co_await s->open_stream(std::move(third), soon, soon);
    co_await source->next(soon);
    source.reset();
    CHECK(s->broken);
    co_await client.close(std::move(s));
  });
}
