#include <sluice/workers/blocking.hpp>

#include <atomic>
#include <future>
#include <optional>
#include <string>
#include <vector>

#include "support/worker_life.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

std::atomic<int> inserted{0}, rolled_back{0}, failed{0};

// Threads that fill a table side by side.
class Filling : public BlockingWorker {
 public:
  unsigned threads() override { return 3; }
  void work(BlockingContext& context) override {
    BlockingDatabase db = context.sql("main");
    db.execute("CREATE TABLE IF NOT EXISTS t (thread INTEGER, n INTEGER)");
    for (int n = 0; n < 50; ++n) {
      inserted += static_cast<int>(db.execute("INSERT INTO t VALUES ($1, $2)", context.thread(), n));
      if (n % 10 != 0) continue;
      BlockingTransaction tx = db.begin();
      tx.execute("INSERT INTO t VALUES ($1, -1)", context.thread());
      if (n % 20 == 0)
        tx.commit();
      else
        ++rolled_back;  // destroyed: rolls back
    }
    try {
      db.query("SELECT nothing FROM nowhere");
    } catch (const sql::SqlError&) {
      ++failed;
    }
    try {
      context.sql("elsewhere");
    } catch (const Error&) {
      ++failed;
    }
    const sql::Rows rows = db.query(within(5s), "SELECT count(*) FROM t WHERE thread = $1", context.thread());
    if (rows[0][0].as<int>() == 53) ++failed;
    while (context.sleep(1h)) {
    }
  }
};

class Throwing : public BlockingWorker {
 public:
  void work(BlockingContext& context) override {
    if (context.thread() == 2) throw std::runtime_error("thread 2 was told to fail");
    while (context.sleep(1h)) {
    }
  }
};

// Threads that know nothing of the worker's end but by their calls.
class Looping : public BlockingWorker {
 public:
  unsigned threads() override { return 2; }
  void work(BlockingContext& context) override {
    BlockingDatabase db = context.sql("main");
    ++inserted;
    while (!context.stopping()) db.query("SELECT 1");
  }
};

class Returning : public BlockingWorker {
 public:
  void work(BlockingContext&) override {}
};

std::atomic<bool> stuck_failed{false};

// A call that no graceful end can wait for.
class Stuck : public BlockingWorker {
 public:
  unsigned threads() override { return 1; }
  void work(BlockingContext& context) override {
    BlockingDatabase db = context.sql("main");
    inserted = -1;
    try {
      db.query(within(1h), "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000000000) SELECT count(*) FROM n");
    } catch (const Error&) {
      stuck_failed = true;
    }
  }
};

std::atomic<int> refused{-1};

// A thread's calls, made where they must not be made.
class OnItsLoop : public BlockingWorker {
 public:
  unsigned threads() override { return 1; }
  void work(BlockingContext& context) override {
    BlockingDatabase db = context.sql("main");
    db.execute("CREATE TABLE t (n INTEGER)");
    std::optional<BlockingTransaction> open(db.begin());
    open->execute("INSERT INTO t VALUES (1)");
    std::optional<BlockingTransaction> left(db.begin({.read_only = true}));
    std::promise<int> answer;
    asio::post(this->context().loop(), [&] {
      int count = 0;
      const auto tried = [&](auto call) {
        try {
          call();
        } catch (const Error& e) {
          count += std::string(e.what()).find("the worker's own loop") != std::string::npos;
        }
      };
      tried([&] { db.query("SELECT 1"); });
      tried([&] { db.execute(within(1s), "INSERT INTO t VALUES (2)"); });
      tried([&] { db.begin(); });
      tried([&] { db.stream("SELECT 1"); });
      tried([&] { db.bulk_insert("t", "n"); });
      tried([&] { db.listen("orders"); });
      tried([&] { db.transaction([](BlockingTransaction&) {}); });
      tried([&] { open->query("SELECT 1"); });
      tried([&] { open->savepoint(); });
      tried([&] { context.sql("main"); });
      tried([&] { context.sleep(1ms); });
      left.reset();  // destroyed it may be
      answer.set_value(count);
    });
    const int count = answer.get_future().get();
    open->commit();
    if (db.query("SELECT n FROM t").as<int>() == std::vector<int>{1}) refused = count;
    while (context.sleep(1h)) {
    }
  }
};

template <class W>
std::unique_ptr<Worker> make() {
  return std::make_unique<W>();
}

}  // namespace

TEST_CASE("A worker that is stopped at once ends well, though its threads are in the middle of their calls") {
  inserted = 0;
  LifeWithDatabase life(&make<Looping>);
  CHECK(eventually(30s, [] { return inserted == 2; }));
  const runtime::LifeOutcome outcome = life.stop();
  CHECK(outcome.code == 0);
}

TEST_CASE("Threads use the worker's pools through a synchronous face, side by side, and are told to stop") {
  inserted = rolled_back = failed = 0;
  LifeWithDatabase life(&make<Filling>);
  CHECK(eventually(30s, [] { return failed == 9; }));
  CHECK_FALSE(life.ended());
  const runtime::LifeOutcome outcome = life.end();
  CHECK(outcome.code == 0);
  CHECK(inserted == 150);
  CHECK(rolled_back == 6);
  CHECK(failed == 9);
}

TEST_CASE("An exception of one thread ends the life with its words; so does the end of all threads") {
  {
    LifeWithDatabase life(&make<Throwing>);
    CHECK(eventually(10s, [&] { return life.ended(); }));
    const runtime::LifeOutcome outcome = life.end();
    CHECK(outcome.code != 0);
    CHECK(outcome.message.find("thread 2 was told to fail") != std::string::npos);
  }
  LifeWithDatabase life(&make<Returning>);
  CHECK(eventually(10s, [&] { return life.ended(); }));
  CHECK(life.end().message.find("every thread's work() has returned") != std::string::npos);
}

TEST_CASE("A call that does not end is given up when the graceful time is over, and the thread goes on") {
  inserted = 0;
  stuck_failed = false;
  LifeWithDatabase life(&make<Stuck>);
  CHECK(eventually(10s, [] { return inserted == -1; }));
  life.end();
  CHECK(stuck_failed);
}

TEST_CASE("A call that waits fails at once on the worker's own loop, which it would wait for") {
  refused = -1;
  LifeWithDatabase life(&make<OnItsLoop>);
  CHECK(eventually(20s, [] { return refused >= 0; }));
  CHECK(life.end().code == 0);
  CHECK(refused == 11);
}
