// The whole way: Database, Pool, driver, file.
#include <support/permit_rows.hpp>
#include <sluice/pool/registry.hpp>
#include <sluice/sql/database.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include "fixture.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

// One worker's pool and database; closed by close().
class WorkerDatabase {
 public:
  WorkerDatabase(asio::io_context& loop, PermitRows& permits, const std::string& url) {
    const pool::Driver* driver = pool::find_driver("sqlite");
    REQUIRE(driver);
    const config::Pool options = pool_options(url);
    pool::PoolResources resources;
    resources.share = permits.share;
    pool_.emplace(loop, options, driver->make_connector(options, pool::Identity()), resources);
    pool_->ready();
    db.emplace(*pool_);
  }
  awaitable<bool> close() { return pool_->close(Deadline::after(30s)); }

 private:
  std::optional<pool::Pool> pool_;

 public:
  std::optional<sql::Database> db;
};

template <class F>
void with_worker(const std::string& url, F body) {
  PermitRows permits(4);
  asio::io_context loop;
  WorkerDatabase worker(loop, permits, url);
  std::exception_ptr failure;
  auto whole = [&]() -> awaitable<void> {
    co_await body(*worker.db);
    const bool closed = co_await worker.close();
    CHECK(closed);
  };
  asio::co_spawn(loop, whole(), [&](std::exception_ptr e) {
    failure = e;
    loop.stop();
  });
  loop.run();
  if (failure) std::rethrow_exception(failure);
  CHECK(permits.free() == 4);
}

constexpr const char* schema = "CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)";
constexpr const char* guarded =
    "CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY); INSERT INTO t SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM t); CREATE INDEX IF NOT EXISTS i ON t (n)";

}  // namespace

TEST_CASE("the driver is found by its scheme and is local") {
  const pool::Driver* driver = pool::find_driver("sqlite");
  REQUIRE(driver);
  CHECK(driver->local);
  CHECK(driver->display_name == "SQLite");
  CHECK((driver->make_inspector == nullptr));
  CHECK(driver->make_connector(pool_options("sqlite:a.db"), pool::Identity())->default_max() == 4);
  CHECK(driver->make_connector(pool_options("sqlite::memory:"), pool::Identity())->default_max() == 1);
}

TEST_CASE("statements and transactions go through the pool, several at once") {
  const TemporaryDirectory directory;
  auto body = [](sql::Database& db) -> awaitable<void> {
    db.on_first_use("", schema);
    int done = 0;
    const auto executor = co_await asio::this_coro::executor;
    for (int i = 0; i < 20; ++i)
      asio::co_spawn(executor, db.execute("INSERT INTO t VALUES ($1)", 10 + i), [&](std::exception_ptr e, std::uint64_t changed) { done += e || changed != 1 ? 1000 : 1; });
    while (done < 20) co_await sleep_for(1ms);
    CHECK(done == 20);
    sql::Transaction tx = co_await db.begin();
    co_await tx.execute("DELETE FROM t WHERE n >= $1", 10);
    const sql::Rows rows = co_await tx.query("SELECT n FROM t ORDER BY n");
    CHECK(rows.as<int>() == std::vector<int>{1, 2});
    co_await tx.commit();
    { sql::Transaction forgotten = co_await db.begin(); co_await forgotten.execute("DELETE FROM t"); }
    const sql::Rows left = co_await db.query("SELECT count(*) FROM t");
    CHECK(left[0][0].as<int>() == 2);
  };
  with_worker(url_of(directory / "a.db"), body);
}

TEST_CASE("within() reaches the statement") {
  const TemporaryDirectory directory;
  auto body = [](sql::Database& db) -> awaitable<void> {
    const auto late = co_await thrown<TimedOut>(db.query(within(100ms), endless));
    CHECK(late);
    const sql::Rows rows = co_await db.query("SELECT 1");
    CHECK(rows.size() == 1);
  };
  with_worker(url_of(directory / "a.db"), body);
}

TEST_CASE("of several databases and processes that use a new file at once, each finds the schema made exactly once") {
  const TemporaryDirectory directory;
  const std::string url = url_of(directory / "first.db");
  std::vector<pid_t> children;
  for (int i = 0; i < 3; ++i) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      int code = 1;
      try {
        auto body = [&code](sql::Database& db) -> awaitable<void> {
          db.on_first_use("", guarded);
          sql::Database second(db.source());
          second.on_first_use("", guarded);
          const sql::Rows one = co_await db.query("SELECT count(*) FROM t");
          const sql::Rows two = co_await second.query("SELECT count(*) FROM t");
          code = one[0][0].as<int>() == 1 && two[0][0].as<int>() == 1 ? 0 : 2;
        };
        with_worker(url, body);
      } catch (const std::exception& e) {
        std::fprintf(stderr, "first use: %s\n", e.what());
        code = 3;
      }
      ::_exit(code);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }
}

TEST_CASE("a broken script fails the statement with its cause and leaves nothing; a repaired file is used without a restart") {
  const TemporaryDirectory directory;
  auto body = [&](sql::Database& db) -> awaitable<void> {
    db.on_first_use("", "CREATE TABLE half (n INTEGER); INSERT INTO missing VALUES (1)");
    for (int i = 0; i < 2; ++i) {
      const auto error = co_await thrown<sql::SqlError>(db.query("SELECT 1"));
      REQUIRE(error);
      CHECK(std::string(error->what()).find("no such table: missing") != std::string::npos);
    }
    db.on_first_use("", "CREATE TABLE missing (n INTEGER)");
    const sql::Rows tables = co_await db.query("SELECT name FROM sqlite_master");
    CHECK(tables.as<std::string>() == std::vector<std::string>{"missing"});
  };
  with_worker(url_of(directory / "a.db"), body);
}
