// DATABASE_URL as an application with all drivers meets it: what it takes, and what it says about the rest before anything starts. Nothing
// connects.
#include "fixture.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

Finished check(const std::string& url) {
  const TemporaryDirectory directory;
  return execute({executable("orders"), "--control", directory / "c.sock", "--check-config"}, {{"DATABASE_URL", url}}, 10s);
}

}  // namespace

TEST_CASE("DATABASE_URL is taken in each database's forms") {
  for (const char* url : {"postgres://user:password@db.example:5432/orders",
                          "postgresql://db.example/orders",
                          "PostgreSQL://db.example/orders",
                          "postgresql://[::1]:5433/orders",
                          "postgresql:///orders?host=/run/postgresql&port=5433",
                          "postgresql://%2Frun%2Fpostgresql/orders",
                          "postgresql:///orders",
                          "mysql://user:password@db.example:3306/orders",
                          "mariadb://db.example/orders",
                          "mysql:///orders",
                          "mysql://user@/orders?socket=/run/mysqld/mysqld.sock",
                          "mariadb://user@%2Frun%2Fmysqld%2Fmysqld.sock/orders",
                          "sqlite:orders.db",
                          "sqlite:/tmp/orders.db",
                          "sqlite:///tmp/orders.db",
                          "sqlite:orders.db?mode=ro",
                          "sqlite:orders.db?synchronous=full",
                          "sqlite::memory:",
                          ""}) {
    CAPTURE(url);
    const Finished finished = check(url);
    INFO(finished.err);
    CHECK(finished.exit_code == 0);
    CHECK(finished.out.find("the configuration is valid") != std::string::npos);
  }
}

TEST_CASE("A DATABASE_URL that is none of them ends the application with 78, the reason and a remedy, and no password") {
  struct Bad {
    const char* url;
    const char* reason;
  };
  for (const Bad& bad : {Bad{"orders.db", "must begin with a scheme and a colon"},
                         Bad{"host=db password=hunter2", "must begin with a scheme and a colon"},
                         Bad{"jdbc:postgresql://app:hunter2@db/orders", "no driver for 'jdbc:'"},
                         Bad{"postgresql+psycopg2://app:hunter2@db/orders", "did you mean 'postgresql:'?"},
                         Bad{"sqlite3:orders.db", "did you mean 'sqlite:'?"},
                         Bad{"redis://app:hunter2@db", "it knows: mariadb, mysql, postgres, postgresql, sqlite"},
                         Bad{"postgres:app:hunter2@db/orders", "must look like postgres://user:password@host:5432/database"},
                         Bad{"postgres://app:hunter2@a,b/orders", "several hosts"},
                         Bad{"postgres://app:hunter2@db/orders?nonsense=1", "nonsense"},
                         Bad{"mysql:app:hunter2@db/orders", "must look like mysql://user:password@host:3306/database"},
                         Bad{"mysql://app:hunter2@db/orders?charset=latin1", "\"charset\" is unknown"},
                         Bad{"mysql://app:hunter2@db:port/orders", "no number from 1 to 65535"},
                         Bad{"sqlite:", "names no file"},
                         Bad{"sqlite://orders.db", "a relative one is written sqlite:app.db"},
                         Bad{"sqlite:/tmp/", "a directory"},
                         Bad{"sqlite:orders.db?cache=shared", "unknown parameter \"cache\""}}) {
    CAPTURE(bad.url);
    const Finished finished = check(bad.url);
    INFO(finished.out << finished.err);
    CHECK(finished.exit_code == 78);
    CHECK(finished.err.find(bad.reason) != std::string::npos);
    CHECK(finished.err.find("hunter2") == std::string::npos);
    CHECK(finished.err.find("main") != std::string::npos);  // which pool's it is
  }
}

}  // namespace sluice::test
