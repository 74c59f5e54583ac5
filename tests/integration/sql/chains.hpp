// What tests of chains (pipeline: all) write, and what of it is there afterwards.
#pragma once

#include <string>

#include "travellers.hpp"

namespace sluice::test {

// It is not patience that takes their groups apart.
inline config::Pool chained() {
  config::Pool options;
  options.pipeline = config::Pipeline::all;
  options.pipeline_patience = 20s;
  return options;
}

inline const std::string insert = "INSERT INTO kept VALUES ($1) RETURNING now()::text, pg_backend_pid()::text";
// The same, after so many seconds.
inline const std::string slow_insert = "INSERT INTO kept SELECT $1::int FROM pg_sleep($2::float8)";

inline void make_kept(const std::string& column = "i int UNIQUE") {
  server().query("DROP SCHEMA IF EXISTS public CASCADE");
  server().query("CREATE SCHEMA public AUTHORIZATION app");
  server().query("CREATE TABLE kept (" + column + ")");
  server().query("ALTER TABLE kept OWNER TO app");
}

// Quick, as far as is known; and one row is there.
inline void know_insert(Travellers& party, int row) {
  auto body = [&]() -> awaitable<void> {
    for (int i = 1; i <= Travellers::runs_to_know; ++i) co_await party.t.db->query(insert, -i);
    co_await party.t.db->query("DELETE FROM kept");
    co_await party.t.db->query(insert, row);
  };
  party.t.run(body);
}

inline std::string kept() { return server().query("SELECT coalesce(string_agg(i::text, ',' ORDER BY i), '') FROM kept")[0][0]; }

}  // namespace sluice::test
