// The synchronous face of a worker's pools, used by threads of a real worker. Where the database matters not, tests/unit/workers has it.
#include <sluice/workers/blocking.hpp>
#include <support/worker_life.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "databases.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

using Work = std::function<void(BlockingContext&, BlockingDatabase&)>;

// What the threads of the workers below do. Workers live one after the other.
struct Task {
  Work work;
  unsigned threads = 1;
  std::atomic<unsigned> done{0};
} task;

class Doing : public BlockingWorker {
 public:
  unsigned threads() override { return task.threads; }
  void work(BlockingContext& context) override {
    BlockingDatabase db = context.sql("main");
    task.work(context, db);
    ++task.done;
    while (context.sleep(1h)) {
    }
  }
};

// A worker whose threads do `work`. Its pool opens `connections` at most.
std::unique_ptr<LifeWithDatabase> start(const std::string& url, Work work, unsigned threads = 1, std::uint32_t connections = 4,
                                        Duration graceful = scaled(5s)) {
  task.work = std::move(work);
  task.threads = threads;
  task.done = 0;
  config::Pool options = RealDatabase::with_url(url);
  options.max = connections;
  const auto make = []() -> std::unique_ptr<Worker> { return std::make_unique<Doing>(); };
  return std::make_unique<LifeWithDatabase>(make, options, graceful);
}

// The same, to the end of the work and of the worker.
void on_threads(const std::string& url, Work work, unsigned threads = 1, std::uint32_t connections = 4) {
  const auto life = start(url, std::move(work), threads, connections);
  CHECK(eventually(60s, [&] { return task.done == threads || life->ended(); }));
  const runtime::LifeOutcome outcome = life->end();
  CAPTURE(outcome.message);
  CHECK(outcome.code == 0);
  CHECK(task.done == threads);
}

int backend(BlockingDatabase& db) { return db.query("SELECT pg_backend_pid()")[0][0].as<int>(); }

std::vector<int> all(BlockingDatabase& db) { return db.query("SELECT n FROM t ORDER BY n").as<int>(); }

}  // namespace

TEST_CASE("A thread streams a large result, complete and in order, row by row and in pieces, and the connection is back at its end") {
  on_each_url([](const std::string& url) {
    const auto stream = [](BlockingContext&, BlockingDatabase& db) {
      const std::int64_t count = 20'000;
      std::int64_t expected = 0, wrong = 0;
      BlockingStream rows = db.stream(numbers(db.dialect()), count);
      while (auto row = rows.next()) wrong += (*row)["n"].as<std::int64_t>() != ++expected;
      CHECK(wrong == 0);
      CHECK(expected == count);
      CHECK(rows.ended());
      CHECK_FALSE(rows.next());
      // Of the pool's only connection.
      BlockingStream pieces = db.stream(within(scaled(30s)), numbers(db.dialect()), count);
      expected = 0;
      for (auto row = pieces.next(); row; row = pieces.next()) {
        wrong += (*row)["n"].as<std::int64_t>() != ++expected;
        for (const auto& further : pieces.next_rows()) wrong += further["n"].as<std::int64_t>() != ++expected;
      }
      CHECK(wrong == 0);
      CHECK(expected == count);
      const sql::Rows one = db.query(within(scaled(10s)), "SELECT 1 AS one");
      CHECK(one.size() == 1);
    };
    on_threads(url, stream, 1, 1);
  });
}

TEST_CASE("PostgreSQL: a thread that reads slowly holds up the server, and its memory stays flat") {
  if (!PostgresServer::require()) return;
  on_threads(empty_postgres(), [](BlockingContext&, BlockingDatabase& db) {
    BlockingStream rows = db.stream(numbers(sql::Dialect::postgres), endless);
    CHECK(rows.next());
    CHECK(eventually(20s, [&] {
      const sql::Rows seen = db.query("SELECT wait_event FROM pg_stat_activity WHERE query LIKE 'SELECT n, %'");
      return seen.size() == 1 && seen[0][0].as<std::optional<std::string>>() == "ClientWrite";
    }));
    std::size_t base = 0, most = 0;
    for (int read = 0; read < 300'000 && rows.next(); ++read) {
      if (read == 20'000) base = resident_bytes();
      if (read % 20'000 == 0) most = std::max(most, resident_bytes());
    }
    CHECK(base > 0);
    if constexpr (!sanitized) CHECK(most - base <= 8u << 20);  // sanitizers keep what was freed
    rows.close();
    CHECK(rows.ended());
  });
}

TEST_CASE("PostgreSQL: a thread that closes its stream early, or leaves it, has given the connection back") {
  if (!PostgresServer::require()) return;
  const auto leave = [](BlockingContext&, BlockingDatabase& db) {
    const int first = backend(db);
    {
      BlockingStream rows = db.stream(numbers(sql::Dialect::postgres), endless);
      CHECK(rows.next());
      rows.close();
      CHECK_FALSE(rows.next());
    }
    CHECK(backend(db) == first);  // in good order: the same
    {
      BlockingStream rows = db.stream(numbers(sql::Dialect::postgres), endless);
      CHECK(rows.next());
    }
    CHECK(backend(db) != first);  // its statement ended with the connection
    {
      std::optional<BlockingStream> rows;
      {
        BlockingTransaction tx = db.begin();
        rows.emplace(tx.stream(numbers(sql::Dialect::postgres), endless));
      }
      CHECK(rows->next());  // keeps its transaction
    }
    CHECK(backend(db) > 0);
  };
  on_threads(empty_postgres(), leave, 1, 1);
}

TEST_CASE("PostgreSQL: a thread's calls end at their limits, their statements too, and the connection is used again") {
  if (!PostgresServer::require()) return;
  const auto wait = [](BlockingContext&, BlockingDatabase& db) {
    const int first = backend(db);
    CHECK_THROWS_AS(db.query(within(scaled(200ms)), "SELECT pg_sleep(600)"), TimedOut);
    CHECK_THROWS_AS(db.execute(within(scaled(200ms)), "SELECT pg_sleep(600)"), TimedOut);
    BlockingStream rows = db.stream(within(scaled(200ms)), numbers(sql::Dialect::postgres), endless);
    const auto read = [&] {
      while (rows.next()) {
      }
    };
    CHECK_THROWS_AS(read(), TimedOut);
    CHECK(rows.ended());
    {
      BlockingTransaction tx = db.begin(within(scaled(10s)));
      CHECK_THROWS_AS(tx.execute(within(scaled(200ms)), "SELECT pg_sleep(600)"), TimedOut);
      CHECK_THROWS_AS(tx.query("SELECT 1"), sql::SqlError);  // PostgreSQL has given the transaction up
      tx.rollback();
    }
    CHECK(backend(db) == first);
    {
      const BlockingTransaction tx = db.begin();
      CHECK_THROWS_AS(db.begin(within(50ms)), pool::PoolError);  // the only connection
    }
  };
  on_threads(empty_postgres(), wait, 1, 1);
}

TEST_CASE("PostgreSQL: a thread's transaction has the isolation and the access that it asked for") {
  if (!PostgresServer::require()) return;
  on_threads(empty_postgres(), [](BlockingContext&, BlockingDatabase& db) {
    db.execute("CREATE TABLE t (n int PRIMARY KEY)");
    sql::TransactionOptions options;
    options.isolation = sql::Isolation::serializable;
    options.read_only = true;
    BlockingTransaction tx = db.begin(options);
    CHECK(tx.query("SELECT current_setting('transaction_isolation')")[0][0].as<std::string>() == "serializable");
    CHECK_THROWS_AS(tx.execute("INSERT INTO t VALUES (1)"), sql::SqlError);
  });
}

TEST_CASE("A thread's transaction is undone to a savepoint and no further, or wholly by an exception that leaves it") {
  on_each_url([](const std::string& url) {
    on_threads(url, [](BlockingContext&, BlockingDatabase& db) {
      db.execute("CREATE TABLE t (n int PRIMARY KEY)");
      BlockingTransaction tx = db.begin();
      tx.execute("INSERT INTO t VALUES (1)");
      const sql::Savepoint outer = tx.savepoint();
      tx.execute("INSERT INTO t VALUES (2)");
      const sql::Savepoint inner = tx.savepoint();
      tx.execute("INSERT INTO t VALUES (3)");
      tx.rollback_to(inner);
      CHECK_THROWS_AS(tx.execute("INSERT INTO t VALUES (1)"), sql::SqlError);
      tx.rollback_to(inner);
      tx.execute("INSERT INTO t VALUES (4)");
      tx.release(outer);
      CHECK(tx.open());
      tx.commit();
      CHECK_FALSE(tx.open());
      CHECK_THROWS_AS(tx.execute("INSERT INTO t VALUES (5)"), Error);
      const auto thrown = [&] {
        BlockingTransaction lost = db.begin();
        lost.execute("INSERT INTO t VALUES (6)");
        throw std::runtime_error("in the middle");
      };
      CHECK_THROWS_AS(thrown(), std::runtime_error);
      CHECK(all(db) == std::vector<int>{1, 2, 4});
    });
  });
}

TEST_CASE("A thread's transaction(fn) commits, gives the result, and rolls back what was thrown out of it, once") {
  on_each_url([](const std::string& url) {
    on_threads(url, [](BlockingContext&, BlockingDatabase& db) {
      db.execute("CREATE TABLE t (n int PRIMARY KEY)");
      const std::string result = db.transaction([](BlockingTransaction& tx) {
        tx.execute("INSERT INTO t VALUES (1)");
        return std::string("done");
      });
      CHECK(result == "done");
      int runs = 0;
      const auto twice = [&](BlockingTransaction& tx) {
        ++runs;
        tx.execute("INSERT INTO t VALUES (2)");
        tx.execute("INSERT INTO t VALUES (1)");
      };
      CHECK_THROWS_AS(db.transaction(twice), sql::SqlError);
      CHECK(runs == 1);
      sql::TransactionOptions options;
      options.read_only = true;
      CHECK_THROWS_AS(db.transaction(options, [](BlockingTransaction& tx) { tx.execute("INSERT INTO t VALUES (3)"); }), sql::SqlError);
      db.transaction([](BlockingTransaction& tx) {
        tx.execute("INSERT INTO t VALUES (4)");
        tx.rollback();  // its own end
      });
      CHECK(all(db) == std::vector<int>{1});
    });
  });
}

TEST_CASE("PostgreSQL: a thread's transaction that cannot be serialized is run again from its start") {
  if (!PostgresServer::require()) return;
  on_threads(empty_postgres(), [](BlockingContext&, BlockingDatabase& db) {
    db.execute("CREATE TABLE t (n int)");
    db.execute("INSERT INTO t VALUES (0)");
    sql::TransactionOptions options;
    options.isolation = sql::Isolation::repeatable_read;
    int runs = 0;
    const int seen = db.transaction(options, [&](BlockingTransaction& tx) {
      ++runs;
      const int n = tx.query("SELECT n FROM t")[0][0].as<int>();
      if (runs == 1) db.execute("UPDATE t SET n = 10");  // somebody else, after this one has read
      tx.execute("UPDATE t SET n = n + 1");
      return n;
    });
    CHECK(runs == 2);
    CHECK(seen == 10);
    CHECK(all(db) == std::vector<int>{11});
  });
}

TEST_CASE("Of two threads whose transactions wait for each other one is run again, and both go through") {
  const auto cross = [](const std::string& url) {
    std::atomic<bool> made{false};
    std::atomic<int> runs{0}, holding{0}, finished{0};
    const auto work = [&](BlockingContext& context, BlockingDatabase& db) {
      const unsigned first = context.thread() + 1;
      if (first == 1) {
        db.execute("CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL)");
        db.execute("INSERT INTO t VALUES (1, 0), (2, 0)");
        made = true;
      }
      while (!made && context.sleep(1ms)) {
      }
      db.transaction([&](BlockingTransaction& tx) {
        ++runs;
        tx.execute("UPDATE t SET n = n + 1 WHERE id = $1", first);
        ++holding;
        while (holding < 2 && context.sleep(1ms)) {  // both hold one before either wants the other
        }
        tx.execute("UPDATE t SET n = n + 1 WHERE id = $1", 3 - first);
      });
      if (++finished == 2) CHECK(all(db) == std::vector<int>{2, 2});
    };
    on_threads(url, work, 2);
    CHECK(finished == 2);
    CHECK(runs == 3);
  };
  SUBCASE("PostgreSQL") {
    if (PostgresServer::require()) cross(empty_postgres());
  }
  SUBCASE("MariaDB") {
    if (MariaDbServer::require()) cross(empty_mariadb());
  }
}

TEST_CASE("A thread's bulk insert is all or nothing, and tells its progress on that thread") {
  on_each_url([](const std::string& url) {
    on_threads(url, [](BlockingContext&, BlockingDatabase& db) {
      db.execute("CREATE TABLE t (n int PRIMARY KEY, d date)");
      const sql::Date day(std::chrono::year(2024) / 2 / 29);
      const int count = 5000;
      BlockingBulkInsert bulk = db.bulk_insert("t", "n", "d");
      std::vector<std::uint64_t> told;
      bool here = true;
      bulk.on_progress([&, thread = std::this_thread::get_id()](std::uint64_t sent) {
        told.push_back(sent);
        here = here && thread == std::this_thread::get_id();
      });
      CHECK_THROWS_AS(bulk.add(-1, std::chrono::year(2023) / 2 / 30), sql::SqlError);  // leaves no half row behind
      CHECK_THROWS_AS(bulk.add(-1), sql::SqlError);
      for (int n = 0; n < count; ++n) bulk.add(n, day);
      CHECK(bulk.sent() < 5000);
      CHECK(bulk.finish() == 5000);
      CHECK(bulk.sent() == 5000);
      REQUIRE(told.size() >= 3);
      CHECK(told.front() < told[1]);
      CHECK(told.back() == 5000);
      CHECK(here);
      CHECK_THROWS_AS(bulk.add(count, day), Error);

      BlockingBulkInsert twice = db.bulk_insert("t", "n");
      const auto again = [&] {
        for (int n = count; n < count + 2000; ++n) twice.add(n);
        twice.add(7);
        twice.finish();
      };
      CHECK_THROWS_AS(again(), sql::SqlError);
      {
        BlockingBulkInsert abandoned = db.bulk_insert("t", "n");
        for (int n = count; n < count + 2000; ++n) abandoned.add(n);
      }
      {
        BlockingTransaction tx = db.begin();
        BlockingBulkInsert undone = tx.bulk_insert("t", "n");
        for (int n = count; n < count + 2000; ++n) undone.add(n);
        CHECK(undone.finish() == 2000);
        CHECK(tx.query("SELECT count(*) FROM t")[0][0].as<int>() == count + 2000);
        tx.rollback();
      }
      CHECK(db.query("SELECT count(*) FROM t")[0][0].as<int>() == count);
      CHECK(db.query("SELECT d FROM t WHERE n = 4999")[0][0].as<sql::Date>() == day);
    });
  });
}

TEST_CASE("PostgreSQL: a thread gets notifications, of before its wait and during it, and waits no longer than it wants") {
  if (!PostgresServer::require()) return;
  on_threads(empty_postgres(), [](BlockingContext&, BlockingDatabase& db) {
    BlockingListener listener = db.listen("orders");
    db.query("SELECT pg_notify('orders', 'one')");
    const sql::Notification one = listener.next(within(scaled(10s)));
    CHECK(one.channel == "orders");
    CHECK(one.payload == "one");
    CHECK_THROWS_AS(listener.next(within(50ms)), TimedOut);
    listener.add("elsewhere");
    const std::jthread other([db]() mutable {  // any thread that ends before the worker
      db.execute("SELECT pg_sleep(0.05)");
      db.query("NOTIFY elsewhere, 'two'");
    });
    CHECK(listener.next().payload == "two");
    listener = db.listen("orders");
    CHECK_THROWS_AS(listener.next(within(50ms)), TimedOut);
  });
}

TEST_CASE("PostgreSQL: a thread that waits for a notification hears of the worker's end at once") {
  if (!PostgresServer::require()) return;
  std::atomic<bool> waiting{false};
  std::string told;
  const auto wait = [&](BlockingContext& context, BlockingDatabase& db) {
    BlockingListener listener = db.listen("orders");
    waiting = true;
    try {
      listener.next();
    } catch (const Error& e) {
      told = e.what();
    }
    CHECK(context.stopping());
  };
  const auto life = start(empty_postgres(), wait, 1, 4, scaled(60s));
  REQUIRE(eventually(30s, [&] { return waiting.load(); }));
  const TimePoint asked = Clock::now();
  const runtime::LifeOutcome outcome = life->end();
  CHECK(Clock::now() - asked < scaled(20s));
  CHECK(outcome.code == 0);
  CHECK(told == "the worker is ending: this call was given up");
  CHECK(life->all_rows_free());
}

TEST_CASE("PostgreSQL: a thread that is stuck in a call when its worker ends is freed, and so is the server") {
  if (!PostgresServer::require()) return;
  std::atomic<bool> waiting{false}, given_up{false};
  const auto wait = [&](BlockingContext&, BlockingDatabase& db) {
    BlockingTransaction tx = db.begin();
    waiting = true;
    try {
      tx.query("SELECT pg_sleep(600)");
    } catch (const Error&) {
      given_up = true;
    }
    CHECK_THROWS_AS(tx.query("SELECT 1"), Error);
    CHECK_THROWS_AS(db.query("SELECT 1"), Error);
  };
  const auto life = start(empty_postgres(), wait, 1, 4, 200ms);
  const auto sleeping = [] {
    return server().query("SELECT pid FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)' AND state = 'active'").size();
  };
  REQUIRE(eventually(30s, [&] { return waiting && sleeping() == 1; }));
  const TimePoint asked = Clock::now();
  SUBCASE("gracefully") {
    CHECK(life->end().code == 0);
    CHECK(life->all_rows_free());  // the statement was cancelled, and the transaction given back
  }
  SUBCASE("at once") { CHECK(life->stop().code == 0); }
  CHECK(Clock::now() - asked < scaled(20s));
  CHECK(given_up);
  CHECK(eventually(30s, [&] { return sleeping() == 0; }));
}
