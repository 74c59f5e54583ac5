// Statements of many coroutines over 8 connections on one loop, beside pgbench on the same private PostgreSQL in the same run:
//
//   bench_pipeline [pairs] [seconds] [part…]
//
// Parts: reads (in groups), pipelined (the same against pgbench's own pipelines), tls, chained (pipeline: all), alone (pipeline: off),
// writes, slow (p99 of fast reads beside a read of one second), bare (what libpq alone reaches, and how much of that ours does). All by
// default. 256 coroutines, 8 connections.
#include <bench/bare_libpq.hpp>
#include <bench/command.hpp>
#include <bench/sql_load.hpp>
#include <support/postgres.hpp>
#include <support/process.hpp>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <set>

using namespace sluice;
using namespace sluice::bench;

namespace {

constexpr int scale = 5;
constexpr int accounts = scale * 100000;
constexpr int group = coroutines / connections;

const char* const point_select = "SELECT abalance FROM pgbench_accounts WHERE aid = $1";
// same() is inlined by the server's planner; but for all that its text tells, it might write.
const char* const chained_select = "SELECT same(abalance) FROM pgbench_accounts WHERE aid = $1";
const char* const point_update = "UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = $1";

class Pgbench {
 public:
  explicit Pgbench(const test::PostgresServer& server) : server_(server) {
    output_of("pgbench -i -q -I dtgp -s " + std::to_string(scale) + " '" + url("disable") + "'");
    std::ofstream script(pipeline_);
    const std::string one = "SELECT abalance FROM pgbench_accounts WHERE aid = :aid";
    for (int i = 0; i < 32; ++i) script << "\\set aid" << i << " random(1, " << accounts << ")\n";
    script << "\\startpipeline\n";
    for (int i = 0; i < 32; ++i) script << one << i << ";\n";
    script << "\\endpipeline\n";
    std::ofstream(update_) << "\\set aid random(1, " << accounts << ")\nUPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :aid;\n";
  }
  std::string url(const char* tls) const { return server_.url() + "?sslmode=" + tls; }

  double selects(double seconds, int threads = 2, const char* tls = "disable") const { return tps("-S -j " + std::to_string(threads), seconds, tls); }
  double pipelined(double seconds) const { return 32 * tps("-j 2 -f " + pipeline_, seconds, "disable"); }
  double updates(double seconds, int threads = 2) const { return tps("-j " + std::to_string(threads) + " -f " + update_, seconds, "disable"); }
  static std::string version() {
    const std::string line = output_of("pgbench --version");
    return line.substr(0, line.find('\n'));
  }

 private:
  double tps(const std::string& what, double seconds, const char* tls) const {
    const std::string out = output_of("pgbench -n -M prepared -c 8 " + what + " -T " + std::to_string(std::max(1, static_cast<int>(seconds + 0.5))) +
                                      " '" + url(tls) + "'");
    return number_after(out, "tps = ");
  }
  const test::PostgresServer& server_;
  test::TemporaryDirectory directory_;
  const std::string pipeline_ = directory_ / "pipeline.sql", update_ = directory_ / "update.sql";
};

}  // namespace

int main(int argc, char** argv) {
  if (!test::PostgresServer::available()) {
    std::printf("# no PostgreSQL on this machine\n");
    return 77;
  }
  const int pairs = argc > 1 ? std::atoi(argv[1]) : 5;
  const double seconds = argc > 2 ? std::atof(argv[2]) : 2;
  const std::set<std::string> parts(argv + std::min(argc, 3), argv + argc);
  const auto wanted = [&](const char* part) { return parts.empty() || parts.count(part) > 0; };

  test::PostgresOptions options;
  options.max_connections = 60;
  options.ssl = true;
  options.settings = {{"shared_buffers", "256MB"}};
  test::PostgresServer server(options);
  server.start();
  const Pgbench pgbench(server);
  server.query("VACUUM ANALYZE pgbench_accounts");
  server.query("CREATE FUNCTION same(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1'");
  std::printf("# %s; 8 connections, %d coroutines on one loop, %g s each\n", Pgbench::version().c_str(), coroutines, seconds);
  const std::string plain = pgbench.url("disable"), tls = pgbench.url("require");

  if (wanted("reads") || wanted("pipelined")) {
    SqlLoad ours(plain, accounts);
    if (wanted("reads")) {
      const Pairs p = take_turns(
          pairs, [&] { return ours.run(point_select, seconds); }, [&] { return pgbench.selects(seconds); });
      report("pipeline.reads", p, "/s", "× pgbench -S -M prepared -c 8 -j 2", at_least(3.5, p.ratio()));
    }
    if (wanted("pipelined")) {
      const Pairs p = take_turns(
          pairs, [&] { return ours.run(point_select, seconds); }, [&] { return pgbench.pipelined(seconds); });
      report("pipeline.reads_of_pgbench_pipelines", p, "/s", "× pgbench with \\startpipeline of 32, -c 8 -j 2", at_least(0.85, p.ratio()));
    }
  }
  if (wanted("tls")) {
    SqlLoad ours(tls, accounts);
    const Pairs p = take_turns(
        pairs, [&] { return ours.run(point_select, seconds); }, [&] { return pgbench.selects(seconds, 2, "require"); });
    report("pipeline.reads_tls", p, "/s", "× pgbench -S over TLS", at_least(4.5, p.ratio()));
  }
  if (wanted("chained")) {
    SqlLoad ours(plain, accounts, config::Pipeline::all);
    const Pairs p = take_turns(
        pairs, [&] { return ours.run(chained_select, seconds); }, [&] { return pgbench.selects(seconds); });
    report("pipeline.chained", p, "/s", "× pgbench -S -M prepared -c 8 -j 2", at_least(2.8, p.ratio()));
  }
  if (wanted("alone")) {
    SqlLoad ours(plain, accounts, config::Pipeline::off);
    const Pairs p = take_turns(
        pairs, [&] { return ours.run(point_select, seconds); }, [&] { return pgbench.selects(seconds, 1); });
    report("pipeline.off", p, "/s", "× pgbench -S -M prepared -c 8 -j 1", at_least(0.95, p.ratio()));
  }
  if (wanted("writes")) {
    SqlLoad ours(plain, accounts);
    const Pairs p = take_turns(
        pairs, [&] { return ours.run(point_update, seconds); }, [&] { return pgbench.updates(seconds); });
    report("pipeline.writes", p, "/s", "× pgbench, the same statement, -c 8 -j 2", at_least(0.9, p.ratio()));
    const Pairs alike = take_turns(
        pairs, [&] { return ours.run(point_update, seconds); }, [&] { return pgbench.updates(seconds, 1); });
    report("pipeline.writes_of_one_thread", alike, "/s", "× pgbench, the same statement, -c 8 -j 1: one thread, as one loop is");
  }
  if (wanted("slow")) {
    SqlLoad ours(plain, accounts);
    const auto p99 = [&](bool slow) {
      ours.run(point_select, std::max(seconds, 2.5), coroutines, slow);
      return ours.p99();
    };
    const Pairs p = take_turns(
        pairs, [&] { return p99(true); }, [&] { return p99(false); });
    report("pipeline.p99_beside_a_slow_read", p, "ms", "× the fast reads alone", at_most(1.5, p.ratio()));
  }
  if (wanted("bare")) {
    const auto beside = [&](const std::string& name, const std::string& url, const char* mode, const char* sql, bool chained) {
      SqlLoad ours(url, accounts, chained ? config::Pipeline::all : config::Pipeline::reads);
      BareLibpq bare(url, sql, accounts, chained ? BareLibpq::Groups::chained : BareLibpq::Groups::reads, connections, group);
      const Pairs most = take_turns(
          pairs, [&] { return bare.run(seconds); }, [&] { return pgbench.selects(seconds, 2, mode); });
      report("pipeline.bare_" + name, most, "/s", "× the same pgbench -S, -c 8 -j 2: libpq alone, groups of 32, the most that can be reached");
      const Pairs part = take_turns(
          pairs, [&] { return ours.run(sql, seconds); }, [&] { return bare.run(seconds); });
      report("pipeline." + name + "_of_bare", part, "/s", "× libpq alone");
    };
    beside("reads", plain, "disable", point_select, false);
    beside("reads_tls", tls, "require", point_select, false);
    beside("chained", plain, "disable", chained_select, true);
  }
  return 0;
}
