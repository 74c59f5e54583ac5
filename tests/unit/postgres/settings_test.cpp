#include <sluice/drivers/postgres/settings.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

using namespace sluice;
using postgres::parse_settings;
using postgres::Settings;

namespace {

Settings parse(const std::string& url, const std::string& tls_mode = {}) {
  config::Pool pool;
  pool.name = "main";
  pool.url = url;
  pool.tls_mode = tls_mode;
  pool::Identity identity;
  identity.instance = "shop@host";
  identity.nonce = "0123abcd";
  identity.slot = 3;
  identity.generation = 7;
  return parse_settings(pool, identity);
}

std::string refusal(const std::string& url, const std::string& tls_mode = {}) {
  try {
    parse(url, tls_mode);
  } catch (const Error& e) {
    return e.what();
  }
  return {};
}

std::string parameter(const Settings& settings, const std::string& name) {
  for (const auto& [key, value] : settings.parameters) {
    if (key == name) return value;
  }
  return {};
}

std::vector<std::string> modes(const Settings& settings) { return {settings.tls.begin(), settings.tls.end()}; }

using Modes = std::vector<std::string>;

}  // namespace

TEST_CASE("A url gives host, port, user, database; the identity names the session") {
  const Settings s = parse("postgresql://app:secret@db.example:6543/shop?application_name=mine&connect_timeout=3&target_session_attrs=read-write");
  CHECK(s.host == "db.example");
  CHECK(s.port == "6543");
  CHECK(s.place() == "db.example:6543");
  CHECK_FALSE(s.local());
  CHECK(parameter(s, "user") == "app");
  CHECK(parameter(s, "password") == "secret");
  CHECK(parameter(s, "dbname") == "shop");
  CHECK(parameter(s, "target_session_attrs") == "read-write");
  CHECK(parameter(s, "application_name").empty());
  CHECK(parameter(s, "connect_timeout").empty());
  CHECK(s.application == "shop@host.0123abcd:3.7");
}

TEST_CASE("What a url leaves out has its usual value; the scheme has two names and may be in capitals") {
  for (const char* url : {"postgres://db.example/shop", "postgresql://db.example/shop", "PostgreSQL://db.example/shop"}) {
    CAPTURE(url);
    const Settings s = parse(url);
    CHECK(s.host == "db.example");
    CHECK(s.port == "5432");
    CHECK(parameter(s, "dbname") == "shop");
    CHECK(parameter(s, "password").empty());
  }
  CHECK(parse("postgresql://[::1]:5433/d").place() == "[::1]:5433");
  CHECK(parse("postgresql://h/d?hostaddr=192.0.2.7").address == "192.0.2.7");
  CHECK(parameter(parse("postgresql://a%40b:c%2Fd%3A@h/e%20f"), "user") == "a@b");
  CHECK(parameter(parse("postgresql://a%40b:c%2Fd%3A@h/e%20f"), "password") == "c/d:");
  CHECK(parameter(parse("postgresql://a%40b:c%2Fd%3A@h/e%20f"), "dbname") == "e f");
}

TEST_CASE("A Unix socket is local and never uses TLS") {
  for (const char* url : {"postgresql://app@%2Frun%2Fpg:5433/shop", "postgresql:///shop?host=/run/pg&port=5433"}) {
    CAPTURE(url);
    const Settings s = parse(url, "verify-full");
    CHECK(s.local());
    CHECK(s.host == "/run/pg");
    CHECK(s.port == "5433");
    CHECK(modes(s) == Modes{"disable"});
  }
}

TEST_CASE("A url that libpq would take for words and values is refused with a picture of a right one") {
  for (const char* url : {"postgres:shop", "postgres:h/d", "postgresql:/h/d", "POSTGRES:d"})
    CHECK(refusal(url) == "pools.main.url: must look like postgres://user:password@host:5432/database");
}

TEST_CASE("prefer and allow become two attempts, every other TLS mode one; the option overrides the url") {
  CHECK(modes(parse("postgresql://h/d")) == Modes{"require", "disable"});
  CHECK(modes(parse("postgresql://h/d?sslmode=allow")) == Modes{"disable", "require"});
  CHECK(modes(parse("postgresql://h/d?sslmode=disable")) == Modes{"disable"});
  CHECK(modes(parse("postgresql://h/d?sslmode=disable", "verify-full")) == Modes{"verify-full"});
  CHECK(refusal("postgresql://h/d", "secure").find("\"secure\" is unknown") != std::string::npos);
}

TEST_CASE("Several hosts and service files are refused with a reason") {
  CHECK(refusal("postgresql://a,b/d").find("several hosts") != std::string::npos);
  CHECK(refusal("postgresql://a/d?service=x").find("service") != std::string::npos);
}

TEST_CASE("Signs of a password that are not escaped are told, and not shown") {
  for (const char* url : {"postgres://app:100%hunter2@db/orders", "postgres://db/orders?password=hunter2%zz", "postgres://app:hunter2%00@db/orders"}) {
    const std::string reason = refusal(url);
    CAPTURE(reason);
    CHECK(reason.find("two hexadecimal digits") != std::string::npos);
    CHECK(reason.find("hunter2") == std::string::npos);
  }
  for (const char* url : {"postgres://app:hunter2@db:port/orders", "postgres://app:hunter2/3@db/orders", "postgres://app:hun@hunter2@db/orders",
                          "postgres://db:0/orders", "postgres://db:65536/orders", "postgres://db/orders?port=hunter2"}) {
    const std::string reason = refusal(url);
    CAPTURE(reason);
    CHECK(reason.find("the port is no number from 1 to 65535") != std::string::npos);
    CHECK(reason.find("hunter2") == std::string::npos);
  }
}

TEST_CASE("The refusal of a malformed url names the pool and does not show the password") {
  for (const char* url : {"postgresql://app:hunter2@h/d?nonsense=1", "postgresql://app:hunter2@[::1/d", "postgresql://app:hunter2@h:99/d?sslmode"}) {
    const std::string reason = refusal(url);
    CAPTURE(reason);
    CHECK(reason.find("pools.main.url") != std::string::npos);
    CHECK(reason.find("hunter2") == std::string::npos);
  }
}
