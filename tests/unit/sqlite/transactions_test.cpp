#include "fixture.hpp"

using namespace sluice;
using namespace sluice::test;
using sql::Class;
using sql::SqlError;

namespace {

awaitable<int> count(Open& db) {
  const sql::Rows rows = co_await db.run("SELECT count(*) FROM t");
  co_return rows[0][0].as<int>();
}

awaitable<void> connect_with_table(Open& db) {
  co_await db.connect();
  co_await db.run("CREATE TABLE IF NOT EXISTS t (n INTEGER UNIQUE, p INTEGER REFERENCES t (n) DEFERRABLE INITIALLY DEFERRED)");
}

}  // namespace

TEST_CASE("a transaction is seen by others after its commit and not before; rollback leaves nothing") {
  const TemporaryDirectory directory;
  auto body = [&]() -> awaitable<void> {
    Open one(url_of(directory / "a.db")), other(url_of(directory / "a.db"));
    co_await connect_with_table(one);
    co_await other.connect();
    co_await one.begin();
    CHECK(one.session().in_transaction());
    CHECK(one.connection().dirty);
    co_await one.run("INSERT INTO t (n) VALUES (1)");
    const int before = co_await count(other);
    CHECK(before == 0);
    co_await one.commit();
    CHECK(!one.session().in_transaction());
    CHECK(!one.connection().dirty);
    const int after = co_await count(other);
    CHECK(after == 1);
    co_await one.begin();
    co_await one.run("INSERT INTO t (n) VALUES (2)");
    co_await one.session().rollback(Deadline::never());
    CHECK(!one.connection().dirty);
    const int rolled_back = co_await count(one);
    CHECK(rolled_back == 1);
    co_await one.close();
    co_await other.close();
  };
  on_loop(body);
}

TEST_CASE("a failed statement leaves the rest of the transaction standing") {
  auto body = []() -> awaitable<void> {
    Open db("sqlite::memory:");
    co_await connect_with_table(db);
    co_await db.begin();
    co_await db.run("INSERT INTO t (n) VALUES (1)");
    const auto error = co_await thrown<SqlError>(db.run("INSERT INTO t (n) VALUES (1)"));
    CHECK(error);
    co_await db.run("INSERT INTO t (n) VALUES (2)");
    co_await db.commit();
    const int n = co_await count(db);
    CHECK(n == 2);
    co_await db.close();
  };
  on_loop(body);
}

TEST_CASE("a commit that constraints forbid says so, and reset rolls back") {
  auto body = []() -> awaitable<void> {
    Open db("sqlite::memory:");
    co_await connect_with_table(db);
    co_await db.begin();
    co_await db.run("INSERT INTO t VALUES (1, 99)");
    const auto error = co_await thrown<SqlError>(db.commit());
    REQUIRE(error);
    CHECK(error->phase() == sql::Phase::commit);
    CHECK(error->error_class() == Class::foreign_key_violation);
    CHECK(db.connection().dirty);
    co_await db.connector().reset(db.connection(), Deadline::after(30s));
    CHECK(!db.connection().dirty);
    const int n = co_await count(db);
    CHECK(n == 0);
    co_await db.close();
  };
  on_loop(body);
}

TEST_CASE("after SQLite rolled back by itself neither statements nor the commit pretend that the transaction goes on") {
  auto body = []() -> awaitable<void> {
    Open db("sqlite::memory:");
    co_await connect_with_table(db);
    co_await db.begin();
    co_await db.run("INSERT INTO t (n) VALUES (1)");
    const auto rolled_back = co_await thrown<SqlError>(db.run("INSERT OR ROLLBACK INTO t (n) VALUES (1)"));
    REQUIRE(rolled_back);
    const auto ignored = co_await thrown<SqlError>(db.run("INSERT INTO t (n) VALUES (2)"));
    REQUIRE(ignored);
    CHECK(std::string(ignored->what()).starts_with("the transaction is over"));
    const auto commit = co_await thrown<SqlError>(db.commit());
    REQUIRE(commit);
    CHECK(commit->phase() == sql::Phase::commit);
    const int n = co_await count(db);
    CHECK(n == 0);
    co_await db.close();
  };
  on_loop(body);
}

TEST_CASE("a read-only transaction keeps its snapshot and refuses to write, and only it does") {
  const TemporaryDirectory directory;
  auto body = [&]() -> awaitable<void> {
    Open reader(url_of(directory / "a.db")), writer(url_of(directory / "a.db"));
    co_await connect_with_table(reader);
    co_await writer.connect();
    co_await reader.begin(true);
    const int first = co_await count(reader);
    CHECK(first == 0);
    co_await writer.run("INSERT INTO t (n) VALUES (1)");
    const int second = co_await count(reader);
    CHECK(second == 0);
    const auto error = co_await thrown<SqlError>(reader.run("INSERT INTO t (n) VALUES (2)"));
    REQUIRE(error);
    CHECK(error->error_class() == Class::permission);
    co_await reader.commit();
    co_await reader.run("INSERT INTO t (n) VALUES (2)");
    const int last = co_await count(reader);
    CHECK(last == 2);
    co_await reader.close();
    co_await writer.close();
  };
  on_loop(body);
}

TEST_CASE("an autocommit statement that would leave a transaction open is rolled back and refused") {
  auto body = []() -> awaitable<void> {
    Open db("sqlite::memory:");
    co_await connect_with_table(db);
    for (const char* smuggled : {"BEGIN", "BEGIN IMMEDIATE", "SAVEPOINT s"}) {
      CAPTURE(smuggled);
      const auto error = co_await thrown<SqlError>(db.run(smuggled));
      REQUIRE(error);
      CHECK(std::string(error->what()).find("outside of begin()") != std::string::npos);
      CHECK(!db.session().in_transaction());
    }
    co_await db.run("INSERT INTO t (n) VALUES (1)");
    co_await db.close();
  };
  on_loop(body);
}

TEST_CASE("changed settings are put back by reset; attached databases need a new connection") {
  const TemporaryDirectory directory;
  auto body = [&]() -> awaitable<void> {
    Open db(url_of(directory / "a.db"));
    co_await db.connect();
    CHECK(!db.connection().dirty);
    co_await db.run("PRAGMA foreign_keys = OFF");
    CHECK(db.connection().dirty);
    co_await db.connector().reset(db.connection(), Deadline::after(30s));
    CHECK(!db.connection().dirty);
    const sql::Rows rows = co_await db.run("PRAGMA foreign_keys");
    CHECK(rows[0][0].as<bool>());
    co_await db.run("CREATE TEMP TABLE x (n INTEGER)");
    CHECK(db.connection().dirty);
    const auto error = co_await thrown<Error>(db.connector().reset(db.connection(), Deadline::after(30s)));
    CHECK(error);
    CHECK(db.connection().broken);
    co_await db.close();
  };
  on_loop(body);
}

TEST_CASE("a script runs all of its statements, in the transaction around it if there is one") {
  auto body = []() -> awaitable<void> {
    Open db("sqlite::memory:");
    co_await db.connect();
    co_await db.session().run_script("CREATE TABLE t (n INTEGER); -- one;\n INSERT INTO t VALUES (1); INSERT INTO t VALUES (2);", Deadline::after(30s));
    const int n = co_await count(db);
    CHECK(n == 2);
    co_await db.begin();
    const auto error = co_await thrown<SqlError>(db.session().run_script("INSERT INTO t VALUES (3); INSERT INTO nowhere VALUES (1)", Deadline::after(30s)));
    REQUIRE(error);
    CHECK(error->phase() == sql::Phase::prepare);
    co_await db.session().rollback(Deadline::never());
    const int after = co_await count(db);
    CHECK(after == 2);
    co_await db.close();
  };
  on_loop(body);
}
