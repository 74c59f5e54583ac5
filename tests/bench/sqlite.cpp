// Durable writes (synchronous=FULL) of many coroutines, beside four threads that each commit their own writes on a connection of their own.
// They take turns by a mutex: SQLite's own way to wait, sleeping, would make them several times slower.
//
//   bench_sqlite [pairs] [seconds] [directory]     the directory decides which disk is written to; the temporary one by default
#include <bench/sql_load.hpp>
#include <support/process.hpp>

#include <sqlite3.h>

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <thread>

using namespace sluice;
using namespace sluice::bench;

namespace {

const char* const table = "CREATE TABLE events (id INTEGER PRIMARY KEY, value INTEGER NOT NULL)";

void require(int code, sqlite3* db) {
  if (code != SQLITE_OK && code != SQLITE_DONE && code != SQLITE_ROW) throw std::runtime_error(std::string("sqlite: ") + sqlite3_errmsg(db));
}

void execute(sqlite3* db, const char* sql) { require(sqlite3_exec(db, sql, nullptr, nullptr, nullptr), db); }

// One connection of the pool of threads: an INSERT and its commit at a time.
void commit_each(const std::string& file, std::mutex& writing, const std::atomic<bool>& stop, std::atomic<std::uint64_t>& done) {
  sqlite3* db = nullptr;
  require(sqlite3_open(file.c_str(), &db), db);
  sqlite3_busy_timeout(db, 10000);
  execute(db, "PRAGMA journal_mode=WAL");
  execute(db, "PRAGMA synchronous=FULL");
  sqlite3_stmt* insert = nullptr;
  require(sqlite3_prepare_v2(db, "INSERT INTO events (value) VALUES (?)", -1, &insert, nullptr), db);
  for (int value = 0; !stop; ++value) {
    sqlite3_bind_int(insert, 1, value);
    const std::lock_guard turn(writing);
    require(sqlite3_step(insert), db);
    sqlite3_reset(insert);
    ++done;
  }
  sqlite3_finalize(insert);
  sqlite3_close(db);
}

double threads_of_four(const std::string& file, double seconds) {
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> done{0};
  std::mutex writing;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { commit_each(file, writing, stop, done); });
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds / 10));
  const std::uint64_t before = done;
  const TimePoint began = Clock::now();
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  const double rate = static_cast<double>(done - before) / std::chrono::duration<double>(Clock::now() - began).count();
  stop = true;
  for (auto& thread : threads) thread.join();
  return rate;
}

}  // namespace

int main(int argc, char** argv) {
  const int pairs = argc > 1 ? std::atoi(argv[1]) : 5;
  const double seconds = argc > 2 ? std::atof(argv[2]) : 2;
  test::TemporaryDirectory temporary;
  const std::string directory = argc > 3 ? argv[3] : temporary.path();
  const std::string mine = directory + "/ours.db", theirs = directory + "/theirs.db";
  for (const std::string& file : {mine, theirs}) {
    for (const char* suffix : {"", "-wal", "-shm"}) std::remove((file + suffix).c_str());
    sqlite3* db = nullptr;
    require(sqlite3_open(file.c_str(), &db), db);
    execute(db, "PRAGMA journal_mode=WAL");
    execute(db, table);
    sqlite3_close(db);
  }
  std::printf("# SQLite %s, synchronous=FULL; %d coroutines on one loop; four threads; %g s each\n", sqlite3_libversion(), coroutines, seconds);
  SqlLoad ours("sqlite:" + mine + "?synchronous=full", 1000000);
  const Pairs p = take_turns(
      pairs, [&] { return ours.run("INSERT INTO events (value) VALUES ($1)", seconds); }, [&] { return threads_of_four(theirs, seconds); });
  report("sqlite.durable_writes", p, "/s", "× four threads, one commit each", at_least(4, p.ratio()));
}
