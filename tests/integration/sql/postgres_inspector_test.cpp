#include "fixture.hpp"

using namespace sluice;
using namespace sluice::test;
using postgres::PostgresInspector;
using Session = postgres::PostgresSession;

namespace {

std::unique_ptr<PostgresInspector> make_inspector(const std::string& url) {
  const pool::Identity janitor = identity(4000);
  return std::make_unique<PostgresInspector>(postgres::parse_settings(pool_options(url), janitor), janitor);
}

Deadline soon() { return Deadline::after(scaled(10s)); }

}  // namespace

TEST_CASE("The driver is found by both schemes, with an inspector") {
  for (const char* scheme : {"postgres", "postgresql"}) {
    const pool::Driver* driver = pool::find_driver(scheme);
    REQUIRE(driver);
    CHECK(driver->display_name == "PostgreSQL");
    CHECK_FALSE(driver->local);
    CHECK(driver->make_connector(pool_options("postgres://h/d"), identity()) != nullptr);
    CHECK(driver->make_inspector(pool_options("postgres://h/d"), identity()) != nullptr);
  }
}

TEST_CASE("Capacity is what the server, the role and the database allow") {
  if (!PostgresServer::require()) return;
  PostgresOptions options;
  options.settings["authentication_timeout"] = "2s";
  options.settings["superuser_reserved_connections"] = "4";
  PostgresServer other(options);
  other.start();
  const auto ask = [&] {
    pool::Capacity capacity;
    Loop loop;
    loop.run([&]() -> awaitable<void> {
      const auto inspector = make_inspector(other.url());
      co_await inspector->open(soon());
      capacity = co_await inspector->capacity(soon());
      const pool::CloseResult closed = co_await inspector->close(soon());
      CHECK(closed == pool::CloseResult::confirmed);
    });
    return capacity;
  };
  const pool::Capacity plain = ask();
  CHECK(plain.max_connections == 20);
  CHECK(plain.reserved == 4);
  CHECK(plain.user_limit == 0);
  CHECK(plain.authentication_timeout == 2s);
  other.query("ALTER ROLE app CONNECTION LIMIT 9");
  CHECK(ask().user_limit == 9);
  other.query("ALTER DATABASE app CONNECTION LIMIT 6");
  CHECK(ask().user_limit == 6);
}

TEST_CASE("Sessions of this instance are listed with identity and birth, without the inspector's own and a namesake's") {
  if (!PostgresServer::require()) return;
  Client mine(pool_options(server().url()), identity(3));
  pool::Identity cousin = identity(3);
  cousin.instance = "shop@test.eu";
  Client namesake(pool_options(server().url()), cousin);
  Loop loop;
  loop.run([&]() -> awaitable<void> {
    std::unique_ptr<Session> session = co_await mine.connect();
    std::unique_ptr<Session> other = co_await namesake.connect();
    const auto inspector = make_inspector(server().url());
    CHECK(inspector->session() == 0);
    co_await inspector->open(soon());
    CHECK(inspector->session() != 0);
    CHECK(inspector->session_birth() != 0);
    const std::vector<pool::SeenSession> seen = co_await inspector->sessions(soon());
    REQUIRE(seen.size() == 1);
    CHECK(seen[0].session == session->session);
    CHECK(seen[0].birth == session->session_birth);
    CHECK(seen[0].identity.text() == identity(3).text());
    CHECK(seen[0].age >= 0s);
    CHECK(seen[0].age < scaled(20s));
    co_await inspector->close(soon());
    CHECK(inspector->session() == 0);
    co_await mine.close(std::move(session));
    co_await namesake.close(std::move(other));
  });
}

TEST_CASE("A session is ended only if process id, name and birth all match") {
  if (!PostgresServer::require()) return;
  Client client(pool_options(server().url()), identity(5));
  Loop loop;
  loop.run([&]() -> awaitable<void> {
    std::unique_ptr<Session> session = co_await client.connect();
    const auto inspector = make_inspector(server().url());
    co_await inspector->open(soon());
    pool::SeenSession right;
    right.session = session->session;
    right.birth = session->session_birth;
    right.identity = identity(5);
    pool::SeenSession younger = right, renamed = right, elsewhere = right;
    ++younger.birth;
    renamed.identity.generation = 2;
    elsewhere.session += 1'000'000;
    for (const pool::SeenSession& wrong : {younger, renamed, elsewhere}) {
      const bool ended = co_await inspector->end(wrong, soon());
      CHECK_FALSE(ended);
    }
    co_await query(*session, "SELECT 1");
    const bool ended = co_await inspector->end(right, soon());
    CHECK(ended);
    CHECK(eventually(2s, [] { return server().sessions("shop@test.0badcafe:5.").empty(); }));
    const bool again = co_await inspector->end(right, soon());
    CHECK_FALSE(again);
    co_await inspector->close(soon());
    co_await client.close(std::move(session));
  });
}
