// Reads that share a connection: when they do, what each gets, and that no neighbour can touch it.
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <memory>
#include <set>

#include "travellers.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

const std::string with_number = "SELECT now()::text, $1::text";
const std::string divide = "SELECT (1 / $1::int)::text";

void fresh_schema() {
  server().query("DROP SCHEMA IF EXISTS public CASCADE");
  server().query("CREATE SCHEMA public AUTHORIZATION app");
}

}  // namespace

TEST_CASE("Reads that find no connection free travel together in one read-only transaction") {
  if (!PostgresServer::require()) return;
  Travellers party;
  const auto together = [&] {
    party.start_over();
    party.know({where});
    party.hold_all();
    for (int i = 0; i < 10; ++i) party.ask(where);
    party.let_go();
    REQUIRE(party.all_end());
    std::set<std::string> begun, sessions, read_only;
    for (const Asked& one : party.asked) {
      begun.insert(one.cell(0));
      sessions.insert(one.cell(1));
      read_only.insert(one.cell(2));
    }
    return begun.size() == 1 && sessions.size() == 1 && read_only == std::set<std::string>{"on"};
  };
  CHECK(Travellers::in_time(together));
}

TEST_CASE("A free connection comes first: then a read runs alone, as it always did") {
  if (!PostgresServer::require()) return;
  Travellers party;
  const auto alone_and_together = [&] {
    party.start_over();
    party.know({where});
    party.hold_all();
    party.let_go();
    party.settle();
    for (int i = 0; i < 2; ++i) party.ask(where);
    REQUIRE(party.all_end());
    for (const Asked& one : party.asked) CHECK(one.cell(2) == "off");
    // The same two, when none is free.
    party.start_over();
    party.hold_all();
    for (int i = 0; i < 2; ++i) party.ask(where);
    party.let_go();
    REQUIRE(party.all_end());
    return party.travelled({where, where});
  };
  CHECK(Travellers::in_time(alone_and_together));
}

TEST_CASE("A pool below its size opens connections for waiting reads as for anybody") {
  if (!PostgresServer::require()) return;
  for (int round = 0; round < 3; ++round) {
    Travellers party({}, 4);
    party.know_with(nap, 0.0);
    for (int i = 0; i < 4; ++i) party.ask(nap, in_seconds(scaled(300ms)));
    REQUIRE(party.until([] { return running_sleeps() == 4; }));
    REQUIRE(party.all_end());
    CHECK(party.t.stats.connects.get() == 4);
  }
}

TEST_CASE("option pipeline: off, and every statement waits for a connection of its own") {
  if (!PostgresServer::require()) return;
  config::Pool options;
  options.pipeline = config::Pipeline::off;
  Travellers party(options);
  for (int round = 0; round < 5; ++round) {
    party.start_over();
    party.know({where});
    party.hold_all();
    for (int i = 0; i < 5; ++i) party.ask(where);
    party.let_go();
    REQUIRE(party.all_end());
    std::set<std::string> begun;
    for (const Asked& one : party.asked) {
      begun.insert(one.cell(0));
      CHECK(one.cell(2) == "off");
    }
    CHECK(begun.size() == 5);
  }
}

TEST_CASE("option pipeline_group: so many travel together at most") {
  if (!PostgresServer::require()) return;
  config::Pool options;
  options.pipeline_group = 2;
  Travellers party(options);
  const auto in_pairs = [&] {
    party.start_over();
    party.know({where});
    party.hold_all();
    for (int i = 0; i < 8; ++i) party.ask(where);
    party.let_go();
    REQUIRE(party.all_end());
    std::multiset<std::string> begun;
    for (const Asked& one : party.asked) begun.insert(one.cell(0));
    std::size_t most = 0;
    for (const std::string& one : begun) most = std::max(most, begun.count(one));
    CHECK(most <= 2);
    return most == 2;
  };
  CHECK(Travellers::in_time(in_pairs));
}

TEST_CASE("A neighbour's error is its own: everybody else gets the right answer") {
  if (!PostgresServer::require()) return;
  Travellers party;
  const auto together = [&] {
    party.start_over();
    party.know_with(with_number, "0");
    party.know_with(divide, 1);
    party.hold_all();
    std::vector<Asked*> good, bad;
    for (int i = 0; i < 12; ++i) {
      good.push_back(&party.ask(with_number, std::to_string(i)));
      if (i % 4 == 1) bad.push_back(&party.ask(divide, 0));
    }
    party.let_go();
    REQUIRE(party.all_end());
    for (std::size_t i = 0; i < good.size(); ++i) CHECK(good[i]->cell(1) == std::to_string(i));
    for (const Asked* one : bad) CHECK(one->sqlstate() == "22012");
    // Those that were sent twice are not shown as running for ever.
    for (const shm::RunningStatement& entry : party.t.running) CHECK(entry.started_nanos.get() == 0);
    return party.travelled({with_number, divide, with_number});
  };
  CHECK(Travellers::in_time(together));
  CHECK(party.t.stats.connects.get() == 2);
}

TEST_CASE("A parameter that cannot be encoded fails its own statement only") {
  if (!PostgresServer::require()) return;
  Travellers party;
  const auto together = [&] {
    party.start_over();
    party.know_with(with_number, "0");
    party.hold_all();
    Asked& before = party.ask(with_number, "before");
    Asked& bad = party.ask(with_number, std::string("a\0b", 3));
    Asked& after = party.ask(with_number, "after");
    party.let_go();
    REQUIRE(party.all_end());
    CHECK(before.cell(1) == "before");
    CHECK(after.cell(1) == "after");
    CHECK(bad.threw<sql::SqlError>());
    return before.cell(0) == after.cell(0);
  };
  CHECK(Travellers::in_time(together));
}

TEST_CASE("A SELECT that writes behind a view is refused in company and done alone, once, and its neighbours read") {
  if (!PostgresServer::require()) return;
  fresh_schema();
  Travellers party;
  auto schema = [&]() -> awaitable<void> {
    co_await party.t.db->query("CREATE TABLE written (i int)");
    sql::Statement function("CREATE FUNCTION write() RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN INSERT INTO written VALUES (1); RETURN 7; END'",
                            {});
    co_await party.t.db->run(std::move(function));
    co_await party.t.db->query("CREATE VIEW innocent AS SELECT write() AS v");
  };
  party.t.run(schema);
  const std::string innocent = "SELECT v::text FROM innocent", refusal = "cannot execute INSERT in a read-only transaction";
  const auto travel = [&] {
    party.start_over();
    party.know({innocent});
    party.know_with(with_number, "0");
    party.know_with(divide, 1);
    server().query("TRUNCATE written");
    party.hold_all();
    Asked& before = party.ask(with_number, "before");
    Asked& write = party.ask(innocent);
    Asked& error = party.ask(divide, 0);
    Asked& after = party.ask(with_number, "after");
    party.let_go(2);
    REQUIRE(party.all_end());
    CHECK(before.cell(1) == "before");
    CHECK(after.cell(1) == "after");
    CHECK(error.sqlstate() == "22012");
    CHECK(write.cell() == "7");
    // Reported done, and done: once.
    CHECK(server().query("SELECT count(*) FROM written")[0][0] == "1");
  };
  const std::size_t refusals = times_logged(refusal);
  const auto refused = [&] {
    travel();
    return times_logged(refusal) > refusals;
  };
  CHECK(Travellers::in_time(refused));
  // Once is enough: from now on it goes alone.
  for (int i = 0; i < 3; ++i) travel();
  CHECK(times_logged(refusal) == refusals + 1);
}

TEST_CASE("A notification hidden in a read that was reported done is sent once, whatever its neighbours do") {
  if (!PostgresServer::require()) return;
  fresh_schema();
  Travellers party({}, 3);
  auto schema = [&]() -> awaitable<void> {
    sql::Statement function(
        "CREATE FUNCTION tell() RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN PERFORM pg_notify(''told'', ''x''); RETURN 7; END'", {});
    co_await party.t.db->run(std::move(function));
    co_await party.t.db->query("CREATE VIEW telling AS SELECT tell() AS v");
  };
  party.t.run(schema);
  const std::string telling = "SELECT v::text FROM telling";
  const auto together = [&] {
    party.start_over();
    party.know({telling});
    party.know_with(divide, 1);
    std::optional<sql::Listener> listener;
    auto listen = [&]() -> awaitable<void> { listener.emplace(co_await party.t.db->listen("told")); };
    party.t.run(listen);
    party.hold(2);
    Asked& tells = party.ask(telling);
    Asked& error = party.ask(divide, 0);
    party.let_go();
    REQUIRE(party.all_end());
    CHECK(error.sqlstate() == "22012");
    CHECK(tells.cell() == "7");
    auto hear = [&]() -> awaitable<void> {
      const sql::Notification told = co_await listener->next(within(scaled(5s)));
      CHECK(told.payload == "x");
      const auto nothing = co_await error_from<TimedOut>(listener->next(within(200ms)));
      CHECK(nothing);
    };
    party.t.run(hear);
    return party.travelled({telling, divide});
  };
  CHECK(Travellers::in_time(together));
}

TEST_CASE("A slow read holds its neighbours up for pipeline_patience only, and still comes to its end") {
  if (!PostgresServer::require()) return;
  Travellers party;
  const auto together = [&] {
    party.start_over();
    party.know_with(nap, 0.0);
    party.know_with(with_number, "0");
    party.hold_all();
    std::vector<Asked*> quick;
    quick.push_back(&party.ask(with_number, "0"));
    Asked& slow = party.ask(nap, in_seconds(scaled(1500ms)));
    for (int i = 1; i < 8; ++i) quick.push_back(&party.ask(with_number, std::to_string(i)));
    party.let_go();
    REQUIRE(party.until([] { return running_sleeps() == 1; }));
    party.let_go();
    REQUIRE(party.until([&] { return std::all_of(quick.begin(), quick.end(), [](const Asked* one) { return one->ended; }); }));
    CHECK_FALSE(slow.ended);
    for (std::size_t i = 0; i < quick.size(); ++i) CHECK(quick[i]->cell(1) == std::to_string(i));
    REQUIRE(party.all_end());
    CHECK(slow.rows.has_value());
    const bool in_company = party.travelled({nap, with_number});
    // It is known now: the others have company again, it does not.
    party.start_over();
    party.know_with(with_number, "0");
    party.hold_all();
    Asked& again = party.ask(nap, 0.0);
    Asked& one = party.ask(with_number, "8");
    Asked& two = party.ask(with_number, "9");
    party.let_go();
    REQUIRE(party.all_end());
    CHECK(again.cell(0) != one.cell(0));
    CHECK(again.cell(0) != two.cell(0));
    return in_company && one.cell(0) == two.cell(0);
  };
  CHECK(Travellers::in_time(together));
}

TEST_CASE("option pipeline_patience: so long a group may take") {
  if (!PostgresServer::require()) return;
  config::Pool options;
  options.pipeline_patience = 20s;
  Travellers party(options);
  const auto together = [&] {
    party.start_over();
    party.know_with(nap, 0.0);
    party.know_with(with_number, "0");
    party.hold_all();
    Asked& slow = party.ask(nap, 0.2);
    Asked& other = party.ask(with_number, "1");
    party.let_go();
    REQUIRE(party.all_end());
    return slow.cell(0) == other.cell(0);
  };
  CHECK(Travellers::in_time(together));
}

TEST_CASE("A deadline in company reaches the server, and the cancel hits no neighbour and nothing that comes later") {
  if (!PostgresServer::require()) return;
  config::Pool options;
  options.pipeline_patience = 20s;
  Travellers party(options);
  const auto together = [&] {
    party.start_over();
    party.know_with(nap, 0.0);  // the round before has made them suspect
    party.know_with(with_number, "0");
    party.hold_all();
    std::vector<Asked*> others;
    for (int i = 0; i < 4; ++i) others.push_back(&party.ask(with_number, std::to_string(i)));
    const TimePoint began = Clock::now();
    Asked& late = party.ask(within(scaled(150ms)), nap, 60.0);
    for (int i = 4; i < 8; ++i) others.push_back(&party.ask(with_number, std::to_string(i)));
    party.let_go(1);
    REQUIRE(party.all_end());
    const bool in_company = party.travelled({nap, with_number});
    if (in_company) CHECK(late.threw<TimedOut>());  // else it may still have waited for its connection
    CHECK_FALSE(late.rows);
    CHECK(late.at - began < scaled(3s));
    for (std::size_t i = 0; i < others.size(); ++i) CHECK(others[i]->cell(1) == std::to_string(i));
    CHECK(running_sleeps() == 0);
    // What comes next on the same connections.
    auto next = [&]() -> awaitable<void> {
      for (int i = 0; i < 20; ++i) {
        const sql::Rows rows = co_await party.t.db->query("SELECT $1::int", i);
        CHECK(rows[0][0].as<int>() == i);
      }
    };
    party.held.clear();
    party.t.run(next);
    return in_company;
  };
  for (int round = 0; round < 5; ++round) CHECK(Travellers::in_time(together));
  CHECK(party.t.stats.connects.get() == 2);
}

TEST_CASE("A caller that gives up in company is let go at once, ends its statement on the server, and disturbs nobody") {
  if (!PostgresServer::require()) return;
  config::Pool options;
  options.pipeline_patience = 20s;
  Travellers party(options);
  const auto together = [&] {
    party.start_over();
    party.know_with(nap, 0.0);
    party.know_with(with_number, "0");
    party.hold_all();
    Asked& waits = party.ask(with_number, "never sent");
    Asked& first = party.ask(with_number, "1");
    Asked& sleeps = party.ask(nap, 60.0);
    Asked& last = party.ask(with_number, "2");
    party.settle();
    waits.cancel.emit(asio::cancellation_type::terminal);
    REQUIRE(party.until([&] { return waits.ended; }));
    CHECK(waits.threw<boost::system::system_error>());
    party.let_go();
    REQUIRE(party.until([] { return running_sleeps() == 1; }));
    sleeps.cancel.emit(asio::cancellation_type::terminal);
    REQUIRE(party.all_end());
    CHECK(sleeps.threw<boost::system::system_error>());
    CHECK(first.cell(1) == "1");
    CHECK(last.cell(1) == "2");
    CHECK(party.until([] { return running_sleeps() == 0; }));
    return party.travelled({with_number, nap, with_number});
  };
  CHECK(Travellers::in_time(together));
}

TEST_CASE("A deadlock that the server cannot see does not last: who waits behind a blocked read is sent elsewhere") {
  if (!PostgresServer::require()) return;
  fresh_schema();
  server().query("CREATE TABLE locked (i int); CREATE TABLE other (i int); GRANT ALL ON locked, other TO app; INSERT INTO other VALUES (5)");
  server().query("ALTER TABLE locked OWNER TO app");
  const std::string of_locked = "SELECT count(*)::text FROM locked", of_other = "SELECT i::text FROM other";
  Travellers party({}, 3);
  const auto together = [&] {
    party.start_over();
    party.know({of_locked, of_other});
    sql::Transaction x = party.begin_and_hold("LOCK TABLE locked IN ACCESS EXCLUSIVE MODE");
    // Y's read waits for X's lock; X commits only after its own read, which was sent behind Y's.
    Asked& y = party.ask(of_locked);
    Asked& of_x = party.ask(of_other);
    party.let_go();
    party.settle();
    REQUIRE(party.until([&] { return !server().query("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'").empty(); }));
    party.let_go();
    REQUIRE(party.until([&] { return of_x.ended; }));
    CHECK(of_x.cell() == "5");
    CHECK_FALSE(y.ended);
    party.t.run([&] { return x.commit(); });
    REQUIRE(party.all_end());
    CHECK(y.cell() == "0");
    return party.travelled({of_locked, of_other});
  };
  CHECK(Travellers::in_time(together));
}

TEST_CASE("Writes have a connection of their own: no read is ever sent behind a write that waits for a lock") {
  if (!PostgresServer::require()) return;
  fresh_schema();
  server().query("CREATE TABLE row_of (i int); INSERT INTO row_of VALUES (1); ALTER TABLE row_of OWNER TO app");
  config::Pool options;
  options.pipeline_patience = 50s;  // it is not patience that helps here
  Travellers party(options, 3);
  const std::string change = "UPDATE row_of SET i = i + 1", read = "SELECT now()::text";
  int expected = 1;
  const auto reads_together = [&] {
    party.start_over();
    party.know({change, read});
    sql::Transaction x = party.begin_and_hold("UPDATE row_of SET i = i + 10");
    Asked& y = party.ask(change);
    Asked& one = party.ask(read);
    Asked& two = party.ask(read);
    party.let_go(2);
    REQUIRE(party.until([&] { return one.ended && two.ended; }));
    CHECK(one.rows.has_value());
    CHECK(two.rows.has_value());
    CHECK_FALSE(y.ended);
    party.t.run([&] { return x.commit(); });
    REQUIRE(party.all_end());
    CHECK_FALSE(party.travelled({change, read}));
    expected += Travellers::runs_to_know + 10 + 1;
    CHECK(server().query("SELECT i FROM row_of")[0][0] == std::to_string(expected));
    return party.travelled({read, read});
  };
  CHECK(Travellers::in_time(reads_together));
}

TEST_CASE("Reads whose connection is killed under them run again elsewhere") {
  if (!PostgresServer::require()) return;
  config::Pool options;
  options.pipeline_patience = 20s;
  Travellers party(options);
  const auto together = [&] {
    party.start_over();
    party.know_with(nap, 0.0);
    party.know_with(with_number, "0");
    party.hold_all();
    Asked& sleeps = party.ask(nap, in_seconds(scaled(800ms)));
    Asked& other = party.ask(with_number, "1");
    party.let_go();
    REQUIRE(party.until([] { return running_sleeps() == 1; }));
    const bool in_company = party.travelled({nap, with_number});
    const auto ended = server().query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()");
    CHECK(ended.size() == 1);
    party.let_go();
    REQUIRE(party.all_end());
    if (in_company) CHECK_MESSAGE(sleeps.rows.has_value(), sleeps.what());  // alone it is not repeated
    CHECK(other.cell(1) == "1");
    return in_company;
  };
  CHECK(Travellers::in_time(together));
}
