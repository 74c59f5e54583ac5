#include "databases.hpp"

using namespace sluice;
using namespace sluice::test;

TEST_CASE("A statement is cancelled at its deadline on a server that has no connection left: the request counts as none") {
  if (!PostgresServer::require()) return;
  PostgresOptions options;
  options.max_connections = 8;  // 3 of them reserved
  PostgresServer full(options);
  full.start();
  RealDatabase t(full.url(), 5);
  auto body = [&]() -> awaitable<void> {
    {
      std::vector<sql::Transaction> all;
      for (int i = 0; i < 5; ++i) all.push_back(co_await t.db->begin());
      // Every place that the role may have is taken.
      CHECK(full.sessions("shop@test").size() == 5);
    }
    int ended = 0, timed_out = 0;
    for (int i = 0; i < 5; ++i) {
      asio::co_spawn(t.loop, t.db->query(within(300ms), "SELECT pg_sleep(60)"), [&](std::exception_ptr error, sql::Rows) {
        ++ended;
        try {
          if (error) std::rethrow_exception(error);
        } catch (const TimedOut&) {
          ++timed_out;
        } catch (const std::exception& e) {
          FAIL_CHECK(std::string(e.what()));
        }
      });
    }
    asio::steady_timer timer(t.loop);
    while (ended < 5) {
      timer.expires_after(5ms);
      co_await timer.async_wait(use_awaitable);
    }
    CHECK(timed_out == 5);
    // Every connection is still good, and none was made or refused for the cancels.
    for (int i = 0; i < 5; ++i) co_await t.db->query("SELECT 1");
    CHECK(t.stats.connects.get() == 5);
  };
  t.run(body);
  CHECK(full.refused() == 0);
}
