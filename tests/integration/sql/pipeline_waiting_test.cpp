// Reads that wait for company: for how long, how many, beside whom, and what becomes of them when the pool or the loop ends.
#include <memory>

#include "travellers.hpp"

using namespace sluice;
using namespace sluice::test;

TEST_CASE("Waiting is bounded: queue_limit refuses at once, acquire_timeout and the call's own limit end it") {
  if (!PostgresServer::require()) return;
  config::Pool options;
  options.queue_limit = 3;
  options.acquire_timeout = 600ms;
  Travellers party(options);
  const auto for_company = [&] {
    party.start_over();
    party.know({where});
    party.hold_all();
    for (int i = 0; i < 3; ++i) party.ask(within(scaled(300ms)), where);
    party.settle();
    Asked& refused = party.ask(where);
    party.settle();
    CHECK(refused.ended);
    CHECK(refused.what().find("queue full") != std::string::npos);
    REQUIRE(party.all_end());
    for (const Asked& one : party.asked) CHECK(one.threw<pool::PoolError>());
    Asked& waits = party.ask(where);
    REQUIRE(party.all_end());
    CHECK(waits.what().find("wait timeout") != std::string::npos);
    // Nothing is left behind by those who gave up.
    party.held.clear();
    Asked& served = party.ask(where);
    REQUIRE(party.all_end());
    CHECK(served.rows.has_value());
    const std::string it_was_company = "statements waiting for company";
    return refused.what().find(it_was_company) != std::string::npos && waits.what().find(it_was_company) != std::string::npos;
  };
  CHECK(Travellers::in_time(for_company));
}

TEST_CASE("queue_limit 0: a read waits for no company, but for a connection that is opened for it") {
  if (!PostgresServer::require()) return;
  config::Pool options;
  options.queue_limit = 0;
  Travellers party(options, 1);
  party.know({where});
  party.t.pool->refresh();
  Asked& alone = party.ask(where);
  REQUIRE(party.all_end());
  CHECK(alone.cell(2) == "off");
  party.hold_all();
  Asked& refused = party.ask(where);
  REQUIRE(party.all_end());
  CHECK(refused.what().find("queue full") != std::string::npos);
}

TEST_CASE("A connection that is idle comes first, also while others are on their way with one") {
  if (!PostgresServer::require()) return;
  config::Pool options;
  options.queue_limit = 1;
  Travellers party(options, 3);
  const auto on_the_way = [&] {
    party.start_over();
    party.know({where});
    party.know_with(nap, 0);
    party.hold_all();
    Asked& slow = party.ask(nap, in_seconds(scaled(500ms)));
    party.let_go();
    REQUIRE(party.until([] { return running_sleeps() == 1; }));
    party.held.clear();
    Asked& first = party.ask(where);
    Asked& second = party.ask(where);
    REQUIRE(party.until([&] { return first.ended && second.ended; }));
    CHECK(first.cell(2) == "off");
    CHECK(second.cell(2) == "off");
    CHECK(first.cell(1) != second.cell(1));
    const bool beside_it = !slow.ended;
    REQUIRE(party.all_end());
    CHECK(slow.rows.has_value());
    return beside_it;
  };
  CHECK(Travellers::in_time(on_the_way));
}

TEST_CASE("Whoever wants a connection of its own is not starved by reads without end") {
  if (!PostgresServer::require()) return;
  Travellers party;
  const auto beside_company = [&] {
    party.know({where});
    bool stop = false;
    int readers = 0, in_company = 0;
    auto reader = [&]() -> awaitable<void> {
      ++readers;
      while (!stop) {
        const sql::Rows rows = co_await party.t.db->query(where);
        in_company += rows[0][2].as<std::string>() == "on";
      }
      --readers;
    };
    for (int i = 0; i < 200; ++i) asio::co_spawn(party.t.loop, reader(), asio::detached);  // more than fit into two groups
    auto exclusive = [&]() -> awaitable<void> {
      for (int i = 0; i < 5; ++i) {
        const TimePoint began = Clock::now();
        sql::Transaction tx = co_await party.t.db->begin();
        co_await tx.query("SELECT 1");
        co_await tx.commit();
        CHECK(Clock::now() - began < scaled(500ms));
      }
      stop = true;
    };
    party.t.run(exclusive);
    REQUIRE(party.until([&] { return readers == 0; }));
    return in_company > 0;
  };
  CHECK(Travellers::in_time(beside_company));
}

TEST_CASE("A pool that closes fails those who wait for company") {
  if (!PostgresServer::require()) return;
  config::Pool options;
  options.max = 2;  // so that carriers are fewer than statements
  const auto for_company = [&options] {
    Travellers party(options);
    party.know({where});
    party.hold_all();
    for (int i = 0; i < 20; ++i) party.ask(where);
    party.settle();
    const bool in_company = party.t.pool->numbers().waiting < 20;  // carriers wait for them
    auto closed = [](const std::exception_ptr&, bool) {};
    asio::co_spawn(party.t.loop, party.t.pool->close(Deadline::after(scaled(5s))), closed);
    REQUIRE(party.all_end());
    for (const Asked& one : party.asked) CHECK(one.threw<pool::PoolError>());
    party.held.clear();
    return in_company;
  };
  CHECK(Travellers::in_time(for_company));
}

TEST_CASE("A loop that ends with statements on the way leaves nothing behind") {
  if (!PostgresServer::require()) return;
  const auto in_company = [] {
    PermitRows permits(2);
    shm::PoolStats stats{};
    std::vector<shm::RunningStatement> running(32);
    std::list<Asked> asked;
    bool together = false;
    std::list<asio::cancellation_signal> signals;  // die before the loop, like those of a caller who has gone home
    {
      auto loop = std::make_unique<asio::io_context>(1);
      config::Pool options = pool_options(server().url());
      options.pipeline_patience = scaled(20s);
      pool::PoolResources resources;
      resources.share = permits.share;
      resources.stats = &stats;
      const pool::Driver* driver = pool::find_driver("postgresql");
      pool::Pool pool(*loop, options, driver->make_connector(options, identity()), resources);
      pool.ready();
      sql::Database db(pool, sql::StatementBoard(&stats, running));
      auto know = [&]() -> awaitable<void> {
        for (int i = 0; i < Travellers::runs_to_know; ++i) co_await db.query(nap, 0.0);
      };
      bool known = false;
      asio::co_spawn(*loop, know(), [&](const std::exception_ptr&) { known = true; });
      const Deadline deadline = Deadline::after(scaled(20s));
      while (!known && !deadline.passed(Clock::now())) loop->run_one_for(10ms);
      for (int i = 0; i < 24; ++i) {
        Asked& one = asked.emplace_back();
        asio::co_spawn(*loop, ask_into(db, sql::make_statement(nap, 60.0), std::nullopt, one),
                       asio::bind_cancellation_slot(signals.emplace_back().slot(), [&one](const std::exception_ptr&) { one.ended = true; }));
      }
      while (running_sleeps() < 2 && !deadline.passed(Clock::now())) loop->run_one_for(10ms);
      CHECK(running_sleeps() == 2);
      together = !companies(running).empty();
      signals.clear();
      loop.reset();  // with callers that wait, a group on the server, and a carrier that waits for its answer
    }
    for (const Asked& one : asked) CHECK_FALSE(one.ended);
    CHECK(eventually(5s, [] { return running_sleeps() == 0; }));
    return together;
  };
  CHECK(Travellers::in_time(in_company));
}
