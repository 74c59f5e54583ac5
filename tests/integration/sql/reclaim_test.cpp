// Leaked leases on real databases (leak.reclaim), and what runs when a pool is cleared with `interrupt`.
#include <functional>
#include <optional>
#include <utility>

#include "databases.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

constexpr Duration leak_after = 100ms;

config::Pool reclaiming(const std::string& url) {
  config::Pool options;
  options.url = url;
  options.leak_after = leak_after;
  options.leak_reclaim = true;
  return options;
}

awaitable<void> wait_until(RealDatabase& t, std::function<bool()> condition) {
  asio::steady_timer timer(t.loop);
  const Deadline limit = Deadline::after(scaled(20s));
  while (!condition() && !limit.passed(Clock::now())) {
    timer.expires_after(2ms);
    co_await timer.async_wait(use_awaitable);
  }
  CHECK(condition());
}

// Calls `test(options, slow)` on each database, `slow` being a statement that takes long there.
template <class F>
void reclaiming_on_each(F test) {
  on_each_url([&test](const std::string& url) {
    const bool sqlite = url.starts_with("sqlite:"), mysql = url.starts_with("mysql:");
    const std::string slow = sqlite  ? "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
                             : mysql ? "SELECT SLEEP(60)"
                                     : "SELECT pg_sleep(60)";
    test(reclaiming(url), slow);
  });
}

}  // namespace

TEST_CASE("leak.reclaim: a forgotten transaction is rolled back, its connection serves the next, and its holder is told") {
  reclaiming_on_each([](const config::Pool& options, const std::string&) {
    // A second row: MySQL's ends are proven by the janitor only, which is not here.
    RealDatabase t(options, 2, true);
    auto body = [&]() -> awaitable<void> {
      co_await t.db->query("DROP TABLE IF EXISTS leaked");
      co_await t.db->query("CREATE TABLE leaked (i INT)");
      sql::Transaction tx = co_await t.db->begin();
      co_await tx.query("INSERT INTO leaked VALUES (1)");
      std::function<bool()> taken_away = [&] { return t.pool->numbers().leased == 0; };
      co_await wait_until(t, std::move(taken_away));
      CHECK(t.pool->numbers().suspected_leaks == 1);
      const sql::Rows rows = co_await t.db->query("SELECT COUNT(*) FROM leaked");
      CHECK(rows[0][0].as<std::int64_t>() == 0);
      auto late = error_from<Error>(tx.query("INSERT INTO leaked VALUES (2)"));
      const std::optional<Error> error = co_await std::move(late);
      REQUIRE(error);
      CHECK(std::string(error->what()).find("was taken away") != std::string::npos);
    };
    t.run(body);
  });
}

TEST_CASE("leak.reclaim: what is being read or runs is left alone, however long it takes") {
  reclaiming_on_each([](const config::Pool& options, const std::string& slow) {
    RealDatabase t(options, 1, true);
    auto body = [&]() -> awaitable<void> {
      {
        // All of its rows may have come long since; the reader still refers to the session.
        sql::Stream stream = co_await t.db->stream("SELECT 1 UNION ALL SELECT 2");
        std::function<bool()> told = [&] { return t.pool->numbers().suspected_leaks == 1; };
        co_await wait_until(t, std::move(told));
        asio::steady_timer timer(t.loop, 3 * leak_after);
        co_await timer.async_wait(use_awaitable);
        CHECK(t.pool->numbers().leased == 1);
        int rows = 0;
        while (co_await stream.next()) ++rows;
        CHECK(rows == 2);
      }
      bool timed_out = false;
      try {
        co_await t.db->query(within(5 * leak_after), sql::SqlText(slow));
      } catch (const TimedOut&) {
        timed_out = true;
      }
      CHECK(timed_out);
      CHECK(t.pool->numbers().suspected_leaks == 2);
    };
    t.run(body);
  });
}

TEST_CASE("clear() with interrupt ends what runs on the server, at once") {
  reclaiming_on_each([](const config::Pool& options, const std::string& slow) {
    RealDatabase t(options, 2, true);
    std::optional<ActingJanitor> janitor;
    if (t.db->dialect() == sql::Dialect::mysql) janitor.emplace(t);
    auto body = [&]() -> awaitable<void> {
      std::exception_ptr failure;
      bool ended = false;
      asio::co_spawn(t.loop, t.db->query(sql::SqlText(slow)), [&](std::exception_ptr e, sql::Rows) {
        failure = e;
        ended = true;
      });
      std::function<bool()> runs = [&] { return t.running[0].started_nanos.get() != 0; };
      co_await wait_until(t, std::move(runs));
      asio::steady_timer timer(t.loop, 100ms);  // it has reached the server
      co_await timer.async_wait(use_awaitable);
      const TimePoint began = Clock::now();
      t.pool->clear(pool::Pending::interrupt);
      CHECK_FALSE(ended);
      std::function<bool()> has_ended = [&] { return ended; };
      co_await wait_until(t, std::move(has_ended));
      CHECK(failure);
      CHECK(Clock::now() - began < scaled(5s));
      t.pool->ready();
      co_await t.db->query("SELECT 1");
    };
    t.run(body);
  });
}
