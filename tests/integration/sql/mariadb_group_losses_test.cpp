// What ends a group of reads on one MariaDB session early, or members of it: patience, deadlines, KILL, lost and silent servers.
#include <sluice/pool/statement_cancel.hpp>

#include <support/relay.hpp>

#include <atomic>

#include "group_members.hpp"
#include "mysql_fixture.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

using Outcome = sql::GroupMember::Outcome;

bool timed_out(const sql::GroupMember& member) {
  try {
    if (member.failure) std::rethrow_exception(member.failure);
  } catch (const TimedOut&) {
    return true;
  } catch (const std::exception&) {
  }
  return false;
}

}  // namespace

TEST_CASE("MariaDB: past the group's patience or its own deadline, what runs is ended by the janitor, and its neighbours are served") {
  if (!MariaDbServer::require()) return;
  make_naps();
  MysqlClient client;
  Loop loop;
  loop.run([&]() -> awaitable<void> {
    std::unique_ptr<MysqlSession> s = co_await client.connect();
    const auto inspector = mysql_inspector();
    co_await inspector->open(Deadline::after(scaled(10s)));
    std::atomic<std::uint32_t> word{0};
    s->cancel = &word;
    for (const bool late : {false, true}) {
      CAPTURE(late);
      Members group;
      const sql::GroupMember& before = group.add("SELECT 1");
      sql::GroupMember& slow = group.add(nap_there, 60000);
      const sql::GroupMember& after = group.add("SELECT 2");
      if (late) slow.deadline = Deadline::after(100ms);
      bool ended = false;
      start(loop.context().get_executor(), group.run(*s, false, late ? Duration(20s) : Duration(50ms)), ended);
      pool::StatementCancel request(word);
      const auto is_asked = [&] { return request.is_asked(); };
      co_await until(is_asked);
      CHECK(request.take());
      request.done();  // as by a KILL QUERY that came before the server had begun with it, and hit nothing
      co_await until(is_asked);
      CHECK(request.take());
      const bool cancelled = co_await inspector->cancel(s->session, s->session_birth, Deadline::after(scaled(5s)));
      CHECK(cancelled);
      asio::steady_timer moment(loop.context(), 20ms);
      co_await moment.async_wait(use_awaitable);
      CHECK_FALSE(ended);  // not before the one who ended it is done: it could hit what comes next
      request.done();
      const auto over = [&] { return ended; };
      co_await until(over);
      CHECK(before.outcome == Outcome::done);
      CHECK(after.outcome == Outcome::done);
      CHECK(slow.outcome == (late ? Outcome::failed : Outcome::alone));
      CHECK(slow.slow == !late);
      CHECK(timed_out(slow) == late);
      co_await check_whole(*s);
    }
    s->cancel = nullptr;
    co_await inspector->close(Deadline::after(scaled(5s)));
    co_await client.close(std::move(s));
  });
  loop.check_responsive();
}

TEST_CASE("MariaDB: many slow statements, and one that waits already to be prepared, hold their neighbours up for little more than the patience") {
  if (!MariaDbServer::require()) return;
  make_naps();
  mariadb().query("CREATE OR REPLACE TABLE altered (i INT) ENGINE=InnoDB");
  MysqlClient client;
  Loop loop;
  loop.run([&]() -> awaitable<void> {
    std::unique_ptr<MysqlSession> s = co_await client.connect();
    std::unique_ptr<MysqlSession> other = co_await client.connect();
    const auto inspector = mysql_inspector();
    co_await inspector->open(Deadline::after(scaled(10s)));
    std::atomic<std::uint32_t> word{0};
    s->cancel = &word;
    bool over = false, gone = false;
    const auto janitor = [&]() -> awaitable<void> {
      asio::steady_timer timer(loop.context());
      pool::StatementCancel request(word);
      while (!over) {
        if (request.take()) {
          co_await inspector->cancel(s->session, s->session_birth, Deadline::after(scaled(5s)));
          request.done();
        }
        timer.expires_after(1ms);
        co_await timer.async_wait(use_awaitable);
      }
      gone = true;
    };
    start(loop.context().get_executor(), janitor(), gone);
    {
      Members group;
      for (int i = 0; i < 20; ++i) group.add(nap_there, 60000);
      const sql::GroupMember& quick = group.add("SELECT 7");
      const TimePoint began = Clock::now();
      co_await group.run(*s, false, 100ms);
      CHECK(Clock::now() - began < scaled(1500ms));  // a patience for each would be 2 s
      CHECK(group.all.front().outcome == Outcome::alone);
      CHECK(group.all.front().slow);
      for (const sql::GroupMember& member : group.all) {
        if (&member == &group.all.front() || &member == &quick) continue;
        CHECK(member.outcome == Outcome::again);
        CHECK_FALSE(member.slow);
      }
      CHECK((quick.outcome == Outcome::done || quick.outcome == Outcome::again));
      co_await check_whole(*s);
    }
    // ALTER waits for a reader, and whoever comes after waits for ALTER.
    co_await query(*s, "SELECT 5");
    mariadb().query("BEGIN");
    mariadb().query("SELECT * FROM altered");
    bool altered = false;
    const auto alter = [&]() -> awaitable<void> { co_await query(*other, "ALTER TABLE altered ADD COLUMN j INT"); };
    start(loop.context().get_executor(), alter(), altered);
    const auto waits = [&] {
      return mariadb().query("SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'Waiting for table metadata lock' AND id = " +
                             std::to_string(other->session))[0][0] == "1";
    };
    co_await until(waits);
    Members group;
    const sql::GroupMember& blocked = group.add("SELECT i FROM altered");
    const sql::GroupMember& too = group.add("SELECT i FROM altered");
    const sql::GroupMember& known = group.add("SELECT 5");
    const TimePoint began = Clock::now();
    co_await group.run(*s, false, 50ms);
    CHECK(Clock::now() - began < scaled(1500ms));
    CHECK(blocked.outcome == Outcome::alone);
    CHECK(blocked.slow);
    CHECK(too.outcome == Outcome::again);
    CHECK(known.outcome == Outcome::done);
    CHECK_FALSE(altered);
    mariadb().query("COMMIT");
    const auto done = [&] { return altered; };
    co_await until(done);
    co_await check_whole(*s);
    over = true;
    const auto janitor_gone = [&] { return gone; };
    co_await until(janitor_gone);
    s->cancel = nullptr;
    co_await inspector->close(Deadline::after(scaled(5s)));
    co_await client.close(std::move(other));
    co_await client.close(std::move(s));
  });
}

TEST_CASE("MariaDB: a KILL QUERY of somebody else is an error of the statement that it hit, and of no other") {
  if (!MariaDbServer::require()) return;
  make_naps();
  MysqlClient client;
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    Members group;
    const sql::GroupMember& hit = group.add(nap_there, 60000);
    const sql::GroupMember& after = group.add("SELECT 2");
    bool ended = false;
    const auto executor = co_await asio::this_coro::executor;
    start(executor, group.run(s), ended);
    const auto sleeping = [&] { return naps(s.session) == 1; };
    co_await until(sleeping);
    mariadb().query("KILL QUERY " + std::to_string(s.session));
    const auto over = [&] { return ended; };
    co_await until(over);
    CHECK(hit.outcome == Outcome::failed);
    CHECK(code_of(hit) == 1317);
    CHECK(after.outcome == Outcome::done);
    co_await check_whole(s);
  });
}

TEST_CASE("MariaDB: reads whose connection is lost leave nothing and may run again; a silent server costs the connection") {
  if (!MariaDbServer::require()) return;
  make_naps();
  MysqlClient client;
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    Members group;
    const sql::GroupMember& before = group.add("SELECT 1");
    const sql::GroupMember& sleeping = group.add(nap_there, 60000);
    const sql::GroupMember& after = group.add("SELECT $1", std::string("kept"));
    bool ended = false;
    const auto executor = co_await asio::this_coro::executor;
    start(executor, group.run(s), ended);
    const auto asleep = [&] { return naps(s.session) == 1; };
    co_await until(asleep);
    mariadb().query("KILL " + std::to_string(s.session));
    const auto over = [&] { return ended; };
    co_await until(over);
    CHECK(s.broken);
    CHECK(before.outcome == Outcome::done);
    CHECK(sleeping.outcome == Outcome::again);
    CHECK(after.outcome == Outcome::again);
    REQUIRE(after.parameters.size() == 1);
    CHECK(std::get<std::string>(after.parameters[0]) == "kept");
  });
  Relay relay(static_cast<std::uint16_t>(mariadb().port()));
  config::Pool options = pool_options("mysql://app:secret@127.0.0.1:" + std::to_string(relay.port()) + "/app");
  options.close_timeout = 200ms;
  MysqlClient through(options);
  with_mysql(through, [&](MysqlSession& s) -> awaitable<void> {
    Members group;
    sql::GroupMember& first = group.add("SELECT 1");
    const sql::GroupMember& second = group.add("SELECT 2");
    co_await group.run(s);
    relay.stall();
    first.deadline = Deadline::after(50ms);
    co_await group.run(s);
    CHECK(s.broken);
    CHECK(timed_out(first));
    CHECK(second.outcome == Outcome::again);
    relay.resume();
  });
  // The same where not even the preparing is answered, and where somebody is asked to end what runs but does not.
  for (const bool asked : {false, true}) {
    with_mysql(through, [&](MysqlSession& s) -> awaitable<void> {
      std::atomic<std::uint32_t> word{0};
      if (asked) s.cancel = &word;
      Members one;
      sql::GroupMember& late = one.add("SELECT 1");
      if (asked) co_await one.run(s);
      relay.stall();
      late.deadline = Deadline::after(50ms);
      co_await one.run(s);
      CHECK(s.broken);
      CHECK(timed_out(late));
      CHECK(pool::StatementCancel(word).is_asked() == asked);
      relay.resume();
      s.cancel = nullptr;
    });
  }
  for (const bool prepared : {false, true}) {
    Members before, lost;
    before.add("SELECT 2");
    const sql::GroupMember& first = lost.add("SELECT 'first of its connection'");
    const sql::GroupMember& second = lost.add("SELECT 2");
    with_mysql(client, [&](MysqlSession& s) -> awaitable<void> {
      if (prepared) co_await before.run(s);
      mariadb().query("KILL " + std::to_string(s.session));
      co_await lost.run(s);
      CHECK(s.broken);
      CHECK(first.outcome == Outcome::again);
      CHECK(second.outcome == Outcome::again);
    });
  }
}
