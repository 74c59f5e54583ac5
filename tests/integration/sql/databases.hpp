// The databases that tests of the SQL layer run on: the same test on each.
#pragma once

#include <support/process.hpp>
#include <support/real_database.hpp>

#include "acting_janitor.hpp"
#include "fixture.hpp"

#include <cstdint>
#include <string>

namespace sluice::test {

// "SELECT n FROM 1 to $1" on each database; a second column makes rows of about 60 bytes.
inline std::string numbers(sql::Dialect dialect) {
  if (dialect == sql::Dialect::mysql)
    return "SELECT seq AS n, CONCAT('a text of some length for number ', seq) AS t FROM seq_1_to_5000000000 WHERE seq <= $1";
  if (dialect == sql::Dialect::postgres)
    return "SELECT n, 'a text of some length for number ' || n AS t FROM (SELECT generate_series(1, $1::int8) AS n) AS s";
  return "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < $1) SELECT n, 'a text of some length for number ' || n AS t FROM "
         "s";
}
inline constexpr std::int64_t endless = 4'000'000'000;

// The url of an empty database on the server, which this machine must have.
inline std::string empty_postgres() {
  server().query("DROP SCHEMA IF EXISTS public CASCADE");
  server().query("CREATE SCHEMA public AUTHORIZATION app");
  return server().url();
}
inline std::string empty_mariadb() {
  mariadb().query("DROP DATABASE app");
  mariadb().query("CREATE DATABASE app CHARACTER SET utf8mb4");
  mariadb().query("USE app");
  return mariadb().url();
}

// Calls `test(url)` with an empty database of each kind that this machine has.
template <class F>
void on_each_url(F test) {
  SUBCASE("SQLite") {
    const TemporaryDirectory directory;
    test("sqlite:" + directory.path() + "/test.db");
  }
  SUBCASE("PostgreSQL") {
    if (PostgresServer::require()) test(empty_postgres());
  }
  SUBCASE("MariaDB") {
    if (MariaDbServer::require()) test(empty_mariadb());
  }
}

// Calls `test(RealDatabase&)` with an empty database of each server that this machine has.
template <class F>
void on_each_server(F test, config::Pool options = {}) {
  SUBCASE("PostgreSQL") {
    if (!PostgresServer::require()) return;
    options.url = empty_postgres();
    RealDatabase database(options);
    test(database);
  }
  SUBCASE("MariaDB") {
    if (!MariaDbServer::require()) return;
    options.url = empty_mariadb();
    RealDatabase database(options);
    const ActingJanitor janitor(database);
    test(database);
  }
}

// The same, and on SQLite.
template <class F>
void on_each_database(F test, config::Pool options = {}) {
  SUBCASE("SQLite") {
    const TemporaryDirectory directory;
    options.url = "sqlite:" + directory.path() + "/test.db";
    RealDatabase database(options);
    test(database);
  }
  on_each_server(test, options);
}

}  // namespace sluice::test
