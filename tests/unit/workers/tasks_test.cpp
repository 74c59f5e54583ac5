// What users write runs as a task in every kind of worker: who waits for a connection that he holds himself is told.
#include <sluice/core/task.hpp>
#include <sluice/pool/error.hpp>
#include <sluice/workers/blocking.hpp>
#include <sluice/workers/periodic.hpp>
#include <sluice/workers/queue.hpp>

#include <atomic>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "support/worker_life.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

// What the workers below have seen. They live one after the other.
struct Seen {
  void failed(const std::string& why) {
    const std::lock_guard lock(mutex);
    failure = why;
  }
  void task(std::uint32_t number) {
    const std::lock_guard lock(mutex);
    tasks.insert(number);
  }
  bool told() {
    const std::lock_guard lock(mutex);
    return failure.find("holds a connection of this pool itself") != std::string::npos;
  }
  std::size_t different() {
    const std::lock_guard lock(mutex);
    return tasks.contains(0) ? 0 : tasks.size();
  }
  std::mutex mutex;
  std::string failure;
  std::set<std::uint32_t> tasks;
} seen;

// Takes every connection of the pool, and then one more.
awaitable<void> exhaust(WorkerContext& context) {
  std::vector<pool::Lease> held;
  try {
    for (int i = 0; i < 4; ++i) {
      pool::Lease lease = co_await context.pool("main").acquire();
      held.push_back(std::move(lease));
    }
    const pool::Lease more = co_await context.pool("main").acquire(within(50ms));
  } catch (const pool::PoolError& e) {
    seen.failed(e.what());
  }
}

class Nesting : public PeriodicWorker {
 public:
  void tasks() override { every(1h, &Nesting::nest, 0ms); }
  awaitable<void> nest() { return exhaust(context()); }
};

class Jobs : public QueueWorker {
 public:
  awaitable<void> start() override {
    auto& db = context().sql("main");
    const std::string table =
        "CREATE TABLE outbox (id integer PRIMARY KEY, topic text NOT NULL, payload text NOT NULL, " + queue_columns(sql::Dialect::sqlite) + ")";
    co_await db.execute(table);
    for (int i = 0; i < 3; ++i) co_await db.execute("INSERT INTO outbox (topic, payload) VALUES ('test', '')");
    co_await QueueWorker::start();
  }
  awaitable<void> perform(Job) override {
    seen.task(current_task());
    co_return;
  }
};

class Holding : public BlockingWorker {
 public:
  unsigned threads() override { return 1; }
  void work(BlockingContext& context) override {
    BlockingDatabase db = context.sql("main");
    std::vector<BlockingTransaction> held;
    for (int i = 0; i < 4; ++i) held.push_back(db.begin({.read_only = true}));
    try {
      db.query(within(50ms), "SELECT 1");
    } catch (const std::exception& e) {
      seen.failed(e.what());
    }
    held.clear();
    while (context.sleep(1h)) {
    }
  }
};

template <class W>
std::unique_ptr<Worker> make() {
  seen.failed("");
  return std::make_unique<W>();
}

}  // namespace

TEST_CASE("A periodic task that waits for the connection that it holds is told so") {
  LifeWithDatabase life(&make<Nesting>);
  CHECK(eventually(20s, [] { return seen.told(); }));
}

TEST_CASE("Each job of a queue is a task of its own") {
  LifeWithDatabase life(&make<Jobs>);
  CHECK(eventually(20s, [] { return seen.different() == 3; }));
}

TEST_CASE("A thread that waits for the connection that it holds is told so") {
  LifeWithDatabase life(&make<Holding>);
  CHECK(eventually(20s, [] { return seen.told(); }));
}
