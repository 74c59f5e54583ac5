// pipeline: all, and members that do not come to their end: late, given up, or lost with their connection. What is told is what stands.
#include <boost/system/system_error.hpp>

#include <optional>
#include <support/relay.hpp>

#include "chains.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

// Nothing is there yet, so that a row that is there twice was written twice.
void know_both(Travellers& party) {
  know_insert(party, 0);
  party.know_with(slow_insert, 0, 0.0);
  server().query("TRUNCATE kept");
}

void wait_for_sleep(Travellers& party) { REQUIRE(party.until([] { return running_sleeps() == 1; })); }

std::string times(int row) { return server().query("SELECT count(*) FROM kept WHERE i = " + std::to_string(row))[0][0]; }

}  // namespace

TEST_CASE("In a chain a member's deadline ends that member only: nothing of it remains, and its neighbours are done once") {
  if (!PostgresServer::require()) return;
  make_kept("i int");
  Travellers party(chained());
  const auto together = [&] {
    party.start_over();
    know_both(party);
    party.hold_all();
    Asked& before = party.ask(insert, 1);
    Asked& late = party.ask(within(scaled(300ms)), slow_insert, 2, 60.0);
    Asked& after = party.ask(insert, 3);
    party.let_go();
    REQUIRE(party.all_end());
    const bool in_company = party.travelled({insert, slow_insert, insert});
    CHECK_MESSAGE(before.rows.has_value(), before.what());
    CHECK_MESSAGE(after.rows.has_value(), after.what());
    CHECK_FALSE(late.rows);
    if (in_company) CHECK(late.threw<TimedOut>());  // else it may still have waited for its connection
    CHECK(running_sleeps() == 0);
    CHECK(kept() == "1,3");
    // The cancel hits nothing that comes later.
    party.held.clear();
    auto next = [&]() -> awaitable<void> {
      for (int i = 0; i < 20; ++i) co_await party.t.db->query(insert, 4);
    };
    party.t.run(next);
    CHECK(times(4) == "20");
    return in_company;
  };
  for (int round = 0; round < 3; ++round) CHECK(Travellers::in_time(together));
  CHECK(party.t.stats.connects.get() == 2);
}

TEST_CASE("A deadline that passes behind a slow neighbour costs that neighbour nothing, and what its caller is told is what stands") {
  if (!PostgresServer::require()) return;
  make_kept("i int");
  Travellers party(chained());
  const auto together = [&] {
    party.start_over();
    know_both(party);
    party.hold_all();
    Asked& slow = party.ask(slow_insert, 1, in_seconds(scaled(1s)));
    Asked& late = party.ask(within(scaled(200ms)), insert, 2);
    Asked& other = party.ask(insert, 3);
    party.let_go();
    wait_for_sleep(party);
    party.let_go();
    REQUIRE(party.all_end());
    CHECK_MESSAGE(slow.rows.has_value(), slow.what());
    CHECK(times(1) == "1");
    CHECK_MESSAGE(other.rows.has_value(), other.what());
    CHECK(times(3) == "1");
    CHECK((late.rows || late.threw<TimedOut>() || late.threw<pool::PoolError>()));
    CHECK(times(2) == (late.rows ? "1" : "0"));
    return party.travelled({slow_insert, insert, insert});
  };
  CHECK(Travellers::in_time(together));
  CHECK(party.t.stats.connects.get() == 2);
}

TEST_CASE("A caller that gives up in a chain ends its own statement there, and its neighbours are done once") {
  if (!PostgresServer::require()) return;
  make_kept("i int");
  Travellers party(chained());
  const auto together = [&] {
    party.start_over();
    know_both(party);
    party.hold_all();
    Asked& before = party.ask(insert, 1);
    Asked& gone = party.ask(slow_insert, 2, 60.0);
    Asked& after = party.ask(insert, 3);
    party.let_go();
    wait_for_sleep(party);
    gone.cancel.emit(asio::cancellation_type::terminal);
    REQUIRE(party.all_end());
    CHECK(gone.threw<boost::system::system_error>());
    CHECK_MESSAGE(before.rows.has_value(), before.what());
    CHECK_MESSAGE(after.rows.has_value(), after.what());
    CHECK(party.until([] { return running_sleeps() == 0; }));
    CHECK(kept() == "1,3");
    return party.travelled({insert, slow_insert, insert});
  };
  CHECK(Travellers::in_time(together));
}

TEST_CASE("Callers that give up while a neighbour is slow: what is committed stands, what was not reached never runs, the neighbour is done once") {
  if (!PostgresServer::require()) return;
  make_kept("i int");
  Travellers party(chained());
  const auto together = [&] {
    party.start_over();
    know_both(party);
    party.hold_all();
    Asked& committed = party.ask(insert, 1);
    Asked& slow = party.ask(slow_insert, 2, in_seconds(scaled(1s)));
    Asked& not_reached = party.ask(insert, 3);
    Asked& last = party.ask(insert, 4);
    party.let_go();
    wait_for_sleep(party);
    const bool in_company = party.travelled({insert, slow_insert, insert, insert});
    if (in_company) {
      committed.cancel.emit(asio::cancellation_type::terminal);
      not_reached.cancel.emit(asio::cancellation_type::terminal);
    }
    party.let_go();
    REQUIRE(party.all_end());
    CHECK_MESSAGE(slow.rows.has_value(), slow.what());
    CHECK_MESSAGE(last.rows.has_value(), last.what());
    if (!in_company) return false;
    CHECK(committed.threw<boost::system::system_error>());
    CHECK(not_reached.threw<boost::system::system_error>());
    CHECK(kept() == "1,2,4");
    return true;
  };
  CHECK(Travellers::in_time(together));
}

TEST_CASE("A chain whose connection is lost: whoever cannot be told done is told that it is unknown, and nothing is written twice") {
  if (!PostgresServer::require()) return;
  make_kept("i int");
  bool by_the_network = false;
  SUBCASE("an administrator ends the session") {}
  SUBCASE("the network resets it") { by_the_network = true; }
  const auto together = [&] {
    std::optional<Relay> relay;
    config::Pool options = chained();
    if (by_the_network) {
      relay.emplace(static_cast<std::uint16_t>(server().port()));
      options.url = "postgresql://app:secret@127.0.0.1:" + std::to_string(relay->port()) + "/app";
    }
    Travellers party(options);  // the permits of what was reset do not come back without a janitor
    know_both(party);
    party.hold_all();
    Asked& first = party.ask(insert, 1);
    Asked& slow = party.ask(slow_insert, 2, in_seconds(scaled(1s)));
    Asked& last = party.ask(insert, 3);
    party.let_go();
    wait_for_sleep(party);
    if (!party.travelled({insert, slow_insert, insert})) {
      REQUIRE(party.all_end());
      return false;
    }
    if (relay) {
      CHECK(relay->reset(1, 1ms) == 2);
    } else {
      const auto ended = server().query(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()");
      CHECK(ended.size() == 1);
    }
    REQUIRE(party.all_end());
    CHECK_FALSE(slow.rows);
    CHECK_FALSE(last.rows);
    REQUIRE(party.until([] { return running_sleeps() == 0; }));  // whose client is gone may go on for a while
    // Not by themselves, and not by whoever comes next.
    if (!relay) {
      party.held.clear();
      Asked& next = party.ask(insert, 4);
      REQUIRE(party.all_end());
      CHECK_MESSAGE(next.rows.has_value(), next.what());
      CHECK(times(2) == "0");
      CHECK(times(3) == "0");
    }
    int row = 0;
    for (const Asked* one : {&first, &slow, &last}) {
      const std::string there = times(++row);
      CAPTURE(row);
      CAPTURE(one->what());
      if (one->rows) {
        CHECK(there == "1");
        continue;
      }
      CHECK((one->sqlstate() == "57P01" || one->sqlstate() == "08006"));  // the server may get to say why
      CHECK(one->what().find("what became of this is unknown") != std::string::npos);
      CHECK((there == "0" || there == "1"));
    }
    return true;
  };
  CHECK(Travellers::in_time(together));
}
