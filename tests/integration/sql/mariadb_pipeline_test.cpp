// Reads that share a connection to MariaDB: when they do, what each gets, and that no neighbour can touch it.
#include <boost/system/system_error.hpp>

#include <algorithm>

#include "acting_janitor.hpp"
#include "travellers.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

const std::string number = "SELECT CONCAT($1), CONNECTION_ID()";
const std::string one_row = "SELECT CONCAT((SELECT seq FROM seq_1_to_2 WHERE seq <= $1))";  // 1242 for 2

int milliseconds(Duration time) { return static_cast<int>(to_millis(time)); }

// The server may answer a group before the loop has turned once, and then nobody has seen it: something in it takes a moment.
constexpr int moment = 10;

config::Pool on_mariadb(config::Pool options = {}) {
  options.url = mariadb().url();
  return options;
}

}  // namespace

TEST_CASE("MariaDB: reads that find no connection free travel together; a free one comes first; with pipeline: off nobody travels") {
  if (!MariaDbServer::require()) return;
  make_naps();
  for (const config::Pipeline pipeline : {config::Pipeline::reads, config::Pipeline::off, config::Pipeline::all}) {
    config::Pool options;
    options.pipeline = pipeline;
    Travellers party(on_mariadb(options));
    const auto together = [&] {
      party.start_over();
      party.know_with(nap_there, 0);
      party.know_with(number, 0);
      party.hold_all();
      party.let_go();
      party.settle();
      party.ask(number, 1);
      REQUIRE(party.all_end());
      CHECK_FALSE(party.travelled({number, number}));
      party.start_over();
      party.hold_all();
      party.ask(nap_there, moment);
      std::vector<const Asked*> numbers;
      for (int i = 0; i < 10; ++i) numbers.push_back(&party.ask(number, i));
      party.let_go();
      REQUIRE(party.all_end());
      int i = 0;
      for (const Asked* one : numbers) CHECK(one->cell(0) == std::to_string(i++));
      return party.travelled({number, number});
    };
    if (pipeline == config::Pipeline::off) {
      for (int i = 0; i < 3; ++i) CHECK_FALSE(together());
    } else {
      CHECK(Travellers::in_time(together));
    }
  }
}

TEST_CASE("MariaDB: a neighbour's error, and a parameter that cannot be encoded, are their own") {
  if (!MariaDbServer::require()) return;
  make_naps();
  Travellers party(on_mariadb());
  const auto together = [&] {
    party.start_over();
    party.know_with(nap_there, 0);
    party.know_with(number, 0);
    party.know_with(one_row, 1);
    party.hold_all();
    party.ask(nap_there, moment);
    std::vector<Asked*> good, bad;
    for (int i = 0; i < 12; ++i) {
      good.push_back(&party.ask(number, i));
      if (i % 4 == 1) bad.push_back(&party.ask(one_row, 2));
    }
    Asked& encoding = party.ask(number, std::string("\xff\xfe"));
    party.let_go();
    REQUIRE(party.all_end());
    for (std::size_t i = 0; i < good.size(); ++i) CHECK(good[i]->cell(0) == std::to_string(i));
    for (const Asked* one : bad) CHECK(one->what().find("1242") != std::string::npos);
    CHECK(encoding.threw<sql::SqlError>());
    for (const shm::RunningStatement& entry : party.t.running) CHECK(entry.started_nanos.get() == 0);
    return party.travelled({number, one_row, number});
  };
  CHECK(Travellers::in_time(together));
  CHECK(party.t.stats.connects.get() == 2);
}

TEST_CASE("MariaDB: a SELECT that writes behind a view is refused in company and done alone, once, and never has company again") {
  if (!MariaDbServer::require()) return;
  mariadb().query("CREATE OR REPLACE TABLE written (i INT) ENGINE=InnoDB");
  mariadb().query("CREATE OR REPLACE FUNCTION write_it() RETURNS INT BEGIN INSERT INTO written VALUES (1); RETURN 7; END");
  mariadb().query("CREATE OR REPLACE VIEW innocent AS SELECT CONCAT(write_it()) AS v");
  make_naps();
  const std::string innocent = "SELECT v FROM innocent";
  const auto travel = [&](Travellers& party) {
    party.start_over();
    party.know({innocent});
    party.know_with(nap_there, 0);
    party.know_with(number, 0);
    mariadb().query("TRUNCATE written");
    party.hold_all();
    party.ask(nap_there, moment);
    Asked& before = party.ask(number, 1);
    Asked& write = party.ask(innocent);
    Asked& after = party.ask(number, 2);
    party.let_go(2);
    REQUIRE(party.all_end());
    CHECK(before.cell() == "1");
    CHECK(write.cell() == "7");
    CHECK(after.cell() == "2");
    // Reported done, and done: once.
    CHECK(mariadb().query("SELECT COUNT(*) FROM written")[0][0] == "1");
    return party.travelled({innocent, number});
  };
  const auto refused = [&] {
    Travellers party(on_mariadb());  // once refused the text never travels again, seen or not
    if (!travel(party)) return false;
    for (int i = 0; i < 3; ++i) CHECK_FALSE(travel(party));
    return true;
  };
  CHECK(Travellers::in_time(refused));
}

TEST_CASE("MariaDB: a slow read holds its neighbours up for pipeline_patience only, still comes to its end, and has no company any more") {
  if (!MariaDbServer::require()) return;
  make_naps();
  Travellers party(on_mariadb());
  const ActingJanitor janitor(party.t);
  const auto together = [&] {
    party.start_over();
    party.know_with(nap_there, 0);
    party.know_with(number, 0);
    REQUIRE(party.until([] { return naps() == 0; }));  // the list may show them for a moment after their answers
    party.hold_all();
    std::vector<Asked*> quick;
    quick.push_back(&party.ask(number, 0));
    Asked& slow = party.ask(nap_there, milliseconds(scaled(1500ms)));
    for (int i = 1; i < 8; ++i) quick.push_back(&party.ask(number, i));
    // Not settle(): the janitor's clock would be waited for.
    party.held.pop_back();
    REQUIRE(party.until([] { return naps() == 1; }));
    party.held.clear();
    REQUIRE(party.until([&] { return std::all_of(quick.begin(), quick.end(), [](const Asked* one) { return one->ended; }); }));
    CHECK_FALSE(slow.ended);
    for (std::size_t i = 0; i < quick.size(); ++i) CHECK(quick[i]->cell() == std::to_string(i));
    REQUIRE(party.all_end());
    CHECK_MESSAGE(slow.rows.has_value(), slow.what());
    const bool in_company = party.travelled({nap_there, number});
    party.start_over();
    party.know_with(number, 0);
    party.hold_all();
    party.ask(nap_there, 0);
    party.ask(number, 8);
    party.ask(number, 9);
    party.held.clear();
    REQUIRE(party.all_end());
    if (in_company) CHECK_FALSE(party.travelled({nap_there, number}));
    return in_company;
  };
  CHECK(Travellers::in_time(together));
}

TEST_CASE("MariaDB: a deadline in company reaches the server, and its KILL QUERY hits no neighbour and nothing that comes later") {
  if (!MariaDbServer::require()) return;
  make_naps();
  config::Pool options;
  options.pipeline_patience = 20s;
  Travellers party(on_mariadb(options));
  const ActingJanitor janitor(party.t);
  const auto together = [&] {
    party.start_over();
    party.know_with(nap_there, 0);
    party.know_with(number, 0);
    REQUIRE(party.until([] { return naps() == 0; }));  // the list may show them for a moment after their answers
    party.hold_all();
    std::vector<Asked*> others;
    for (int i = 0; i < 4; ++i) others.push_back(&party.ask(number, i));
    const TimePoint began = Clock::now();
    Asked& late = party.ask(within(scaled(150ms)), nap_there, 60000);
    for (int i = 4; i < 8; ++i) others.push_back(&party.ask(number, i));
    party.until([] { return false; }, 5ms);
    party.held.pop_back();
    REQUIRE(party.all_end());
    const bool in_company = party.travelled({nap_there, number});
    if (in_company) CHECK_MESSAGE(late.threw<TimedOut>(), late.what());
    CHECK_FALSE(late.rows);
    CHECK(late.at - began < scaled(3s));
    for (std::size_t i = 0; i < others.size(); ++i) CHECK(others[i]->cell() == std::to_string(i));
    CHECK(naps() == 0);
    auto next = [&]() -> awaitable<void> {
      for (int i = 0; i < 20; ++i) {
        const sql::Rows rows = co_await party.t.db->query("SELECT $1", i);
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

TEST_CASE("MariaDB: a caller that gives up in company is let go at once, ends its statement on the server, and disturbs nobody") {
  if (!MariaDbServer::require()) return;
  make_naps();
  config::Pool options;
  options.pipeline_patience = 20s;
  Travellers party(on_mariadb(options));
  const ActingJanitor janitor(party.t);
  const auto together = [&] {
    party.start_over();
    party.know_with(nap_there, 0);
    party.know_with(number, 0);
    REQUIRE(party.until([] { return naps() == 0; }));  // the list may show them for a moment after their answers
    party.hold_all();
    Asked& waits = party.ask(number, 0);
    Asked& first = party.ask(number, 1);
    Asked& sleeps = party.ask(nap_there, 60000);
    Asked& last = party.ask(number, 2);
    party.until([] { return false; }, 5ms);
    waits.cancel.emit(asio::cancellation_type::terminal);
    REQUIRE(party.until([&] { return waits.ended; }));
    CHECK(waits.threw<boost::system::system_error>());
    party.held.pop_back();
    REQUIRE(party.until([] { return naps() == 1; }));
    sleeps.cancel.emit(asio::cancellation_type::terminal);
    REQUIRE(party.all_end());
    CHECK(sleeps.threw<boost::system::system_error>());
    CHECK(first.cell() == "1");
    CHECK(last.cell() == "2");
    CHECK(party.until([] { return naps() == 0; }));
    return party.travelled({number, nap_there, number});
  };
  CHECK(Travellers::in_time(together));
}

TEST_CASE("MariaDB: a deadlock that the server cannot see does not last: who waits behind a blocked read is sent elsewhere") {
  if (!MariaDbServer::require()) return;
  mariadb().query("CREATE OR REPLACE TABLE locked (i INT) ENGINE=InnoDB");
  mariadb().query("CREATE OR REPLACE TABLE other (i INT) ENGINE=InnoDB");
  mariadb().query("INSERT INTO other VALUES (5)");
  const std::string of_locked = "SELECT CONCAT(COUNT(*)) FROM locked", of_other = "SELECT CONCAT(i) FROM other";
  Travellers party(on_mariadb());
  const ActingJanitor janitor(party.t);
  const auto together = [&] {
    party.start_over();
    party.know({of_locked, of_other});
    party.hold_all();
    mariadb().query("LOCK TABLES locked WRITE");
    // Y's read waits for the lock, which goes only after X's read, which was sent behind Y's.
    Asked& y = party.ask(of_locked);
    Asked& of_x = party.ask(of_other);
    party.until([] { return false; }, 5ms);
    party.held.pop_back();
    party.until([] { return false; }, 20ms);
    party.held.clear();
    REQUIRE(party.until([&] { return of_x.ended; }));
    CHECK(of_x.cell() == "5");
    CHECK_FALSE(y.ended);
    mariadb().query("UNLOCK TABLES");
    REQUIRE(party.all_end());
    CHECK_MESSAGE(y.cell() == "0", y.what());
    return party.travelled({of_locked, of_other});
  };
  CHECK(Travellers::in_time(together));
}

TEST_CASE("MariaDB: writes have a connection of their own, also with pipeline: all, and reads leave no mark on it") {
  if (!MariaDbServer::require()) return;
  mariadb().query("CREATE OR REPLACE TABLE counted (i INT) ENGINE=InnoDB");
  mariadb().query("INSERT INTO counted VALUES (0)");
  make_naps();
  config::Pool options;
  options.pipeline = config::Pipeline::all;
  Travellers party(on_mariadb(options));
  const std::string change = "UPDATE counted SET i = i + 1";
  int expected = 0;
  const auto together = [&] {
    party.start_over();
    party.know({change});
    party.know_with(nap_there, 0);
    party.know_with(number, 0);
    party.hold_all();
    party.ask(nap_there, moment);
    for (int i = 0; i < 12; ++i) {
      party.ask(number, i);
      if (i % 3 == 0) party.ask(change);
    }
    party.let_go(2);
    REQUIRE(party.all_end());
    for (const Asked& one : party.asked) CHECK_MESSAGE(one.rows.has_value(), one.what());
    CHECK_FALSE(party.travelled({change, number}));
    CHECK_FALSE(party.travelled({change, change}));
    expected += Travellers::runs_to_know + 4;
    CHECK(mariadb().query("SELECT i FROM counted")[0][0] == std::to_string(expected));
    return party.travelled({number, number});
  };
  CHECK(Travellers::in_time(together));
}

TEST_CASE("MariaDB: reads whose connection is killed under them run again elsewhere") {
  if (!MariaDbServer::require()) return;
  make_naps();
  config::Pool options;
  options.pipeline_patience = 20s;
  Travellers party(on_mariadb(options));
  const auto together = [&] {
    party.start_over();
    party.know_with(nap_there, 0);
    party.know_with(number, 0);
    REQUIRE(party.until([] { return naps() == 0; }));  // the list may show them for a moment after their answers
    party.hold_all();
    Asked& sleeps = party.ask(nap_there, milliseconds(scaled(800ms)));
    Asked& other = party.ask(number, 1);
    party.let_go();
    REQUIRE(party.until([] { return naps() == 1; }));
    const bool in_company = party.travelled({nap_there, number});
    for (const MariaDbSession& session : mariadb().sessions()) {
      if (session.command == "Execute" && session.info.find("FROM naps") != std::string::npos) mariadb().query("KILL " + std::to_string(session.id));
    }
    party.let_go();
    REQUIRE(party.all_end());
    if (in_company) CHECK_MESSAGE(sleeps.rows.has_value(), sleeps.what());
    CHECK(other.cell() == "1");
    return in_company;
  };
  CHECK(Travellers::in_time(together));
}
