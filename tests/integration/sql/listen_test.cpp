#include "databases.hpp"

using namespace sluice;
using namespace sluice::test;

TEST_CASE("A listener gets every message in order, whether it waits or not, and others' channels not at all") {
  if (!PostgresServer::require()) return;
  RealDatabase t(server().url());
  auto body = [&]() -> awaitable<void> {
    sql::Listener listener = co_await t.db->listen("or\"ders");
    co_await t.db->query("SELECT pg_notify('or\"ders', 'one')");
    co_await t.db->query("SELECT pg_notify('elsewhere', 'nothing')");
    {
      sql::Transaction tx = co_await t.db->begin();
      co_await tx.query("SELECT pg_notify('or\"ders', 'two')");
      co_await tx.query("SELECT pg_notify('or\"ders', 'rolled back')");
      co_await tx.rollback();
    }
    co_await t.db->query("SELECT pg_notify('or\"ders', 'three')");
    const sql::Notification one = co_await listener.next(within(10s));
    CHECK(one.channel == "or\"ders");
    CHECK(one.payload == "one");
    const sql::Notification three = co_await listener.next(within(10s));
    CHECK(three.payload == "three");
    const auto none = co_await error_from<TimedOut>(listener.next(within(50ms)));
    CHECK(none);
    // Beyond a timeout nothing is missed.
    co_await listener.add("elsewhere");
    co_await t.db->query("NOTIFY elsewhere, 'four'");
    const sql::Notification four = co_await listener.next();
    CHECK(four.payload == "four");
    CHECK(t.pool->numbers().leased == 1);
  };
  t.run(body);
  CHECK(t.pool->numbers().leased == 0);
}

TEST_CASE("A listener whose server goes away is told so, and the next one works") {
  if (!PostgresServer::require()) return;
  RealDatabase t(server().url());
  auto body = [&]() -> awaitable<void> {
    sql::Listener listener = co_await t.db->listen("orders");
    server().query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'");
    const auto lost = co_await error_from<sql::SqlError>(listener.next(within(10s)));
    REQUIRE(lost);
    CHECK(lost->phase() == sql::Phase::lost);
    listener = co_await t.db->listen("orders");
    co_await t.db->query("NOTIFY orders");
    const sql::Notification again = co_await listener.next(within(10s));
    CHECK(again.payload.empty());
  };
  t.run(body);
}

TEST_CASE("Where there is no LISTEN, it says so") {
  const TemporaryDirectory directory;
  RealDatabase t("sqlite:" + directory.path() + "/test.db");
  auto body = [&]() -> awaitable<void> {
    const auto error = co_await error_from<sql::SqlError>(t.db->listen("orders"));
    REQUIRE(error);
    CHECK(std::string(error->what()) == "LISTEN is not there on SQLite");
  };
  t.run(body);
}

TEST_CASE("A listener is held for as long as it is wanted: it is no leak") {
  if (!PostgresServer::require()) return;
  config::Pool options;
  options.url = server().url();
  options.leak_after = scaled(200ms);
  RealDatabase t(options, 4, true);
  auto body = [&]() -> awaitable<void> {
    sql::Listener listener = co_await t.db->listen("orders");
    const pool::Lease leaked = co_await t.pool->acquire();
    asio::steady_timer timer(t.loop);
    const Deadline deadline = Deadline::after(scaled(10s));
    while (t.pool->numbers().suspected_leaks == 0 && !deadline.passed(Clock::now())) {
      timer.expires_after(10ms);
      co_await timer.async_wait(use_awaitable);
    }
    timer.expires_after(scaled(300ms));  // the listener, which is older, would have been told by now
    co_await timer.async_wait(use_awaitable);
    CHECK(t.pool->numbers().suspected_leaks == 1);
    CHECK(t.pool->numbers().leased == 2);
  };
  t.run(body);
}
