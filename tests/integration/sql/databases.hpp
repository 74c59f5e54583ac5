// The databases that tests of the SQL layer run on: the same test on each.
#pragma once

#include <support/process.hpp>
#include <support/real_database.hpp>

#include "acting_janitor.hpp"
#include "fixture.hpp"

namespace sluice::test {

// Calls `test(RealDatabase&)` with an empty database of each server that this machine has.
template <class F>
void on_each_server(F test, config::Pool options = {}) {
  SUBCASE("PostgreSQL") {
    if (!PostgresServer::require()) return;
    options.url = server().url();
    server().query("DROP SCHEMA IF EXISTS public CASCADE");
    server().query("CREATE SCHEMA public AUTHORIZATION app");
    RealDatabase database(options);
    test(database);
  }
  SUBCASE("MariaDB") {
    if (!MariaDbServer::require()) return;
    options.url = mariadb().url();
    mariadb().query("DROP DATABASE app");
    mariadb().query("CREATE DATABASE app CHARACTER SET utf8mb4");
    mariadb().query("USE app");
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
