#include <sluice/drivers/mysql/settings.hpp>

#include <doctest/doctest.h>

using namespace sluice;
using namespace sluice::mysql;

namespace {

config::Pool pool_of(const std::string& url) {
  config::Pool pool;
  pool.name = "main";
  pool.url = url;
  return pool;
}

Settings parsed(const std::string& url) { return parse_settings(pool_of(url), {"shop", "0badcafe", 1, 2}); }

std::string refusal(const config::Pool& pool) {
  try {
    parse_settings(pool, {});
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}
std::string refusal(const std::string& url) { return refusal(pool_of(url)); }

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a url gives user, password, host, port and database, percent-decoded") {
  const Settings s = parsed("mysql://me%40home:p%2Fw%3A%25@db.example.com:3307/shop%20floor");
  CHECK(s.user == "me@home");
  CHECK(s.password == "p/w:%");
  CHECK(s.host == "db.example.com");
  CHECK(s.port == 3307);
  CHECK(s.database == "shop floor");
  CHECK(s.place() == "db.example.com:3307");
  CHECK(s.application == "shop.0badcafe:1.2");
}

TEST_CASE("what a url leaves out has its usual value") {
  const Settings s = parsed("mariadb://");
  CHECK(s.user.empty());
  CHECK(s.host == "localhost");
  CHECK(s.port == 3306);
  CHECK(s.database.empty());
  CHECK(s.tls == Tls::prefer);
  CHECK_FALSE(s.local());
  CHECK(parsed("mysql://[::1]:33/x").host == "::1");
  CHECK(parsed("mysql://[::1]:33/x").place() == "[::1]:33");
  CHECK(parsed("mysql://[fe80::1]").port == 3306);
}

TEST_CASE("a password with unescaped signs is understood where it can be") {
  CHECK(parsed("mysql://me:a@b@host/d").password == "a@b");
  CHECK(parsed("mysql://me:a/b@host/d").password == "a/b");
  CHECK(parsed("mysql://me:a/b@host/d").host == "host");
  CHECK(parsed("mysql://me:a:b@host/d").password == "a:b");
}

TEST_CASE("a Unix socket is named by parameter or as host, and needs no TLS") {
  for (const char* url : {"mysql://me@/d?socket=/run/m.sock", "mysql://me@%2Frun%2Fm.sock/d", "mysql://me@localhost/d?socket=%2Frun%2Fm.sock"}) {
    const Settings s = parsed(url);
    CHECK(s.socket == "/run/m.sock");
    CHECK(s.local());
    CHECK(s.place() == "/run/m.sock");
    CHECK(s.database == "d");
    CHECK(s.tls == Tls::disable);
  }
  CHECK(has(refusal("mysql://host/d?socket=/run/m.sock"), "both the host"));
}

TEST_CASE("TLS is set as for PostgreSQL, and options win over the url") {
  const Settings s = parsed("mysql://h/d?sslmode=verify-full&sslrootcert=/ca.pem&sslcert=/c.pem&sslkey=/k.pem");
  CHECK(s.tls == Tls::verify_full);
  CHECK(s.tls_ca == "/ca.pem");
  CHECK(s.tls_cert == "/c.pem");
  CHECK(s.tls_key == "/k.pem");
  config::Pool pool = pool_of("mysql://h/d?sslmode=disable");
  pool.tls_mode = "verify-ca";
  CHECK(has(refusal(pool), "needs the authority's certificate"));
  pool.tls_ca = "/other.pem";
  CHECK(parse_settings(pool, {}).tls == Tls::verify_ca);
  CHECK(parse_settings(pool, {}).tls_ca == "/other.pem");
  CHECK(has(refusal("mysql://h/d?sslmode=on"), "\"on\" is unknown"));
}

TEST_CASE("a malformed url is refused with the pool, the reason, and without its password") {
  for (const auto& [url, reason] : {std::pair{"mysql:h/d", "must look like"},
                                    {"mysql://u:hunter2@h:port/d", "no number from 1 to 65535"},
                                    {"mysql://u:hunter2/d", "no number from 1 to 65535"},
                                    {"mysql://u:hunter2@h:0/d", "no number from 1 to 65535"},
                                    {"mysql://u:hunter2@h:70000/d", "no number from 1 to 65535"},
                                    {"mysql://u:hunter2@a,b/d", "several hosts"},
                                    {"mysql://u:hunter2@h/d?charset=latin1", "\"charset\" is unknown"},
                                    {"mysql://u:hunter2@h/d#x", "'#'"},
                                    {"mysql://u:hunter2@h/d/e", "one database name"},
                                    {"mysql://u:hunter2%zz@h/d", "two hexadecimal digits"},
                                    {"mysql://u:hunter2%00@h/d", "not 00"},
                                    {"mysql://u:hunter2@[::1/d", "lacks the ']'"}}) {
    const std::string text = refusal(url);
    INFO(text);
    CHECK(has(text, reason));
    CHECK(has(text, "pools.main.url"));
    CHECK_FALSE(has(text, "hunter2"));
  }
}
