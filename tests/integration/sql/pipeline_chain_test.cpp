// pipeline: all. Writes share a connection, each in a transaction of its own.
#include <set>

#include "chains.hpp"

using namespace sluice;
using namespace sluice::test;

TEST_CASE("option pipeline: all, and writes that find no connection free share one, each in a transaction of its own") {
  if (!PostgresServer::require()) return;
  make_kept();
  Travellers party(chained());
  const auto together = [&] {
    party.start_over();
    know_insert(party, 0);
    const std::uint64_t leases = party.t.stats.acquires.get();
    party.hold_all();
    for (int i = 1; i <= 6; ++i) party.ask(insert, i);
    Asked& duplicate = party.ask(insert, 3);
    for (int i = 7; i <= 9; ++i) party.ask(insert, i);
    party.let_go();
    REQUIRE(party.all_end());
    std::set<std::string> sessions, begun;
    for (const Asked& one : party.asked) {
      if (&one == &duplicate) continue;
      REQUIRE_MESSAGE(one.rows.has_value(), one.what());
      CHECK(one.rows->affected() == 1);
      begun.insert(one.cell(0));
      sessions.insert(one.cell(1));
    }
    CHECK(sessions.size() == 1);
    CHECK(begun.size() == 9);
    CHECK(duplicate.sqlstate() == "23505");
    CHECK(kept() == "0,1,2,3,4,5,6,7,8,9");
    return party.t.stats.acquires.get() - leases <= 2 + 3;  // ours, and those of the carriers
  };
  CHECK(Travellers::in_time(together));
  CHECK(party.travelled({insert, insert}));
  CHECK(party.t.stats.connects.get() == 2);
}

TEST_CASE("By default writes never share: each waits for a connection of its own") {
  if (!PostgresServer::require()) return;
  make_kept();
  Travellers party({}, 2);
  for (int round = 0; round < 5; ++round) {
    party.start_over();
    know_insert(party, 0);
    party.hold_all();
    for (int i = 1; i <= 20; ++i) party.ask(insert, i);
    party.settle();
    CHECK(party.t.pool->numbers().waiting == 20);  // for company fewer would wait, each for many
    party.let_go();
    REQUIRE(party.all_end());
    CHECK_FALSE(party.travelled({insert, insert}));
    CHECK(server().query("SELECT count(*) FROM kept")[0][0] == "21");
  }
}

TEST_CASE("A constraint that fails at COMMIT is the error of its own statement") {
  if (!PostgresServer::require()) return;
  make_kept("i int UNIQUE DEFERRABLE INITIALLY DEFERRED");
  Travellers party(chained());
  const auto together = [&] {
    party.start_over();
    know_insert(party, 0);
    party.hold_all();
    Asked& first = party.ask(insert, 1);
    Asked& bad = party.ask(insert, 1);
    Asked& last = party.ask(insert, 2);
    party.let_go();
    REQUIRE(party.all_end());
    CHECK(first.rows.has_value());
    CHECK(bad.sqlstate() == "23505");
    CHECK(last.rows.has_value());
    CHECK(kept() == "0,1,2");
    return party.travelled({insert, insert, insert});
  };
  CHECK(Travellers::in_time(together));
  // Alone it fails at the Sync.
  party.start_over();
  party.hold_all();
  Asked& alone = party.ask(insert, 2);
  party.let_go();
  REQUIRE(party.all_end());
  CHECK(alone.sqlstate() == "23505");
  CHECK(kept() == "0,1,2");
}

TEST_CASE("A statement that no transaction may hold is refused in company and done alone; its neighbours are committed") {
  if (!PostgresServer::require()) return;
  make_kept();
  Travellers party(chained());
  const std::string refusal = "VACUUM cannot run inside a transaction block";
  const auto vacuums = [] { return server().query("SELECT vacuum_count FROM pg_stat_all_tables WHERE relname = 'kept'")[0][0]; };
  int expected = 0;
  const auto travel = [&] {
    party.start_over();
    party.know({"VACUUM kept"});
    know_insert(party, 0);
    party.hold_all();
    Asked& before = party.ask(insert, 1);
    Asked& vacuum = party.ask("VACUUM kept");
    Asked& after = party.ask(insert, 2);
    party.let_go();
    REQUIRE(party.all_end());
    CHECK(before.rows.has_value());
    CHECK_MESSAGE(vacuum.rows.has_value(), vacuum.what());
    CHECK(after.rows.has_value());
    CHECK(kept() == "0,1,2");
    expected += Travellers::runs_to_know + 1;
    CHECK(eventually(5s, [&] { return vacuums() == std::to_string(expected); }));
  };
  const std::size_t refusals = times_logged(refusal);
  const auto refused = [&] {
    travel();
    return times_logged(refusal) > refusals;
  };
  CHECK(Travellers::in_time(refused));
  CHECK(party.travelled({insert, "VACUUM kept"}));
  // Once is enough: from now on it goes alone.
  for (int i = 0; i < 3; ++i) travel();
  CHECK(times_logged(refusal) == refusals + 1);
}

TEST_CASE("A smuggled BEGIN or COPY fails loudly, closes its own connection, and touches no neighbour") {
  if (!PostgresServer::require()) return;
  const std::string read = "SELECT now()::text";
  for (const config::Pipeline how : {config::Pipeline::reads, config::Pipeline::all}) {
    make_kept();
    config::Pool options = chained();
    options.pipeline = how;
    Travellers party(options);
    for (const char* smuggled : {"BEGIN", "COPY kept TO STDOUT", "COPY kept FROM STDIN"}) {
      const std::string shown = smuggled;
      CAPTURE(shown);
      const auto together = [&] {
        party.start_over();
        know_insert(party, 0);
        party.know({read});
        server().query("TRUNCATE kept");
        party.hold_all();
        for (int i = 0; i < 4; ++i) party.ask(read);
        party.ask(insert, 1);
        Asked& loud = party.ask(smuggled);
        party.ask(insert, 2);
        for (int i = 0; i < 4; ++i) party.ask(read);
        party.let_go(2);
        REQUIRE(party.all_end());
        CHECK(loud.threw<sql::SqlError>());
        for (const Asked& one : party.asked) {
          if (&one != &loud) CHECK_MESSAGE(one.rows.has_value(), one.what());
        }
        // Nothing hangs in a transaction that nobody will ever commit.
        CHECK(kept() == "1,2");
        const std::string hanging = "SELECT 1 FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND application_name LIKE 'shop@test%'";
        CHECK(party.until([&] { return server().query(hanging).empty(); }, 2s));
        return party.travelled(how == config::Pipeline::all ? Company{read, insert} : Company{read, read});
      };
      CHECK(Travellers::in_time(together));
    }
  }
}

TEST_CASE("A write that waits for a lock is taken out of the chain, undone, and comes to its end alone") {
  if (!PostgresServer::require()) return;
  make_kept();
  config::Pool options = chained();
  options.pipeline_patience = 50ms;
  Travellers party(options, 3);
  const std::string change = "UPDATE kept SET i = i + 1 WHERE i = $1";
  const auto together = [&] {
    party.start_over();
    know_insert(party, 100);
    party.know_with(change, -1);
    sql::Transaction x = party.begin_and_hold("UPDATE kept SET i = i + 100 WHERE i = 100");
    Asked& blocked = party.ask(change, 100);
    Asked& of_x = party.ask(insert, 1);
    party.let_go();
    REQUIRE(party.until([&] { return !server().query("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'").empty(); }));
    party.let_go();
    REQUIRE(party.until([&] { return of_x.ended; }));
    CHECK(of_x.rows.has_value());
    CHECK_FALSE(blocked.ended);
    party.t.run([&] { return x.rollback(); });
    REQUIRE(party.all_end());
    CHECK(blocked.rows.has_value());
    CHECK(kept() == "1,101");
    return party.travelled({change, insert});
  };
  CHECK(Travellers::in_time(together));
}

TEST_CASE("Many writers and failing neighbours: what was reported done is there, once; what failed is not") {
  if (!PostgresServer::require()) return;
  make_kept("i int UNIQUE DEFERRABLE INITIALLY IMMEDIATE");
  config::Pool options = chained();
  options.pipeline_patience = 50ms;
  Travellers party(options, 3);
  constexpr int all_writers = 24;
  const auto in_company = [&] {
    party.start_over();
    know_insert(party, 1000000);
    int ended = 0, failed = 0;
    std::set<int> done;
    bool wrong = false;
    auto writer = [&](int number) -> awaitable<void> {
      for (int i = 0; i < 60; ++i) {
        const int value = i % 5 == 4 ? 1000000 : number * 1000 + i;  // every fifth is there already
        std::string code;
        try {
          co_await party.t.db->query(insert, value);
          wrong = wrong || value == 1000000 || !done.insert(value).second;
        } catch (const sql::SqlError& e) {
          code = e.sqlstate();
          ++failed;
        }
        wrong = wrong || (value == 1000000) != (code == "23505");
      }
      ++ended;
    };
    for (int i = 0; i < all_writers; ++i) asio::co_spawn(party.t.loop, writer(i), asio::detached);
    REQUIRE(party.until([&] { return ended == all_writers; }, 60s));
    CHECK_FALSE(wrong);
    CHECK(failed == all_writers * 12);
    CHECK(done.size() == all_writers * 48);
    CHECK(server().query("SELECT count(*) FROM kept")[0][0] == std::to_string(all_writers * 48 + 1));
    return party.travelled({insert, insert});
  };
  CHECK(Travellers::in_time(in_company));
}
