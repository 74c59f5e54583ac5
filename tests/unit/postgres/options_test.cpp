// The files of a pool's TLS options reach libpq, and win over the url's.
#include <sluice/drivers/postgres/settings.hpp>

#include <doctest/doctest.h>

using namespace sluice;

namespace {

std::string parameter(const config::Pool& pool, const std::string& name) {
  for (const auto& [key, value] : postgres::parse_settings(pool, pool::Identity{}).parameters) {
    if (key == name) return value;
  }
  return {};
}

config::Pool secured() {
  config::Pool pool;
  pool.name = "main";
  pool.url = "postgresql://ada@db/shop?sslmode=verify-full&sslrootcert=/url/ca&sslcert=/url/cert&sslkey=/url/key";
  return pool;
}

}  // namespace

TEST_CASE("option tls.ca: the trusted certificates") {
  config::Pool pool = secured();
  CHECK(parameter(pool, "sslrootcert") == "/url/ca");
  pool.tls_ca = "/own/ca";
  CHECK(parameter(pool, "sslrootcert") == "/own/ca");
}

TEST_CASE("option tls.cert: the client's certificate") {
  config::Pool pool = secured();
  pool.tls_cert = "/own/cert";
  CHECK(parameter(pool, "sslcert") == "/own/cert");
}

TEST_CASE("option tls.key: the client's private key") {
  config::Pool pool = secured();
  pool.tls_key = "/own/key";
  CHECK(parameter(pool, "sslkey") == "/own/key");
}
