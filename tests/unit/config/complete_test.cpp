#include "fixture.hpp"

#include <sluice/config/complete.hpp>
#include <sluice/config/endpoint.hpp>

#include <doctest/doctest.h>

using namespace config_test;

namespace {

Loaded with_pools(std::vector<std::string> arguments) { return load_flags(arguments); }

}  // namespace

TEST_CASE("pools with equal scheme, host and port share one server, named after the first") {
  const Config config = with_pools({"--pools.b.url", "postgres://u@Host/one", "--pools.a.url", "postgresql://v@host:5432/two", "--pools.c.url",
                                    "postgres://host:5433/"})
                            .config;
  CHECK(config.pools.at("a").server == "a");
  CHECK(config.pools.at("b").server == "a");
  CHECK(config.pools.at("c").server == "c");
  CHECK(config.servers.size() == 2);
  CHECK(config.servers.at("a").name == "a");
  CHECK_FALSE(config.servers.at("a").total.has_value());
}

TEST_CASE("a configured or named server is not passed by for the first pool's name") {
  const Config configured =
      with_pools({"--pools.audit.url", "postgres://h/x", "--pools.main.url", "postgres://h/y", "--servers.main.total", "13"}).config;
  CHECK(configured.pools.at("audit").server == "main");
  CHECK(configured.servers.size() == 1);
  const Config named = with_pools({"--pools.audit.url", "postgres://h/x", "--pools.main.url", "postgres://h/y", "--pools.main.server", "pg"}).config;
  CHECK(named.pools.at("audit").server == "pg");
  CHECK(named.servers.at("pg").name == "pg");
}

TEST_CASE("SQLite gets a total of 4 for each worker slot, and capacity for it") {
  const Loaded loaded = with_pools({"--pools.main.url", "sqlite:a.db", "--max-workers", "512"});
  CHECK(loaded.config.servers.at("main").total == 2048U);
  CHECK(loaded.config.servers.at("main").capacity == 2048);
  CHECK(loaded.origin.at("servers.main.total") == "default (4 × max_workers)");
  CHECK(with_pools({"--pools.main.url", "sqlite:a.db", "--servers.main.total", "7"}).config.servers.at("main").total == 7U);
  CHECK(with_pools({"--pools.main.url", "postgres://h/", "--servers.main.total", "5000"}).config.servers.at("main").capacity == 5000);
}

TEST_CASE("endpoints see through names, default ports and ways to write a host") {
  CHECK(endpoint_of("postgres://u:p@h/db") == endpoint_of("postgresql://H:5432/other?x=1"));
  CHECK(endpoint_of("postgres://u:p/w@h/db") == endpoint_of("postgres://h/db"));
  CHECK(endpoint_of("postgres:///db?host=/run/pg&port=5433") == endpoint_of("postgres:///x?port=5433&host=/run/pg"));
  CHECK(endpoint_of("postgres://[::1]/db")->host == "[::1]");
  CHECK(endpoint_of("postgres://localhost/db?host=/cloud/a") != endpoint_of("postgres://localhost/db?host=/cloud/b"));
  CHECK(endpoint_of("postgres://u@localhost/db?host=/run/pg") == endpoint_of("postgres:///db?host=/run/pg"));
  CHECK(endpoint_of("postgres://h:1/db?port=2")->port == "2");
  CHECK(endpoint_of("postgres://[::1]:7/db")->port == "7");
  CHECK(endpoint_of("mariadb://h")->port == "3306");
  CHECK(endpoint_of("sqlite:./a.db") == endpoint_of("sqlite:a.db?mode=ro"));
  CHECK(endpoint_of("sqlite:a.db") != endpoint_of("sqlite:b.db"));
  CHECK(endpoint_of("custom+x://h")->scheme == "custom+x");
  CHECK(endpoint_of("postgres://%2Frun%2FPG/db") == endpoint_of("POSTGRESQL:///x?host=%2Frun%2FPG"));
  CHECK(endpoint_of("postgres:///x?host=/run/PG") != endpoint_of("postgres:///x?host=/run/pg"));
  CHECK(endpoint_of("postgres:///x?hostaddr=192.0.2.7") != endpoint_of("postgres:///x?hostaddr=192.0.2.8"));
  CHECK(endpoint_of("sqlite:a%20b.db") == endpoint_of("sqlite:./a b.db"));
  for (const char* url : {"", "nothing", "://h", "1x://h", "host=h password=x", "/a/b:c"}) {
    CAPTURE(url);
    CHECK_FALSE(endpoint_of(url));
  }
}

TEST_CASE("a MySQL server without a host is localhost, and one behind a socket is told by the socket") {
  CHECK(endpoint_of("mysql:///a") == endpoint_of("mariadb://localhost:3306/b"));
  CHECK(endpoint_of("mysql://u@/a?socket=/run/m.sock") == endpoint_of("mysql://localhost/b?socket=/run/m.sock"));
  CHECK(endpoint_of("mysql://u@/a?socket=/run/m.sock") == endpoint_of("mysql://v@%2Frun%2Fm.sock:3307/b"));
  CHECK(endpoint_of("mysql:///a?socket=/run/m.sock") != endpoint_of("mysql:///a?socket=/run/n.sock"));
  CHECK(endpoint_of("mysql:///a?socket=/run/m.sock") != endpoint_of("mysql:///a"));
}

TEST_CASE("the name is the executable's, the instance name and host, fit for session names") {
  const Config config = load_flags({}).config;
  CHECK(config.name == "orders");
  CHECK(config.instance.starts_with("orders@"));
  CHECK(config.instance.size() <= 40);
  CHECK(load_flags({"--name", "shop"}).config.instance.starts_with("shop@"));
  CHECK(load_flags({"--instance", "mine"}).config.instance == "mine");
  const std::string cut = fitting_instance(std::string(50, 'a') + "1"), other = fitting_instance(std::string(50, 'a') + "2");
  CHECK(cut.size() == 40);
  CHECK(cut != other);
  CHECK(fitting_instance("my app@häst") == "my-app@h--st");
}

TEST_CASE("control files live in the runtime directory, or beside the control socket") {
  Config config;
  config.instance = "x@y";
  config.control = "/run/orders/control.sock";
  CHECK(config.control_directory() == "/run/orders");
  CHECK(config.control_path() == "/run/orders/control.sock");
  CHECK(config.lock_path() == "/run/orders/x@y.lock");
  config.control = "control.sock";
  CHECK(config.control_directory() == ".");
  config.control.clear();
  ::setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
  CHECK(config.control_path() == "/run/user/7/x@y.sock");
  ::unsetenv("XDG_RUNTIME_DIR");
  CHECK(config.control_path() == "/tmp/sluice-" + std::to_string(::getuid()) + "/x@y.sock");
}

TEST_CASE("an empty entry makes a pool, which then needs a url") {
  CHECK(contains(file_refusal("a.json", R"({"pools": {"cache": {}}})"), "pools.cache.url is missing"));
  CHECK(load_file("a.json", R"({"servers": {"x": {}}, "pools": {"main": {"url": "sqlite:a"}}})").warnings.size() == 1);
}

TEST_CASE("presets fill pools that come from anywhere and yield to what was written") {
  const Config config =
      load_flags({"--preset", "test", "--pools.a.url", "sqlite:a", "--pools.a.acquire_timeout", "9s", "--pools.b.url", "sqlite:b"}).config;
  CHECK(config.pools.at("a").acquire_timeout == std::chrono::seconds(9));
  CHECK(config.pools.at("b").acquire_timeout == std::chrono::seconds(2));
  CHECK(config.log.level == "warning");
  CHECK(load_flags({"--preset", "development"}).config.log.level == "debug");
  CHECK(load_flags({"--preset", "production"}).config.log.level == "info");
}
