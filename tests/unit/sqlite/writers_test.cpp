#include <sys/wait.h>
#include <unistd.h>

#include "fixture.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

constexpr int processes = 3;
constexpr int connections = 2;
constexpr int writes = 60;

awaitable<void> write_some(Open& db, int& done) {
  for (int i = 0; i < writes; ++i) {
    if (i % 3 == 0) {
      co_await db.begin();
      const sql::Rows rows = co_await db.run("SELECT n FROM counter");
      co_await db.run("UPDATE counter SET n = $1", rows[0][0].as<int>() + 1);
      co_await db.commit();
    } else {
      co_await db.run("UPDATE counter SET n = n + 1");
    }
  }
  ++done;
}

// What a worker process does. The exit code: 0 if every write was done.
int write_as_worker(const std::string& url) {
  int done = 0;
  try {
    auto body = [&]() -> awaitable<void> {
      const auto connector = std::make_shared<sqlite::Connector>(pool_options(url));
      std::vector<Open> open;
      for (int i = 0; i < connections; ++i) open.emplace_back(connector);
      for (Open& db : open) co_await db.connect();
      co_await open[0].session().run_script("CREATE TABLE IF NOT EXISTS counter (n INTEGER NOT NULL)", Deadline::after(30s));
      co_await open[0].run("INSERT INTO counter SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM counter)");
      const auto executor = co_await asio::this_coro::executor;
      for (Open& db : open) {
        asio::co_spawn(executor, write_some(db, done), [](std::exception_ptr e) {
          if (e) std::rethrow_exception(e);
        });
      }
      while (done < connections) co_await sleep_for(2ms);
      for (Open& db : open) co_await db.close();
    };
    on_loop(body);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "writer %d: %s\n", ::getpid(), e.what());
    return 1;
  }
  return done == connections ? 0 : 2;
}

}  // namespace

TEST_CASE("processes that open a new database at once and write to it together lose no write and see no lock error") {
  const TemporaryDirectory directory;
  const std::string url = url_of(directory / "counter.db");
  std::vector<pid_t> children;
  for (int i = 0; i < processes; ++i) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) ::_exit(write_as_worker(url));
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }
  auto body = [&]() -> awaitable<void> {
    Open db(url);
    co_await db.connect();
    const sql::Rows rows = co_await db.run("SELECT n FROM counter");
    REQUIRE(rows.size() == 1);
    CHECK(rows[0][0].as<int>() == processes * connections * writes);
    co_await db.close();
  };
  on_loop(body);
}

TEST_CASE("connections of one process have session ids of their own") {
  const TemporaryDirectory directory;
  auto body = [&]() -> awaitable<void> {
    Open one(url_of(directory / "a.db")), other(url_of(directory / "a.db"));
    co_await one.connect();
    co_await other.connect();
    CHECK(one.connection().session / 1'000'000 == static_cast<std::uint64_t>(::getpid()));
    CHECK(one.connection().session != other.connection().session);
    CHECK(one.connection().session_birth > 1'700'000'000);
    co_await one.close();
    co_await other.close();
  };
  on_loop(body);
}
