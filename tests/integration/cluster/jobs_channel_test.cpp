// Notifications as an event source of the kind jobs: how soon a job is done, and what happens where nobody can listen.
#include "payments.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

std::string millis(Duration time) { return std::to_string(to_millis(time)) + "ms"; }

// The process id of the cluster's session that listens; 0: there is none.
int listener_of(PostgresServer& server, const Cluster& cluster) {
  for (const PostgresSession& session : sessions(server, cluster))
    if (session.query.starts_with("LISTEN") && session.state == "idle") return session.pid;
  return 0;
}

bool says(const Cluster& cluster, const std::string& words) { return cluster.log().find(words) != std::string::npos; }

}  // namespace

TEST_CASE("A notification gets a job done at once, however long the poll is; after the listening session was ended another one listens") {
  Database database;
  database.server = postgres();
  if (!database.server) return;
  empty_outbox(database);
  PaymentService service;
  // Far longer than every wait below.
  Cluster cluster({.workers = "web=1,jobs=1",
                   .url = database.url(),
                   .flags = payment_flags(service, {"--app.job_channel", "orders", "--app.job_poll", millis(scaled(10min))})});
  SHOW_LOG_OF(cluster);
  int listener = 0;
  REQUIRE(eventually(20s, [&] { return (listener = listener_of(*database.server, cluster)) != 0; }));
  // Each job by itself, so that no end of another one makes the worker look.
  for (int jobs = 1; jobs <= 3; ++jobs) {
    make_orders(cluster, 1);
    CHECK(eventually(20s, [&] { return count_jobs(database, cluster, "done_at IS NOT NULL") == jobs; }));
  }

  database.server->query("SELECT pg_terminate_backend(" + std::to_string(listener) + ")");
  int next = 0;
  CHECK(eventually(20s, [&] { return (next = listener_of(*database.server, cluster)) != 0 && next != listener; }));
  CHECK(says(cluster, "is not listened to for now"));
  CHECK(service.effects().size() == 3);
  make_orders(cluster, 1);
  CHECK(eventually(20s, [&] { return service.effects().size() == 4; }));

  // What is placed while nobody listens is found when somebody does again.
  database.server->query("SELECT pg_terminate_backend(" + std::to_string(next) + ")");
  make_orders(cluster, 1);
  CHECK(eventually(20s, [&] { return service.effects().size() == 5; }));
  CHECK(eventually(20s, [&] { return count_jobs(database, cluster, "done_at IS NOT NULL AND attempts = 1") == 5; }));
  check_clean_end(cluster, database);
  CHECK_FALSE(says(cluster, "were not given back in time"));
}

TEST_CASE("A worker that may hold one connection does not listen and says so; it begins when it may hold two, and stops when it may not") {
  Database database;
  database.server = postgres();
  if (!database.server) return;
  empty_outbox(database);
  PaymentService service;
  // Two connections for two workers, and the confirm permit.
  Cluster cluster({.workers = "web=1,jobs=1",
                   .url = database.url(),
                   .flags = payment_flags(service, {"--app.job_channel", "orders", "--servers.main.total", "3"})});
  SHOW_LOG_OF(cluster);
  const auto listens = [&] { return listener_of(*database.server, cluster) != 0; };
  CHECK(eventually(20s, [&] { return says(cluster, "this worker may hold 1 of pool 'main'"); }));
  make_orders(cluster, 3);
  CHECK(eventually(20s, [&] { return service.effects().size() == 3; }));
  CHECK_FALSE(listens());

  CHECK(cluster.ctl({"budget", "set", "main=9"}).exit_code == 0);
  CHECK(eventually(20s, listens));
  make_orders(cluster, 3);
  CHECK(eventually(20s, [&] { return service.effects().size() == 6; }));

  CHECK(cluster.ctl({"budget", "set", "main=3"}).exit_code == 0);
  CHECK(eventually(20s, [&] { return !listens(); }));
  make_orders(cluster, 3);
  CHECK(eventually(20s, [&] { return service.effects().size() == 9; }));
  CHECK(eventually(20s, [&] { return count_jobs(database, cluster, "done_at IS NOT NULL") == 9; }));
  check_clean_end(cluster, database);
}

TEST_CASE("Where there is no LISTEN the queue says so and polls") {
  Database database;
  SUBCASE("on SQLite") {}
  SUBCASE("on MariaDB") {
    database.mariadb = mariadb();
    if (!database.mariadb) return;
  }
  empty_outbox(database);
  PaymentService service;
  Cluster cluster({.workers = "web=1,jobs=1", .url = database.url(), .flags = payment_flags(service, {"--app.job_channel", "orders"})});
  SHOW_LOG_OF(cluster);
  make_orders(cluster, 3);
  CHECK(eventually(20s, [&] { return service.effects().size() == 3; }));
  CHECK(says(cluster, "LISTEN is PostgreSQL's"));
  CHECK(eventually(20s, [&] { return count_jobs(database, cluster, "done_at IS NOT NULL") == 3; }));
  check_clean_end(cluster, database);
}

}  // namespace sluice::test
