// Every form of DATABASE_URL that docs/guides/configuration.md lists is taken, and leads to the server that the page says. What the drivers make
// of each is theirs: unit_postgres, unit_mysql, unit_sqlite.
#include "fixture.hpp"

#include <sluice/config/endpoint.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <map>

using namespace config_test;

namespace {

struct Leads {
  std::string scheme, host, port;
};

const std::map<std::string, Leads>& forms() {
  static const std::map<std::string, Leads> all{
      {"postgres://user:password@host:5432/database", {"postgres", "host", "5432"}},
      {"postgresql://host/database", {"postgres", "host", "5432"}},
      {"postgresql://[::1]:5433/database", {"postgres", "[::1]", "5433"}},
      {"postgresql://host/database?sslmode=verify-full&sslrootcert=/etc/ssl/ca.pem", {"postgres", "host", "5432"}},
      {"postgresql://host/database?hostaddr=192.0.2.7", {"postgres", "host", "5432"}},
      {"postgresql:///database?host=/run/postgresql&port=5433", {"postgres", "/run/postgresql", "5433"}},
      {"postgresql://%2Frun%2Fpostgresql/database", {"postgres", "/run/postgresql", "5432"}},
      {"postgresql:///database", {"postgres", "", "5432"}},
      {"mysql://user:password@host:3306/database", {"mysql", "host", "3306"}},
      {"mariadb://host/database", {"mysql", "host", "3306"}},
      {"mysql://[::1]:3307/database", {"mysql", "[::1]", "3307"}},
      {"mysql://host/database?sslmode=verify-ca&sslrootcert=/etc/ssl/ca.pem", {"mysql", "host", "3306"}},
      {"mysql:///database", {"mysql", "localhost", "3306"}},
      {"mysql://user@/database?socket=/run/mysqld/mysqld.sock", {"mysql", "/run/mysqld/mysqld.sock", ""}},
      {"mariadb://user@%2Frun%2Fmysqld%2Fmysqld.sock/database", {"mysql", "/run/mysqld/mysqld.sock", ""}},
      {"sqlite:orders.db", {"sqlite", "orders.db", ""}},
      {"sqlite:data/orders.db", {"sqlite", "data/orders.db", ""}},
      {"sqlite:/var/lib/orders.db", {"sqlite", "/var/lib/orders.db", ""}},
      {"sqlite:///var/lib/orders.db", {"sqlite", "/var/lib/orders.db", ""}},
      {"sqlite:orders.db?mode=ro", {"sqlite", "orders.db", ""}},
      {"sqlite:orders.db?synchronous=full", {"sqlite", "orders.db", ""}},
      {"sqlite::memory:", {"sqlite", ":memory:", ""}},
  };
  return all;
}

// The first cells of the page's table.
std::vector<std::string> listed() {
  const std::string page = read_source("docs/guides/configuration.md");
  std::istringstream lines(page.substr(page.find("\n## Urls\n")));
  std::vector<std::string> out;
  std::string line;
  std::getline(lines, line);
  std::getline(lines, line);
  while (std::getline(lines, line) && !line.starts_with("## ")) {
    if (line.starts_with("| `")) out.push_back(line.substr(3, line.find('`', 3) - 3));
  }
  return out;
}

}  // namespace

TEST_CASE("every form of DATABASE_URL leads to its server, says where it came from, and shows no password") {
  for (const auto& form : forms()) {
    const std::string& url = form.first;
    const Leads& leads = form.second;
    CAPTURE(url);
    const Loaded loaded = load_flags({}, {{"DATABASE_URL", url}});
    CHECK(loaded.config.pools.at("main").url == url);
    CHECK(loaded.origin.at("pools.main.url") == "environment DATABASE_URL");
    const auto endpoint = endpoint_of(loaded.config.pools.at("main").url);
    REQUIRE(endpoint);
    CHECK(endpoint->scheme == leads.scheme);
    CHECK(endpoint->host == leads.host);
    CHECK(endpoint->port == leads.port);
    CHECK(loaded.config.servers.at("main").total.has_value() == (leads.scheme == "sqlite"));
    std::ostringstream shown;
    print_config(shown, loaded);
    CHECK(contains(shown.str(), "environment DATABASE_URL"));
    CHECK_FALSE(contains(shown.str(), ":password@"));
  }
}

TEST_CASE("the page lists the forms that are tested, and no others") {
  std::vector<std::string> tested;
  for (const auto& [url, leads] : forms()) tested.push_back(url);
  std::vector<std::string> said = listed();
  std::sort(said.begin(), said.end());
  CHECK(said == tested);
}

TEST_CASE("a DATABASE_URL without a scheme is refused with its name and the remedy, and without its password") {
  for (const char* url : {"orders.db", "/var/lib/orders.db", "./orders.db", "host=db password=hunter2 dbname=orders", "//app:hunter2@db/orders",
                          "://app:hunter2@db/orders", "5432://app:hunter2@db", "my_app:hunter2@db/orders"}) {
    CAPTURE(url);
    const std::string reason = refusal({}, {{"DATABASE_URL", url}});
    CAPTURE(reason);
    CHECK(contains(reason, "DATABASE_URL"));
    CHECK(contains(reason, "must begin with a scheme and a colon, such as postgres://user@host/database or sqlite:file.db"));
    CHECK_FALSE(contains(reason, "hunter2"));
  }
  CHECK(load_flags({}, {{"DATABASE_URL", ""}}).config.pools.empty());  // as if it were not set
}
