// The memory of a long result that is streamed row by row, on each database:
//
//   bench_stream [rows]      10 million by default; the ratio is of 8 MB, value: how far the resident memory rose after the first 20,000 rows
#include <bench/sql_load.hpp>
#include <support/mariadb.hpp>
#include <support/postgres.hpp>
#include <support/process.hpp>

#include <unistd.h>

#include <cstdlib>
#include <fstream>

using namespace sluice;
using namespace sluice::bench;

namespace {

constexpr double megabyte = 1 << 20;

double resident_megabytes() {
  std::size_t total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE)) / megabyte;
}

awaitable<double> risen(sql::Database& db, std::string sql, std::int64_t count) {
  sql::Stream rows = co_await db.stream(within(24h), sql, count);
  std::int64_t seen = 0;
  double base = 0, most = 0;
  while (auto row = co_await rows.next()) {
    if ((*row)[0].as<std::int64_t>() != ++seen) throw std::runtime_error("a row is missing");
    if (seen == 20'000) base = resident_megabytes();
    if (seen % 20'000 == 0) most = std::max(most, resident_megabytes());
  }
  if (seen != count) throw std::runtime_error("rows are missing at the end");
  co_return most - base;
}

void measure(const std::string& name, const std::string& url, const std::string& sql, std::int64_t count) {
  SqlLoad load(url, 1);
  const TimePoint began = Clock::now();
  const double megabytes = load.finish(risen(load.database(), sql, count));
  const double took = std::chrono::duration<double>(Clock::now() - began).count();
  Pairs once;
  once.add(megabytes, 8);
  report("stream.resident_" + name, once, "MB",
         "of 8 MB; " + std::to_string(count) + " rows in " + std::to_string(static_cast<int>(took)) + " s", at_most(8, megabytes));
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t count = argc > 1 ? std::atoll(argv[1]) : 10'000'000;
  test::TemporaryDirectory directory;
  measure("sqlite", "sqlite:" + (directory / "stream.db"),
          "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < $1) SELECT n, 'a text of some length for number ' || n AS t FROM s", count);
  if (test::PostgresServer::available()) {
    test::PostgresServer server;
    server.start();
    measure("postgresql", server.url(), "SELECT n, 'a text of some length for number ' || n AS t FROM (SELECT generate_series(1, $1::int8) AS n) AS s", count);
  }
  if (test::MariaDbServer::available()) {
    test::MariaDbServer server;
    server.start();
    measure("mariadb", server.url(), "SELECT seq, CONCAT('a text of some length for number ', seq) AS t FROM seq_1_to_" + std::to_string(count) + " WHERE seq <= $1", count);
  }
}
