// The claim, against servers that refuse the first session over budget: whatever dies, pauses or breaks, nobody is refused for
// lack of slots and no acknowledged write is lost. The control run shows that the same servers do refuse without confirmation.
#include <doctest/doctest.h>

#include <iostream>
#include <string>
#include <utility>

#include "database.hpp"
#include "monkey.hpp"
#include "options.hpp"
#include "support/cluster.hpp"
#include "support/eventually.hpp"
#include "support/relay.hpp"
#include "watch.hpp"
#include "writers.hpp"

namespace chaos {
namespace {

using namespace std::chrono_literals;
using sluice::Clock;
using sluice::test::Cluster;
using sluice::test::eventually;
using sluice::test::Relay;

constexpr int clients = 32;

// The figures of a run, whether it fails or not.
std::ostream& report() { return std::cout << "chaos: "; }

// 16 workers share 16 permits, and one is the janitor's: the server has no room for anything that is not accounted for.
Cluster::Setup setup(Database& database, const Relay& relay, const std::string& scheme_prefix = {}) {
  Cluster::Setup setup;
  setup.application = "chaosapp";
  setup.workers = std::to_string(permits - 1);
  setup.url = database.url(relay.port(), scheme_prefix);
  const std::pair<const char*, std::string> flags[] = {
      {"servers.main.total", std::to_string(permits)},
      {"max_workers", std::to_string(permits - 1)},
      {"pools.main.max_uses", "30"},
      {"pools.main.acquire_timeout", "3s"},
      {"pools.main.connect_timeout", "2s"},
      {"pools.main.connect_backoff_max", "300ms"},
      {"pools.main.close_timeout", "1s"},
      {"pools.main.keepalive", "500ms"},
      {"pools.main.statement_timeout", "5s"},
      {"restart.breaker_deaths", "0"},
      {"restart.backoff_max", "500ms"},
      {"heartbeat.hang_timeout", "3s"},
      {"graceful_timeout", "3s"},
  };
  for (const auto& [name, value] : flags) setup.flags.insert(setup.flags.end(), {std::string("--") + name, value});
  return setup;
}

// "" once every row is free or idle, and there are as many sessions as rows that hold one.
std::string disagreement(const Cluster& cluster, Database& database) {
  std::string out;
  int held = 0;
  try {
    for (const auto& row : cluster.ctl_json({"permits"})) {
      const std::string state = row.at("state");
      if (state == "idle") ++held;
      if (state != "free" && state != "idle") out += "row " + row.dump() + "\n";
    }
    if (const int sessions = database.sessions(); sessions != held)
      out += std::to_string(held) + " rows hold a session, the server has " + std::to_string(sessions) + "\n";
  } catch (const std::exception& error) {
    out += error.what();
  }
  return out;
}

void run_chaos(Database& database) {
  const std::uint64_t seed = options().seed;
  report() << database.name() << ": seed " << seed << ", " << options().duration.count() << " s" << std::endl;
  Relay relay(database.port(), seed);
  Cluster cluster(setup(database, relay));
  INFO(cluster.tail());
  SessionPeak peak(database);
  TotalsWatch totals(cluster.control());
  Writers writers(cluster.http_port(), clients, seed);
  Monkey monkey(cluster, database, relay, seed);

  // First the server is full.
  REQUIRE(eventually(30s, [&] { return peak.most() >= permits - 1; }));
  const auto end = Clock::now() + options().duration;
  while ((Clock::now() < end || (!monkey.content() && Clock::now() < end + 60s)) && database.refused(relay) == 0) monkey.act();
  monkey.calm();
  // It serves again before it is looked at. A janitor that died in the very first connect after an unclean start knows no
  // authentication timeout but the longest, a minute, before which nobody may connect.
  const std::uint64_t before = writers.acknowledged();
  const auto calm = Clock::now();
  if (!eventually(90s, [&] { return writers.acknowledged() > before + 200; })) {
    FAIL_CHECK("nobody is served any more: " << writers.last_refusal() << "\npools: " << cluster.ctl({"pools"}).out
                                             << "permits: " << cluster.ctl({"permits"}).out << "deeds:\n"
                                             << monkey.deeds());
  }
  report() << "served again after " << sluice::to_millis(Clock::now() - calm) << " ms" << std::endl;
  writers.stop();
  std::string wrong;
  eventually(30s, [&] { return (wrong = disagreement(cluster, database)).empty(); });
  CHECK(wrong == "");
  totals.stop();
  peak.stop();

  const std::size_t refused = database.refused(relay);
  const std::string contradictions = writers.contradictions(database.writes());
  report() << "deeds: " << monkey.summary() << std::endl;
  report() << writers.asked() << " writes asked for, answers: " << writers.answers() << "; at most " << peak.most() << " of " << permits
           << " sessions in " << peak.samples() << " looks; " << totals.samples() << " looks at the totals of " << totals.masters() << " masters; "
           << refused << " refused; through the relay " << relay.totals().connects << " connects" << std::endl;
  INFO("what happened:\n" << monkey.deeds() << "refusals:\n" << database.refusals());
  CHECK(refused == 0);
  CHECK(contradictions == "");
  CHECK(peak.most() <= permits);
  CHECK(totals.went_back() == "");
  CHECK(relay.broken() == "");

  CHECK(totals.samples() > 0);
  CHECK_MESSAGE(monkey.content(), monkey.summary());

  CHECK(cluster.stop(SIGTERM, 20s) == 0);
  CHECK(cluster.leftovers() == "");
  CHECK(eventually(5s, [&] { return database.sessions() == 0; }));
  // Every row was free: the next start need not wait for anything.
  CHECK(sluice::test::read_file(cluster.directory() / (cluster.instance() + ".lock")).starts_with("clean\n"));
}

void run_control(Database& database) {
  const std::uint64_t seed = options().seed;
  report() << database.name() << " without confirmation: seed " << seed << std::endl;
  Relay relay(database.port(), seed);
  Cluster cluster(setup(database, relay, "hasty-"));
  INFO(cluster.tail());
  Writers writers(cluster.http_port(), clients, seed);
  CHECK(eventually(20s, [&] { return database.refused(relay) > 0; }));
  writers.stop();
  report() << database.refused(relay) << " refused, " << writers.asked() << " writes asked for, answers: " << writers.answers() << std::endl;
  cluster.stop(SIGTERM, 20s);
}

}  // namespace

TEST_CASE("PostgreSQL refuses nobody and loses no acknowledged write, whatever is killed, paused, scaled, restarted or cut off") {
  if (const auto database = make_postgres()) run_chaos(*database);
}

TEST_CASE("MariaDB refuses nobody and loses no acknowledged write, whatever is killed, paused, scaled, restarted or cut off") {
  if (const auto database = make_mariadb()) run_chaos(*database);
}

TEST_CASE("Without confirmation PostgreSQL does refuse: what the chaos test looks for can be found") {
  if (const auto database = make_postgres()) run_control(*database);
}

TEST_CASE("Without confirmation MariaDB does refuse: what the chaos test looks for can be found") {
  if (const auto database = make_mariadb()) run_control(*database);
}

}  // namespace chaos
