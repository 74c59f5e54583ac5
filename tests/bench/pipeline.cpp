// Statements of many coroutines over 8 connections on one loop, beside pgbench on the same private PostgreSQL in the same run:
//
//   bench_pipeline [pairs] [seconds] [part…]
//
// Parts: reads (in groups), pipelined (the same against pgbench's own pipelines), tls, chained (pipeline: all), alone (pipeline: off),
// writes, slow (p99 of fast reads beside a read of one second). All by default. 256 coroutines, 8 connections.
#include <bench/measure.hpp>
#include <sluice/pool/registry.hpp>
#include <sluice/sql/database.hpp>
#include <support/permit_rows.hpp>
#include <support/postgres.hpp>
#include <support/process.hpp>

#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <stdexcept>

using namespace sluice;
using namespace sluice::bench;

namespace {

constexpr std::uint32_t connections = 8;
constexpr int coroutines = 256;
constexpr int scale = 5;
constexpr int accounts = scale * 100000;

const char* const point_select = "SELECT abalance FROM pgbench_accounts WHERE aid = $1";
// same() is inlined by the server's planner; but for all that its text tells, it might write.
const char* const chained_select = "SELECT same(abalance) FROM pgbench_accounts WHERE aid = $1";
const char* const point_update = "UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = $1";

class Ours {
 public:
  Ours(const std::string& url, config::Pipeline pipeline) : permits_(connections, connections) {
    config::Pool options;
    options.name = "main";
    options.url = url;
    options.pipeline = pipeline;
    pool::Identity identity;
    identity.instance = "bench@test";
    identity.nonce = "0badcafe";
    identity.generation = 1;
    pool::PoolResources resources;
    resources.share = permits_.share;
    resources.stats = &stats_;
    const pool::Driver* driver = pool::find_driver("postgresql");
    pool_.emplace(loop_, options, driver->make_connector(options, identity), resources);
    pool_->ready();
    db_.emplace(*pool_, sql::StatementBoard(&stats_, running_, 1));
    bool open = false;
    asio::co_spawn(loop_, pool_->preallocate(connections, Deadline::after(10s)), [&](const std::exception_ptr&, std::uint32_t number) {
      if (number != connections) throw std::runtime_error("the connections do not open");
      open = true;
    });
    while (!open) loop_.run_one();
  }
  Ours(const Ours&) = delete;
  ~Ours() {
    bool closed = false;
    asio::co_spawn(loop_, pool_->close(Deadline::after(10s)), [&](const std::exception_ptr&, bool) { closed = true; });
    while (!closed) loop_.run_one();
  }

  // Statements a second.
  double run(const char* sql, double seconds, int asking = coroutines, bool slow = false) {
    stop_ = false;
    waits_.clear();
    std::uint64_t done = 0;
    const auto rethrow = [](const std::exception_ptr& failure) {
      if (failure) std::rethrow_exception(failure);
    };
    for (int i = 0; i < asking; ++i) asio::co_spawn(loop_, ask(sql, ++seed_, done), rethrow);
    if (slow) asio::co_spawn(loop_, ask_slow(), rethrow);
    const auto step = std::chrono::milliseconds(static_cast<int>(seconds * 1000));
    loop_.run_for(step / 10);
    const std::uint64_t before = done;
    const TimePoint began = Clock::now();
    waits_.clear();
    loop_.run_for(step);
    const double took = std::chrono::duration<double>(Clock::now() - began).count();
    const double rate = static_cast<double>(done - before) / took;
    stop_ = true;
    while (asking_ > 0) loop_.run_one();
    return rate;
  }
  // Of the last run, in milliseconds.
  double p99() {
    if (waits_.empty()) return 0;
    const auto at = waits_.begin() + static_cast<std::ptrdiff_t>(0.99 * static_cast<double>(waits_.size() - 1));
    std::nth_element(waits_.begin(), at, waits_.end());
    return *at;
  }

 private:
  struct Here {
    int* number;
    explicit Here(int& n) : number(&n) { ++n; }
    ~Here() { --*number; }
  };
  awaitable<void> ask(const char* sql, unsigned seed, std::uint64_t& done) {
    const Here here(asking_);
    std::minstd_rand random(seed);
    while (!stop_) {
      const int id = 1 + static_cast<int>(random() % accounts);
      const TimePoint began = Clock::now();
      const sql::Rows rows = co_await db_->query(sql, id);
      keep(rows.size());
      waits_.push_back(std::chrono::duration<float, std::milli>(Clock::now() - began).count());
      ++done;
    }
  }
  awaitable<void> ask_slow() {
    const Here here(asking_);
    while (!stop_) co_await db_->query("SELECT pg_sleep(1)");
  }

  shm::PoolStats stats_{};
  std::vector<shm::RunningStatement> running_ = std::vector<shm::RunningStatement>(32);
  test::PermitRows permits_;
  asio::io_context loop_{1};
  std::optional<pool::Pool> pool_;
  std::optional<sql::Database> db_;
  std::vector<float> waits_;
  bool stop_ = false;
  int asking_ = 0;
  unsigned seed_ = 0;
};

std::string output_of(const std::string& command) {
  std::string out;
  std::array<char, 4096> piece;
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen((command + " 2>&1").c_str(), "r"), ::pclose);
  if (!pipe) throw std::runtime_error("popen");
  while (std::fgets(piece.data(), static_cast<int>(piece.size()), pipe.get())) out += piece.data();
  return out;
}

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
  double updates(double seconds) const { return tps("-j 2 -f " + update_, seconds, "disable"); }
  static std::string version() {
    const std::string line = output_of("pgbench --version");
    return line.substr(0, line.find('\n'));
  }

 private:
  double tps(const std::string& what, double seconds, const char* tls) const {
    const std::string out = output_of("pgbench -n -M prepared -c 8 " + what + " -T " + std::to_string(std::max(1, static_cast<int>(seconds + 0.5))) +
                                      " '" + url(tls) + "'");
    const std::size_t at = out.find("tps = ");
    if (at == std::string::npos) throw std::runtime_error("pgbench: " + out);
    return std::atof(out.c_str() + at + 6);
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
    Ours ours(plain, config::Pipeline::reads);
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
    Ours ours(tls, config::Pipeline::reads);
    const Pairs p = take_turns(
        pairs, [&] { return ours.run(point_select, seconds); }, [&] { return pgbench.selects(seconds, 2, "require"); });
    report("pipeline.reads_tls", p, "/s", "× pgbench -S over TLS", at_least(4.5, p.ratio()));
  }
  if (wanted("chained")) {
    Ours ours(plain, config::Pipeline::all);
    const Pairs p = take_turns(
        pairs, [&] { return ours.run(chained_select, seconds); }, [&] { return pgbench.selects(seconds); });
    report("pipeline.chained", p, "/s", "× pgbench -S -M prepared -c 8 -j 2", at_least(2.8, p.ratio()));
  }
  if (wanted("alone")) {
    Ours ours(plain, config::Pipeline::off);
    const Pairs p = take_turns(
        pairs, [&] { return ours.run(point_select, seconds); }, [&] { return pgbench.selects(seconds, 1); });
    report("pipeline.off", p, "/s", "× pgbench -S -M prepared -c 8 -j 1", at_least(0.95, p.ratio()));
  }
  if (wanted("writes")) {
    Ours ours(plain, config::Pipeline::reads);
    const Pairs p = take_turns(
        pairs, [&] { return ours.run(point_update, seconds); }, [&] { return pgbench.updates(seconds); });
    report("pipeline.writes", p, "/s", "× pgbench, the same statement, -c 8 -j 2", at_least(0.9, p.ratio()));
  }
  if (wanted("slow")) {
    Ours ours(plain, config::Pipeline::reads);
    const auto p99 = [&](bool slow) {
      ours.run(point_select, std::max(seconds, 2.5), coroutines, slow);
      return ours.p99();
    };
    const Pairs p = take_turns(
        pairs, [&] { return p99(true); }, [&] { return p99(false); });
    report("pipeline.p99_beside_a_slow_read", p, "ms", "× the fast reads alone", at_most(1.5, p.ratio()));
  }
  return 0;
}
