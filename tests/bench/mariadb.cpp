// Point selects of many coroutines over 8 connections on one loop, in groups and (pipeline: off) each on a connection of its own, beside
// sysbench with 8 threads on the same private MariaDB:
//
//   bench_mariadb [pairs] [seconds]
#include <bench/command.hpp>
#include <bench/sql_load.hpp>
#include <support/mariadb.hpp>

#include <cstdlib>

using namespace sluice;
using namespace sluice::bench;

namespace {

constexpr int rows = 100000;

std::string sysbench(const test::MariaDbServer& server, const std::string& rest) {
  return output_of("sysbench oltp_point_select --db-driver=mysql --mysql-host=127.0.0.1 --mysql-port=" + std::to_string(server.port()) +
                   " --mysql-user=app --mysql-password=secret --mysql-db=app --tables=1 --table-size=" + std::to_string(rows) + " " + rest);
}

}  // namespace

int main(int argc, char** argv) {
  if (!test::MariaDbServer::available() || std::system("command -v sysbench >/dev/null") != 0) {
    std::printf("# no MariaDB, or no sysbench, on this machine\n");
    return 77;
  }
  const int pairs = argc > 1 ? std::atoi(argv[1]) : 5;
  const int seconds = std::max(1, argc > 2 ? std::atoi(argv[2]) : 2);
  test::MariaDbOptions options;
  options.max_connections = 60;
  options.settings = {{"innodb_buffer_pool_size", "256M"}};
  test::MariaDbServer server(options);
  server.start();
  const std::string prepared = sysbench(server, "--threads=1 prepare");
  if (prepared.find("Creating a secondary index") == std::string::npos) throw std::runtime_error("sysbench: " + prepared);
  const std::string version = output_of("sysbench --version");
  std::printf("# %s; %u connections, %d coroutines on one loop, %d s each\n", version.substr(0, version.find('\n')).c_str(), connections, coroutines,
              seconds);
  const std::string select = "SELECT c FROM sbtest1 WHERE id = $1";
  const auto theirs = [&] {
    const std::string out = sysbench(server, "--threads=8 --rand-type=uniform --time=" + std::to_string(seconds) + " run");
    const std::size_t at = out.find("queries:");
    if (at == std::string::npos) throw std::runtime_error("sysbench: " + out);
    return std::atof(out.c_str() + out.find('(', at) + 1);
  };
  const std::string of = "× sysbench oltp_point_select with 8 threads";
  {
    SqlLoad ours(server.url(), rows);
    const Pairs p = take_turns(
        pairs, [&] { return ours.run(select, seconds); }, theirs);
    report("mariadb.point_selects", p, "/s", of, at_least(0.8, p.ratio()));
  }
  SqlLoad ours(server.url(), rows, config::Pipeline::off);
  const Pairs p = take_turns(
      pairs, [&] { return ours.run(select, seconds); }, theirs);
  report("mariadb.off", p, "/s", of);
}
