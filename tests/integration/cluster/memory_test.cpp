// What an idle instance costs.
#include "fixture.hpp"

namespace sluice::test {

TEST_CASE("Master and admin process stay under 12 MB resident, an idle web worker under 12 MB private") {
  if (sanitized) {
    MESSAGE("skipped: sanitizers multiply memory");
    return;
  }
  Database database;
  SUBCASE("on SQLite") {}
  SUBCASE("on PostgreSQL") {
    database.server = postgres();
    if (!database.server) return;
  }
  Cluster cluster({.workers = "4", .url = database.url()});
  SHOW_LOG_OF(cluster);
  CHECK(cluster.get("/ping").status == 200);
  CHECK(cluster.admin_get("/metrics").status == 200);
  constexpr std::size_t limit = 12 * 1024;
  const std::size_t master = resident_kib(cluster.master());
  const std::size_t admin = resident_kib(cluster.process_titled("admin"));
  CHECK(master > 0);
  CHECK(master < limit);
  CHECK(admin > 0);
  CHECK(admin < limit);
  for (int slot = 0; slot < 4; ++slot) {
    const std::size_t worker = private_kib(cluster.worker_pid(slot));
    CHECK(worker > 0);
    CHECK(worker < limit);
    MESSAGE("worker " << slot << ": " << worker << " KiB private");
  }
  MESSAGE("master " << master << " KiB, admin " << admin << " KiB resident");
  check_clean_end(cluster, database.server);
}

}  // namespace sluice::test
