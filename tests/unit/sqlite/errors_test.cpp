#include <fstream>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.hpp"

using namespace sluice;
using namespace sluice::test;
using sql::Class;
using sql::SqlError;

namespace {

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// The ConnectFailed of connecting to `url`.
std::optional<pool::ConnectFailed> refusal(const std::string& url) {
  std::optional<pool::ConnectFailed> failure;
  auto body = [&]() -> awaitable<void> {
    Open db(url);
    failure = co_await thrown<pool::ConnectFailed>(db.connect());
  };
  on_loop(body);
  return failure;
}

}  // namespace

TEST_CASE("violated constraints are told apart, and the connection goes on") {
  auto body = []() -> awaitable<void> {
    Open db("sqlite::memory:");
    co_await db.connect();
    co_await db.run("CREATE TABLE p (id INTEGER PRIMARY KEY, u TEXT UNIQUE, n TEXT NOT NULL, c INTEGER CHECK (c > 0))");
    co_await db.run("CREATE TABLE f (p INTEGER REFERENCES p (id))");
    co_await db.run("INSERT INTO p VALUES (1, 'a', 'n', 1)");
    const std::vector<std::pair<std::string, Class>> cases = {
        {"INSERT INTO p VALUES (1, 'b', 'n', 1)", Class::unique_violation}, {"INSERT INTO p VALUES (2, 'a', 'n', 1)", Class::unique_violation},
        {"INSERT INTO p VALUES (2, 'b', NULL, 1)", Class::not_null_violation}, {"INSERT INTO p VALUES (2, 'b', 'n', 0)", Class::check_violation},
        {"INSERT INTO f VALUES (9)", Class::foreign_key_violation},            {"INSERT INTO p (id) VALUES ('x')", Class::type},
    };
    for (const auto& one : cases) {
      CAPTURE(one.first);
      const auto error = co_await thrown<SqlError>(db.run(one.first));
      REQUIRE(error);
      CHECK(error->error_class() == one.second);
      CHECK(error->phase() == sql::Phase::execute);
      CHECK(error->native_code() != 0);
      CHECK(error->statement() == one.first);
      CHECK(!db.connection().broken);
      CHECK(!db.connection().dirty);
    }
    const sql::Rows rows = co_await db.run("SELECT count(*) FROM p");
    CHECK(rows[0][0].as<int>() == 1);
    co_await db.close();
  };
  on_loop(body);
}

TEST_CASE("wrong statements and wrong parameters fail before anything runs, with the statement but not its parameters") {
  auto body = []() -> awaitable<void> {
    Open db("sqlite::memory:");
    co_await db.connect();
    const auto syntax = co_await thrown<SqlError>(db.run("SELEC 1"));
    REQUIRE(syntax);
    CHECK(syntax->error_class() == Class::syntax);
    CHECK(syntax->phase() == sql::Phase::prepare);
    CHECK(contains(syntax->what(), "SELEC 1"));
    const auto table = co_await thrown<SqlError>(db.run("SELECT * FROM nowhere WHERE a = $1", "secret"));
    REQUIRE(table);
    CHECK(contains(table->what(), "no such table: nowhere"));
    CHECK(!contains(table->what(), "secret"));
    const auto missing = co_await thrown<SqlError>(db.run("SELECT $1, $2", 1));
    REQUIRE(missing);
    CHECK(contains(missing->what(), "statement has $2 but 1 parameter was given"));
    const auto surplus = co_await thrown<SqlError>(db.run("SELECT 1", 1));
    REQUIRE(surplus);
    const auto two = co_await thrown<SqlError>(db.run("SELECT 1; SELECT 2"));
    REQUIRE(two);
    CHECK(contains(two->what(), "one statement at a time"));
    const sql::Rows trailing = co_await db.run("SELECT 1; -- the end\n ;");
    CHECK(trailing.size() == 1);
    const sql::Rows nothing = co_await db.run("-- nothing");
    CHECK(nothing.empty());
    co_await db.close();
  };
  on_loop(body);
}

TEST_CASE("a database that cannot be opened says which file, why and what to do, and holds nothing") {
  const TemporaryDirectory directory;
  const auto missing = refusal(url_of(directory / "nowhere/x.db"));
  REQUIRE(missing);
  CHECK(contains(missing->what(), "nowhere does not exist; create it or change the pool's url"));
  CHECK(missing->released());
  CHECK(missing->permanent());

  std::ofstream(directory / "file") << "x";
  const auto not_directory = refusal(url_of(directory / "file/x.db"));
  REQUIRE(not_directory);
  CHECK(contains(not_directory->what(), "is not a directory"));

  const auto is_directory = refusal(url_of(directory.path()));
  REQUIRE(is_directory);
  CHECK(contains(is_directory->what(), "it is a directory"));

  const auto absent = refusal(url_of(directory / "absent.db", "?mode=rw"));
  REQUIRE(absent);
  CHECK(contains(absent->what(), "does not exist and the url's mode does not allow to make it"));

  std::ofstream(directory / "letter.db") << std::string(4096, 'x');
  const auto letter = refusal(url_of(directory / "letter.db"));
  REQUIRE(letter);
  CHECK(contains(letter->what(), "file is not a database"));
  CHECK(letter->released());
}

TEST_CASE("missing permissions are named with the user who lacks them") {
  const TemporaryDirectory directory;
  {
    auto make = [&]() -> awaitable<void> {
      Open db(url_of(directory / "mine.db"));
      co_await db.connect();
      co_await db.close();
    };
    on_loop(make);
  }
  std::filesystem::permissions(directory / "mine.db", std::filesystem::perms(0444));
  std::filesystem::permissions(directory.path(), std::filesystem::perms(0555));
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    // Root may do everything: be somebody else.
    if (::geteuid() == 0 && ::setuid(65534) != 0) ::_exit(10);
    const auto file = refusal(url_of(directory / "mine.db"));
    const auto fresh = refusal(url_of(directory / "fresh.db"));
    if (!file || !contains(file->what(), "may not write it; change its permissions or add mode=ro")) ::_exit(11);
    if (!fresh || !contains(fresh->what(), "may not create files in")) ::_exit(12);
    ::_exit(0);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  std::filesystem::permissions(directory.path(), std::filesystem::perms(0755));
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("a read-only pool reads, and says that it does not write") {
  const TemporaryDirectory directory;
  auto body = [&]() -> awaitable<void> {
    Open writer(url_of(directory / "a.db"));
    co_await writer.connect();
    co_await writer.run("CREATE TABLE t (n INTEGER)");
    co_await writer.run("INSERT INTO t VALUES (7)");
    Open reader(url_of(directory / "a.db", "?mode=ro"));
    co_await reader.connect();
    const sql::Rows rows = co_await reader.run("SELECT n FROM t");
    CHECK(rows[0][0].as<int>() == 7);
    const auto error = co_await thrown<SqlError>(reader.run("INSERT INTO t VALUES (8)"));
    REQUIRE(error);
    CHECK(error->error_class() == Class::permission);
    CHECK(contains(error->what(), "read-only"));
    co_await reader.close();
    co_await writer.close();
  };
  on_loop(body);
}

TEST_CASE("a check notices that the file was taken away, and ends the connection") {
  const TemporaryDirectory directory;
  auto body = [&]() -> awaitable<void> {
    Open db(url_of(directory / "a.db"));
    co_await db.connect();
    co_await db.connector().ping(db.connection(), Deadline::after(30s));
    CHECK(!db.connection().dirty);
    std::filesystem::remove(directory / "a.db");
    const auto error = co_await thrown<Error>(db.connector().ping(db.connection(), Deadline::after(30s)));
    REQUIRE(error);
    CHECK(contains(error->what(), "was moved or deleted"));
    CHECK(db.connection().broken);
    co_await db.close();
  };
  on_loop(body);
}
