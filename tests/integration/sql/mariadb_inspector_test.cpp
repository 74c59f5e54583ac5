// The janitor's view of MariaDB.
#include <algorithm>
#include <support/meanwhile.hpp>

#include "mysql_fixture.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

Deadline soon() { return Deadline::after(scaled(10s)); }

const pool::SeenSession* find(const std::vector<pool::SeenSession>& seen, std::uint64_t session) {
  const auto found = std::find_if(seen.begin(), seen.end(), [session](const pool::SeenSession& s) { return s.session == session; });
  return found == seen.end() ? nullptr : &*found;
}

}  // namespace

TEST_CASE("The MySQL driver is found by both schemes, with an inspector") {
  for (const char* scheme : {"mysql", "mariadb"}) {
    const pool::Driver* driver = pool::find_driver(scheme);
    REQUIRE(driver);
    CHECK(driver->display_name == "MySQL/MariaDB");
    CHECK_FALSE(driver->local);
    CHECK(driver->make_connector(pool_options("mysql://h/d"), identity()) != nullptr);
    CHECK(driver->make_inspector(pool_options("mariadb://h/d"), identity()) != nullptr);
  }
}

TEST_CASE("MariaDB: capacity is what the server and the user's limit allow") {
  if (!MariaDbServer::require()) return;
  MariaDbOptions options;
  options.max_connections = 33;
  options.settings["connect-timeout"] = "7";
  MariaDbServer own(options);
  own.start();
  const auto ask = [](MariaDbServer& server) {
    pool::Capacity capacity;
    Loop loop;
    loop.run([&]() -> awaitable<void> {
      const auto inspector = mysql_inspector(server.url());
      co_await inspector->open(soon());
      capacity = co_await inspector->capacity(soon());
      const pool::CloseResult closed = co_await inspector->close(soon());
      CHECK(closed == pool::CloseResult::confirmed);
    });
    return capacity;
  };
  const pool::Capacity plain = ask(own);
  CHECK(plain.max_connections == 33);
  CHECK(plain.reserved == 0);
  CHECK(plain.user_limit == 0);
  CHECK(plain.authentication_timeout == 7s);
  own.query("ALTER USER app@'%' WITH MAX_USER_CONNECTIONS 9");
  CHECK(ask(own).user_limit == 9);
  own.query("ALTER USER app@'%' WITH MAX_USER_CONNECTIONS 0");
  options.settings["max-user-connections"] = "11";
  MariaDbServer narrow(options);
  narrow.start();
  CHECK(ask(narrow).user_limit == 11);
}

TEST_CASE("MariaDB: sessions are listed by thread id, as older or younger than the inspector's own, which is left out") {
  if (!MariaDbServer::require()) return;
  MysqlClient client, stranger(mariadb().url("other"));
  Loop loop;
  loop.run([&]() -> awaitable<void> {
    std::unique_ptr<MysqlSession> older = co_await client.connect();
    const auto inspector = mysql_inspector();
    CHECK(inspector->session() == 0);
    co_await inspector->open(soon());
    CHECK(inspector->session() != 0);
    CHECK(inspector->session_birth() == older->session_birth);
    std::unique_ptr<MysqlSession> younger = co_await client.connect();
    std::unique_ptr<MysqlSession> hidden = co_await stranger.connect();
    const std::vector<pool::SeenSession> seen = co_await inspector->sessions(soon());
    CHECK(seen.size() == 2);
    REQUIRE(find(seen, older->session));
    REQUIRE(find(seen, younger->session));
    CHECK(find(seen, older->session)->known_by == pool::KnownBy::user);
    CHECK(find(seen, older->session)->older);
    CHECK_FALSE(find(seen, younger->session)->older);
    CHECK(find(seen, older->session)->birth == older->session_birth);
    // Without the PROCESS privilege another user's session does not show, but it is not taken for gone.
    const bool gone = co_await inspector->absent(hidden->session, hidden->session_birth, soon());
    CHECK_FALSE(gone);
    const bool never_was = co_await inspector->absent(hidden->session + 1000, hidden->session_birth, soon());
    CHECK(never_was);
    const bool before_restart = co_await inspector->absent(hidden->session, hidden->session_birth - 1, soon());
    CHECK(before_restart);
    co_await query(*hidden, "SELECT 1");
    co_await inspector->close(soon());

    const Meanwhile granted(mariadb(), "GRANT PROCESS ON *.* TO app@'%'", "REVOKE PROCESS ON *.* FROM app@'%'");
    const auto informed = mysql_inspector();
    co_await informed->open(soon());
    const std::vector<pool::SeenSession> all = co_await informed->sessions(soon());
    REQUIRE(find(all, hidden->session));
    CHECK(find(all, hidden->session)->known_by == pool::KnownBy::id);
    co_await informed->close(soon());
    co_await client.close(std::move(older));
    co_await client.close(std::move(younger));
    co_await stranger.close(std::move(hidden));
  });
}

TEST_CASE("MariaDB: a session is ended only if the server has not restarted since") {
  if (!MariaDbServer::require()) return;
  MysqlClient client, stranger(mariadb().url("other"));
  Loop loop;
  loop.run([&]() -> awaitable<void> {
    std::unique_ptr<MysqlSession> session = co_await client.connect();
    std::unique_ptr<MysqlSession> foreign = co_await stranger.connect();
    const auto inspector = mysql_inspector();
    co_await inspector->open(soon());
    pool::SeenSession right;
    right.session = session->session;
    right.birth = session->session_birth;
    pool::SeenSession restarted = right, elsewhere = right, not_ours = right;
    ++restarted.birth;
    elsewhere.session += 1'000'000;
    not_ours.session = foreign->session;
    for (const pool::SeenSession& wrong : {restarted, elsewhere}) {
      const bool ended = co_await inspector->end(wrong, soon());
      CHECK_FALSE(ended);
    }
    std::string refusal;
    try {
      co_await inspector->end(not_ours, soon());
    } catch (const Error& e) {
      refusal = e.what();
    }
    CHECK(refusal.find("GRANT CONNECTION ADMIN") != std::string::npos);
    co_await query(*session, "SELECT 1");
    const bool ended = co_await inspector->end(right, soon());
    CHECK(ended);
    CHECK(eventually(2s, [&right] { return !shows(mariadb(), right.session); }));
    const bool again = co_await inspector->end(right, soon());
    CHECK_FALSE(again);
    co_await inspector->close(soon());
    co_await client.close(std::move(session));
    co_await stranger.close(std::move(foreign));
  });
}

TEST_CASE("MariaDB: a restart of the server is a new birth") {
  if (!MariaDbServer::require()) return;
  MariaDbServer own;
  own.start();
  const auto birth = [&own] {
    std::uint64_t found = 0;
    MysqlClient client(own.url());
    with_mysql(client, [&found](MysqlSession& s) -> awaitable<void> {
      found = s.session_birth;
      co_return;
    });
    return found;
  };
  const std::uint64_t first = birth();
  CHECK(birth() == first);
  // Seconds are its unit.
  CHECK(eventually(5s, [&] { return static_cast<std::uint64_t>(std::time(nullptr)) > first + 1; }));
  CHECK(birth() == first);
  own.restart();
  CHECK(birth() > first);
}
