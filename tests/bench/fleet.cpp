// Whole instances on a real PostgreSQL: what lending gains when the load is skewed, what it costs when it is not, and how long a
// worker that starves waits for its first borrowed connection. Budget 17, of which one is the confirm permit: 16 to share.
// `single` is one process with one pool of 16, the best that 16 connections can do; `static` divides them and never lends.
//
//   bench_fleet [pairs] [seconds] [part…]      parts: skewed skewed80 balanced starving; all by default
#include <bench/measure.hpp>
#include <support/cluster.hpp>
#include <support/postgres.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <numeric>
#include <set>
#include <stdexcept>

using namespace sluice;
using namespace sluice::bench;

namespace {

constexpr double converge = 1.0;

struct Result {
  double offered = 0, completed = 0, errors = 0, seconds = 1;
  std::vector<double> waits;
  double connects = 0;  // after the convergence
  double per_second() const { return completed / seconds; }
  double p99() {
    if (waits.empty()) return 0;
    const auto at = waits.begin() + static_cast<std::ptrdiff_t>(0.99 * static_cast<double>(waits.size() - 1));
    std::nth_element(waits.begin(), at, waits.end());
    return *at;
  }
};

class Fleet {
 public:
  explicit Fleet(test::PostgresServer& server) : server_(server) {}

  Result run(int workers, bool elastic, nlohmann::json plan) {
    test::TemporaryDirectory out;
    plan["out"] = out.path();
    test::Cluster::Setup setup;
    setup.application = "bench_load";
    setup.workers = std::to_string(workers);
    setup.url = server_.url();
    setup.flags = {"--servers.main.total",
                   "17",
                   "--servers.main.headroom",
                   "0",
                   "--servers.main.elastic",
                   elastic ? "true" : "false",
                   "--max_workers",
                   "8",
                   "--pools.main.acquire_timeout",
                   "60s",
                   "--app.plan",
                   plan.dump()};
    test::Cluster cluster(std::move(setup));
    const TimePoint begin = Clock::now() + 200ms;
    std::ofstream(out / "go.new") << to_nanos(begin);
    std::filesystem::rename(out / "go.new", out / "go");

    Result result;
    result.seconds = plan.value("seconds", 1.0);
    double before = 0;
    test::eventually(60s, [&] { return Clock::now() >= begin + std::chrono::milliseconds(static_cast<int>(converge * 1000)); });
    before = connects(cluster);
    for (int slot = 0; slot < workers; ++slot) {
      const std::string path = out / (std::to_string(slot) + ".json");
      if (!test::eventually(120s, [&] { return std::filesystem::exists(path); }))
        throw std::runtime_error("no result of a worker\n" + cluster.tail());
      const auto json = nlohmann::json::parse(std::ifstream(path));
      result.offered += json.at("offered").get<double>();
      result.completed += json.at("completed").get<double>();
      result.errors += json.at("errors").get<double>();
      const auto waits = json.at("waits_ms").get<std::vector<double>>();
      result.waits.insert(result.waits.end(), waits.begin(), waits.end());
    }
    result.connects = connects(cluster) - before;
    cluster.stop();
    if (result.errors > 0) throw std::runtime_error(std::to_string(result.errors) + " statements failed\n" + cluster.tail());
    return result;
  }

 private:
  static double connects(const test::Cluster& cluster) {
    double sum = 0;
    for (const auto& pool : cluster.ctl_json({"pools"})) sum += pool.at("connects").get<double>();
    return sum;
  }
  test::PostgresServer& server_;
};

nlohmann::json open_plan(double total, std::vector<double> split, double seconds) {
  for (double& part : split) part *= total;
  return {{"mode", "open"}, {"rates", split}, {"converge", converge}, {"seconds", seconds}};
}

nlohmann::json closed_plan(const std::vector<int>& callers, double seconds) {
  return {{"mode", "closed"}, {"callers", callers}, {"converge", converge}, {"seconds", seconds}};
}

void skewed(Fleet& fleet, double capacity, int pairs, double seconds, double share, bool figures) {
  const std::string name = figures ? "skewed" : "skewed80";
  const nlohmann::json alone = open_plan(capacity * share, {1.0}, seconds);
  const nlohmann::json split = open_plan(capacity * share, {0.7, 0.1, 0.1, 0.1}, seconds);
  Pairs to_single, to_static, waits, opened;
  for (int i = 0; i < pairs; ++i) {
    Result single = fleet.run(1, false, alone);
    Result lending = fleet.run(4, true, split);
    const Result fixed = fleet.run(4, false, split);
    to_single.add(lending.per_second(), single.per_second());
    to_static.add(lending.per_second(), fixed.per_second());
    waits.add(lending.p99(), single.p99());
    opened.add(lending.connects, std::max(lending.completed, 1.0));
  }
  const std::string load = std::to_string(static_cast<int>(share * 100)) + " % of what 16 connections can do, 70/10/10/10";
  report(name + ".elastic_to_single", to_single, "1/s", "× one process with one pool of 16; " + load,
         figures ? at_least(0.95, to_single.ratio()) : Figure{});
  report(name + ".elastic_to_static", to_static, "1/s", "× the static split; " + load, figures ? at_least(1.3, to_static.ratio()) : Figure{});
  report(name + ".p99_wait", waits, "ms", "× that of one pool of 16; after 1 s", figures ? at_most(10, waits.value()) : Figure{});
  report(name + ".opened", opened, "", "connections opened for each statement, after 1 s");
}

void balanced(Fleet& fleet, int pairs, double seconds) {
  Pairs to_static, opened;
  const nlohmann::json plan = closed_plan({8, 8, 8, 8}, seconds);
  for (int i = 0; i < pairs; ++i) {
    const Result lending = fleet.run(4, true, plan);
    const Result fixed = fleet.run(4, false, plan);
    to_static.add(lending.per_second(), fixed.per_second());
    opened.add(lending.connects, std::max(lending.completed, 1.0));
  }
  report("balanced.elastic_to_static", to_static, "1/s", "× the static split; 8 callers at each of 4 workers", at_least(0.98, to_static.ratio()));
  report("balanced.opened", opened, "", "connections opened for each statement", at_most(0.01, opened.ratio()));
}

void starving(Fleet& fleet, int pairs) {
  Pairs first;
  for (int i = 0; i < pairs; ++i) {
    const Result result = fleet.run(4, true, {{"mode", "starve"}, {"rounds", 5}, {"seconds", 0.0}});
    for (const double wait : result.waits) first.add(wait, 50);
  }
  report("starving.first_borrowed", first, "ms", "of 50 ms, the others idle", at_most(50, first.value()));
}

}  // namespace

int main(int argc, char** argv) {
  const int pairs = argc > 1 ? std::atoi(argv[1]) : 5;
  const double seconds = argc > 2 ? std::atof(argv[2]) : 2;
  std::set<std::string> parts(argv + std::min(argc, 3), argv + argc);
  if (parts.empty()) parts = {"skewed", "skewed80", "balanced", "starving"};
  if (!test::PostgresServer::available()) {
    std::fprintf(stderr, "bench_fleet: no PostgreSQL on this machine\n");
    return 77;
  }
  test::PostgresServer server;
  server.start();
  Fleet fleet(server);
  if (parts.count("skewed") + parts.count("skewed80") > 0) {
    std::vector<double> all;
    for (int i = 0; i < 3; ++i) all.push_back(fleet.run(1, false, closed_plan({16}, seconds)).per_second());
    const double capacity = median(all);
    std::printf("%-36s %9.3f %11.4g %-4s one pool of 16, 16 callers: what 16 connections can do here (8000 where only the sleep counts)\n",
                "fleet.capacity", capacity / 8000, capacity, "1/s");
    if (parts.count("skewed") > 0) skewed(fleet, capacity, pairs, seconds, 0.6, true);
    if (parts.count("skewed80") > 0) skewed(fleet, capacity, pairs, seconds, 0.8, false);
  }
  if (parts.count("balanced") > 0) balanced(fleet, pairs, seconds);
  if (parts.count("starving") > 0) starving(fleet, pairs);
}
