// The kind jobs: what it owes, whatever is killed when. The payment service is the test's: it keeps its books, and every job's effect
// must be in them once.
#include <algorithm>
#include <atomic>
#include <mutex>
#include <random>
#include <thread>

#include "payments.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

// Does the server keep a transaction of the cluster open that does nothing now?
bool transaction_is_open(const Database& database, const Cluster& cluster) {
  if (database.server) {
    const auto all = sessions(*database.server, cluster);
    return std::any_of(all.begin(), all.end(), [](const PostgresSession& s) { return s.state.starts_with("idle in transaction"); });
  }
  if (database.mariadb) return database.query(cluster, "SELECT trx_id FROM information_schema.innodb_trx").size() > 0;
  return database.query(cluster, "PRAGMA wal_checkpoint(TRUNCATE)")[0][0] != "0";  // it needs the file without readers and writers
}

}  // namespace

TEST_CASE("Every placed order is paid for once") {
  Database database;
  SUBCASE("on SQLite") {}
  SUBCASE("on PostgreSQL") {
    database.server = postgres();
    if (!database.server) return;
  }
  SUBCASE("on MariaDB") {
    database.mariadb = mariadb();
    if (!database.mariadb) return;
  }
  empty_outbox(database);
  PaymentService service;
  Cluster cluster({.workers = "web=1,jobs=2", .url = database.url(), .flags = payment_flags(service, {"--app.job_claim", "60s"})});
  SHOW_LOG_OF(cluster);
  make_orders(cluster, 50);
  CHECK(eventually(20s, [&] { return service.effects().size() == 50; }));
  CHECK(eventually(10s, [&] { return count_jobs(database, cluster, "done_at IS NOT NULL AND dead_at IS NULL AND attempts = 1") == 50; }));
  // Once it is marked nobody asks again, and stopping loses nothing.
  CHECK(service.total() == 50);
  check_clean_end(cluster, database);
  CHECK(service.total() == 50);
}

TEST_CASE("A refused payment is dead at once, a failing one is tried again, and neither holds up the others") {
  Database database;
  SUBCASE("on SQLite") {}
  SUBCASE("on PostgreSQL") {
    database.server = postgres();
    if (!database.server) return;
  }
  SUBCASE("on MariaDB") {
    database.mariadb = mariadb();
    if (!database.mariadb) return;
  }
  empty_outbox(database);
  std::string refused, failing, hopeless;
  std::mutex mutex;
  PaymentService service([&](const std::string& key, int request) -> PaymentService::Reply {
    const std::lock_guard lock(mutex);
    if (refused.empty())
      refused = key;
    else if (failing.empty() && key != refused)
      failing = key;
    else if (hopeless.empty() && key != refused && key != failing)
      hopeless = key;
    if (key == refused) return 422;
    if (key == failing) return request < 4 ? 503 : 200;
    if (key == hopeless) return 500;
    return 200;
  });
  Cluster cluster({.workers = "web=1,jobs=1", .url = database.url(), .flags = payment_flags(service, {"--app.job_attempts", "5"})});
  SHOW_LOG_OF(cluster);
  make_orders(cluster, 10);
  CHECK(eventually(20s, [&] { return service.effects().size() == 8 && service.requests()[hopeless] == 5; }));
  CHECK(eventually(10s, [&] { return cluster.log().find("job " + hopeless + " is dead") != std::string::npos; }));
  CHECK(cluster.log().find("job " + refused + " is dead") != std::string::npos);
  const auto requests = service.requests();
  CHECK(requests.at(refused) == 1);
  CHECK(requests.at(failing) == 4);
  CHECK(requests.at(hopeless) == 5);
  // The log comes before the mark.
  const auto count = [&](const std::string& where) { return count_jobs(database, cluster, where); };
  CHECK(eventually(5s, [&] { return count("dead_at IS NOT NULL AND done_at IS NULL AND last_error LIKE '%answered%'") == 2; }));
  CHECK(eventually(5s, [&] { return count("done_at IS NOT NULL AND dead_at IS NULL") == 8; }));
  CHECK(count("dead_at IS NOT NULL AND attempts = 1 AND id = " + refused) == 1);
  CHECK(count("dead_at IS NOT NULL AND attempts = 5 AND id = " + hopeless) == 1);
  CHECK(count("done_at IS NOT NULL AND attempts = 4 AND id = " + failing) == 1);
  check_clean_end(cluster, database);
}

TEST_CASE("Kill -9 at any moment of the jobs kind: each job's effect is there once, each job is marked once") {
  Database database;
  SUBCASE("on SQLite") {}
  SUBCASE("on PostgreSQL") {
    database.server = postgres();
    if (!database.server) return;
  }
  SUBCASE("on MariaDB") {
    database.mariadb = mariadb();
    if (!database.mariadb) return;
  }
  empty_outbox(database);
  // Random moments, many of them; jobs_kill_test.cpp takes the steps one by one. The service itself says when: some requests are met by a kill before
  // the effect, some after it before the answer, some while the answer travels; others kill by the clock, which meets claims and marks.
  std::atomic<int> to_kill{0};
  PaymentService service([&](const std::string&, int request) -> PaymentService::Reply {
    if (request > 3) return 200;
    static thread_local std::mt19937 random(4711);
    switch (random() % 8) {
      case 0:  // before the effect: it is never answered
        to_kill = 1;
        return 0;
      case 1:  // after the effect
        to_kill = 1;
        return 200;
      default: return 200;
    }
  });
  constexpr int jobs = 200;
  Cluster cluster({.workers = "web=1,jobs=2", .url = database.url(), .flags = payment_flags(service, {"--app.payment_timeout", "2s"})});
  SHOW_LOG_OF(cluster);
  make_orders(cluster, jobs);
  int kills = 0, by_clock = 0;
  std::mt19937 random(42);
  const auto kill_one = [&] {
    std::vector<pid_t> pids;
    for (const ProcessInfo& p : cluster.processes())
      if (command_line(p.pid).find("jobs ") != std::string::npos && p.state != 'Z') pids.push_back(p.pid);
    if (pids.empty()) return false;
    return ::kill(pids[random() % pids.size()], SIGKILL) == 0;
  };
  const TimePoint end = Clock::now() + scaled(90s);
  TimePoint next = Clock::now();
  while (service.effects().size() < jobs && Clock::now() < end) {
    if (to_kill.exchange(0) > 0) kills += kill_one();
    if (by_clock < 60 && Clock::now() >= next) {
      by_clock += kill_one();
      next = Clock::now() + std::chrono::microseconds(random() % 60'000);
    }
    std::this_thread::sleep_for(200us);  // a pace, not a wait for something
  }
  const auto effects = service.effects();
  CHECK(effects.size() == jobs);
  int repeated = 0;
  for (const auto& [key, count] : service.requests()) repeated += count > 1;
  MESSAGE((kills + by_clock), " workers killed; ", jobs, " jobs, ", service.total(), " requests, ", repeated, " jobs asked for more than once");
  CHECK(kills + by_clock > 20);
  CHECK(repeated > 0);  // else no kill met a payment
  CHECK(eventually(20s, [&] { return count_jobs(database, cluster, "done_at IS NOT NULL") == jobs; }));
  CHECK(count_jobs(database, cluster, "dead_at IS NOT NULL") == 0);
  // Each request was one claim's.
  const auto requests = service.requests();
  for (const auto& row : database.query(cluster, "SELECT id, attempts FROM outbox")) CHECK(std::stoi(row[1]) >= requests.at(row[0]));
  // Nothing is asked again once all is marked: two claims later there would be.
  CHECK(eventually(20s, [&] {
    const int before = service.total();
    std::this_thread::sleep_for(2500ms);
    return service.total() == before;
  }));
  check_clean_end(cluster, database);
}

TEST_CASE("While payments are under way no transaction is open, and what was not answered in time is asked again") {
  Database database;
  SUBCASE("on SQLite") {}
  SUBCASE("on PostgreSQL") {
    database.server = postgres();
    if (!database.server) return;
  }
  SUBCASE("on MariaDB") {
    database.mariadb = mariadb();
    if (!database.mariadb) return;
  }
  empty_outbox(database);
  PaymentService service([](const std::string&, int request) -> PaymentService::Reply { return request == 1 ? 0 : 200; });
  // One worker with all jobs in its hands: nothing is claimed and no claim is renewed meanwhile.
  constexpr int jobs = 4;
  Cluster cluster({.workers = "web=1,jobs=1",
                   .url = database.url(),
                   .flags = payment_flags(service, {"--app.payment_timeout", std::to_string(to_millis(scaled(3s))) + "ms", "--app.job_concurrency", std::to_string(jobs), "--app.job_claim", "60s"})});
  SHOW_LOG_OF(cluster);
  make_orders(cluster, jobs);
  REQUIRE(eventually(20s, [&] { return service.requests().size() == jobs; }));
  CHECK(eventually(2s, [&] { return !transaction_is_open(database, cluster); }));
  CHECK(always(500ms, [&] { return !transaction_is_open(database, cluster); }));
  CHECK(service.total() == jobs);  // they are under way still
  CHECK(count_jobs(database, cluster, "attempts = 1 AND done_at IS NULL AND dead_at IS NULL") == jobs);
  CHECK(eventually(20s, [&] { return count_jobs(database, cluster, "attempts = 2 AND done_at IS NOT NULL") == jobs; }));
  CHECK(service.effects().size() == jobs);
  check_clean_end(cluster, database);
}

}  // namespace sluice::test
