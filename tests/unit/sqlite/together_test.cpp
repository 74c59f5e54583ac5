#include <sys/resource.h>

#include <csignal>

#include "fixture.hpp"
#include "support/real_database.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

awaitable<void> write_one(sql::Database& db, std::string sql, int value, int& done, std::vector<std::string>& errors) {
  std::string failed;
  try {
    co_await db.execute(sql, value);
  } catch (const std::exception& e) {
    failed = e.what();
  }
  if (!failed.empty()) errors.push_back(failed);
  ++done;
}

awaitable<void> until(int& done, int count) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  while (done < count) {
    timer.expires_after(1ms);
    co_await timer.async_wait(use_awaitable);
  }
}

// Frames of commits in the write-ahead log of a database that only this test writes: how many COMMITs there were.
std::int64_t commits(const std::string& path) {
  std::FILE* file = std::fopen((path + "-wal").c_str(), "rb");
  REQUIRE(file != nullptr);
  unsigned char header[32], frame[24];
  std::int64_t count = 0;
  REQUIRE(std::fread(header, 1, sizeof header, file) == sizeof header);
  const long page = header[8] << 24 | header[9] << 16 | header[10] << 8 | header[11];
  while (std::fread(frame, 1, sizeof frame, file) == sizeof frame) {
    count += (frame[4] | frame[5] | frame[6] | frame[7]) != 0;  // the database's size after a commit
    std::fseek(file, page, SEEK_CUR);
  }
  std::fclose(file);
  return count;
}

}  // namespace

TEST_CASE("writes that wait together share a COMMIT, and each of them is there afterwards") {
  const TemporaryDirectory directory;
  const std::string path = directory / "t.db";
  RealDatabase t("sqlite:" + path + "?synchronous=full");
  auto body = [&]() -> awaitable<void> {
    co_await t.db->execute("CREATE TABLE t (n INTEGER PRIMARY KEY)");
    int done = 0;
    std::vector<std::string> errors;
    for (int i = 0; i < 500; ++i) asio::co_spawn(t.loop, write_one(*t.db, "INSERT INTO t VALUES ($1)", i, done, errors), asio::detached);
    co_await until(done, 500);
    CHECK(errors.empty());
    const sql::Rows rows = co_await t.db->query("SELECT count(*) FROM t");
    CHECK(rows[0][0].as<int>() == 500);
    const std::int64_t count = commits(path);
    MESSAGE(count, " commits for 501 statements");
    CHECK(count < 50);
    CHECK(t.pool->numbers().leased == 0);
  };
  t.run(body);
}

TEST_CASE("a write that fails among others fails alone, with its own error; rows and counts are each one's own") {
  const TemporaryDirectory directory;
  RealDatabase t("sqlite:" + std::string(directory / "t.db"));
  auto body = [&]() -> awaitable<void> {
    co_await t.db->execute("CREATE TABLE t (n INTEGER PRIMARY KEY, CHECK (n <> 13))");
    int done = 0;
    std::vector<std::string> errors;
    for (int i = 0; i < 100; ++i)
      asio::co_spawn(t.loop, write_one(*t.db, i % 10 == 5 ? "INSERT INTO nowhere VALUES ($1)" : "INSERT INTO t VALUES ($1)", i, done, errors),
                     asio::detached);
    std::vector<std::int64_t> returned;
    std::exception_ptr failure;
    for (int i = 1000; i < 1005; ++i) {
      asio::co_spawn(t.loop, t.db->query("INSERT INTO t VALUES ($1), ($1 + 100) RETURNING n", i), [&](std::exception_ptr e, sql::Rows rows) {
        if (e) failure = e;
        CHECK(rows.affected() == 2);
        CHECK(rows.last_insert_id() == rows[1][0].as<int>());
        returned.push_back(rows[0][0].as<std::int64_t>());
        ++done;
      });
    }
    co_await until(done, 105);
    CHECK_FALSE(failure);
    CHECK(returned == std::vector<std::int64_t>{1000, 1001, 1002, 1003, 1004});
    CHECK(errors.size() == 11);  // ten without a table, one that the check refused
    const sql::Rows rows = co_await t.db->query("SELECT count(*) FROM t");
    CHECK(rows[0][0].as<int>() == 99);
    CHECK(t.stats.statement_errors.get() == 11);
  };
  t.run(body);
}

TEST_CASE("where one write makes SQLite give up the whole transaction, the others are performed all the same") {
  const TemporaryDirectory directory;
  RealDatabase t("sqlite:" + std::string(directory / "t.db"));
  auto body = [&]() -> awaitable<void> {
    co_await t.db->execute("CREATE TABLE parent (n INTEGER PRIMARY KEY)");
    co_await t.db->execute("CREATE TABLE t (n INTEGER PRIMARY KEY REFERENCES parent DEFERRABLE INITIALLY DEFERRED)");
    co_await t.db->execute("INSERT INTO parent VALUES (1), (2), (3), (4), (5)");
    // Looked at only by COMMIT: the orphan must not take the others with it.
    int done = 0;
    std::vector<std::string> errors;
    for (const int n : {1, 2, 99, 3}) asio::co_spawn(t.loop, write_one(*t.db, "INSERT INTO t VALUES ($1)", n, done, errors), asio::detached);
    // Rolls the transaction back by itself.
    asio::co_spawn(t.loop, write_one(*t.db, "INSERT OR ROLLBACK INTO t VALUES ($1 - 3)", 4, done, errors), asio::detached);
    for (const int n : {4, 5}) asio::co_spawn(t.loop, write_one(*t.db, "INSERT INTO t VALUES ($1)", n, done, errors), asio::detached);
    co_await until(done, 7);
    CHECK(errors.size() == 2);
    const sql::Rows rows = co_await t.db->query("SELECT n FROM t ORDER BY n");
    CHECK(rows.as<int>() == std::vector<int>{1, 2, 3, 4, 5});
  };
  t.run(body);
}

TEST_CASE("a write past its deadline leaves its neighbours done and nothing of itself") {
  const TemporaryDirectory directory;
  RealDatabase t("sqlite:" + std::string(directory / "t.db"));
  auto body = [&]() -> awaitable<void> {
    co_await t.db->execute("CREATE TABLE t (n INTEGER)");
    int done = 0;
    std::vector<std::string> errors;
    for (int i = 0; i < 10; ++i) asio::co_spawn(t.loop, write_one(*t.db, "INSERT INTO t VALUES ($1)", i, done, errors), asio::detached);
    const std::string slow = "INSERT INTO t WITH RECURSIVE s(n) AS (SELECT 100 UNION ALL SELECT n + 1 FROM s WHERE n < 4000000000) SELECT n FROM s";
    std::exception_ptr late;
    asio::co_spawn(t.loop, t.db->execute(within(200ms), slow), [&](std::exception_ptr e, std::uint64_t) {
      late = e;
      ++done;
    });
    for (int i = 10; i < 20; ++i) asio::co_spawn(t.loop, write_one(*t.db, "INSERT INTO t VALUES ($1)", i, done, errors), asio::detached);
    co_await until(done, 21);
    CHECK(errors.empty());
    REQUIRE(late);
    CHECK_THROWS_AS(std::rethrow_exception(late), TimedOut);
    const sql::Rows rows = co_await t.db->query("SELECT count(*), max(n) FROM t");
    CHECK(rows[0][0].as<int>() == 20);
    CHECK(rows[0][1].as<int>() == 19);
  };
  t.run(body);
}

TEST_CASE("readers go on beside the writers, and a pool of one connection lets both have their turn") {
  const TemporaryDirectory directory;
  RealDatabase t("sqlite:" + std::string(directory / "t.db"), 1);
  auto body = [&]() -> awaitable<void> {
    co_await t.db->execute("CREATE TABLE t (n INTEGER)");
    bool stop = false;
    int writers = 0;
    const auto writer = [](sql::Database& db, bool& end, int& alive) -> awaitable<void> {
      ++alive;
      while (!end) co_await db.execute("INSERT INTO t VALUES ($1)", 1);
      --alive;
    };
    for (int i = 0; i < 8; ++i) asio::co_spawn(t.loop, writer(*t.db, stop, writers), asio::detached);
    // Eight writers never pause, and yet a reader comes to its turn.
    for (int i = 0; i < 3; ++i) {
      const sql::Rows rows = co_await t.db->query("SELECT count(*) FROM t");
      CHECK(rows.size() == 1);
    }
    stop = true;
    asio::steady_timer timer(t.loop);
    while (writers > 0) {
      timer.expires_after(1ms);
      co_await timer.async_wait(use_awaitable);
    }
  };
  t.run(body);
}

TEST_CASE("a full disk is a clear error for every write that it meets, and afterwards writing goes on") {
  const TemporaryDirectory directory;
  RealDatabase t("sqlite:" + std::string(directory / "t.db"));
  auto body = [&]() -> awaitable<void> {
    co_await t.db->execute("CREATE TABLE t (n INTEGER, b BLOB)");
    // No file may grow beyond this: writing fails as on a full disk.
    ::signal(SIGXFSZ, SIG_IGN);
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
    rlimit small = before;
    small.rlim_cur = 256 * 1024;
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
    const sql::Bytes big(512 * 1024, std::byte{7});
    const auto full = co_await error_from<sql::SqlError>(t.db->execute("INSERT INTO t VALUES (1, $1)", big));
    const auto again = co_await error_from<sql::SqlError>(t.db->execute("INSERT INTO t VALUES (2, $1)", big));
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
    REQUIRE(full);
    REQUIRE(again);
    for (const auto& error : {*full, *again}) {
      CAPTURE(error.what());
      CHECK(error.error_class() == sql::Class::disk);
      CHECK(error.statement().find("INSERT INTO t") == 0);
    }
    const std::uint64_t small_one = co_await t.db->execute("INSERT INTO t VALUES (3, $1)", big);
    CHECK(small_one == 1);
    const sql::Rows rows = co_await t.db->query("SELECT n FROM t");
    CHECK(rows.as<int>() == std::vector<int>{3});
  };
  t.run(body);
}
