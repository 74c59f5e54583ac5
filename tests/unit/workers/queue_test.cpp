// What a queue decides: who gets a job and for how long, when it is tried again, when it is given up, what draining and waking do. On real SQLite
// files; the databases whose claims are other statements are in the tests of the cluster.
#include <sluice/workers/queue.hpp>

#include <algorithm>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/sqlite.hpp"
#include "support/worker_life.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

// A table of jobs, and what the workers below are told and have done.
class Stage {
 public:
  Stage() {
    options.poll = 10ms;
    options.claim = 60s;
    options.backoff_min = 2ms;
    options.backoff_max = 8ms;
    std::ofstream(file()).flush();  // SQLite takes an empty file for an empty database
    query("CREATE TABLE outbox (id integer PRIMARY KEY, topic text NOT NULL DEFAULT 'test', payload text NOT NULL DEFAULT 'all', " +
          queue_columns(sql::Dialect::sqlite) + ")");
    current = this;
  }
  ~Stage() { current = nullptr; }
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  config::Pool pool() const {
    config::Pool options;
    options.url = "sqlite:" + file();
    return options;
  }
  // Again while the workers keep the file locked.
  std::vector<std::vector<std::string>> query(const std::string& sql) const {
    std::vector<std::vector<std::string>> rows;
    std::string failure;
    eventually(10s, [&] {
      failure.clear();
      try {
        rows = query_sqlite(file(), sql);
      } catch (const std::runtime_error& e) {
        failure = e.what();
      }
      return failure.find("locked") == std::string::npos;
    });
    if (!failure.empty()) throw std::runtime_error(failure);
    return rows;
  }
  // Their ids go on from 1.
  void add(int jobs) const {
    query("WITH RECURSIVE one(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM one WHERE n < " + std::to_string(jobs) +
          ") INSERT INTO outbox (topic) SELECT 'test' FROM one");
  }
  int count(const std::string& where) const { return std::stoi(query("SELECT count(*) FROM outbox WHERE " + where)[0][0]); }
  std::string value(const std::string& column, int job = 1) const {
    return query("SELECT " + column + " FROM outbox WHERE id = " + std::to_string(job))[0][0];
  }
  // How often each job has been begun.
  std::map<std::int64_t, int> performed() const {
    const std::lock_guard lock(mutex_);
    return performed_;
  }
  std::size_t begun() const { return performed().size(); }
  std::size_t performers() const {
    const std::lock_guard lock(mutex_);
    return performers_.size();
  }
  int started() const {
    const std::lock_guard lock(mutex_);
    return started_;
  }
  // On the loop of the worker that started last.
  void on_loop(std::function<void(QueueWorker&)> call) const {
    const std::lock_guard lock(mutex_);
    asio::post(worker_->context().loop(), [worker = worker_, call = std::move(call)] { call(*worker); });
  }

  void starts(QueueWorker& worker) {
    const std::lock_guard lock(mutex_);
    worker_ = &worker;
    ++started_;
  }
  void begins(const Job& job) {
    const std::lock_guard lock(mutex_);
    ++performed_[job.id];
    performers_.insert(std::this_thread::get_id());
  }

  inline static Stage* current = nullptr;
  // Set before the first life begins.
  QueueOptions options;
  Duration takes{};
  std::function<void(const Job&)> effect;

 private:
  std::string file() const { return directory_ / "test.db"; }

  TemporaryDirectory directory_;
  mutable std::mutex mutex_;
  std::map<std::int64_t, int> performed_;
  std::set<std::thread::id> performers_;
  int started_ = 0;
  QueueWorker* worker_ = nullptr;
};

class Performer : public QueueWorker {
 public:
  QueueOptions options() override { return Stage::current->options; }
  awaitable<void> start() override {
    co_await QueueWorker::start();
    Stage::current->starts(*this);
  }
  awaitable<void> perform(Job job) override {
    Stage& stage = *Stage::current;
    stage.begins(job);
    if (stage.takes > Duration::zero()) {
      asio::steady_timer timer(context().loop(), stage.takes);
      co_await timer.async_wait(use_awaitable);
    }
    if (stage.effect) stage.effect(job);
  }
};

std::unique_ptr<Worker> performer() { return std::make_unique<Performer>(); }

std::uint64_t statements(const LifeWithDatabase& life) { return life.segment().pool_stats(3, 0).statements.get(); }

}  // namespace

TEST_CASE("A failed job waits for a random half to whole of a time that doubles from backoff_min to backoff_max") {
  QueueOptions options;
  options.backoff_min = 1s;
  options.backoff_max = 5min;
  std::mt19937_64 random(7);
  Duration whole = 1s;
  for (unsigned attempt = 1; attempt <= 40; ++attempt, whole = std::min<Duration>(2 * whole, 5min)) {
    CAPTURE(attempt);
    Duration shortest = Duration::max(), longest = Duration::zero();
    for (int i = 0; i < 500; ++i) {
      const Duration wait = queue_backoff(options, attempt, random());
      shortest = std::min(shortest, wait);
      longest = std::max(longest, wait);
    }
    CHECK(shortest >= whole / 2);
    CHECK(shortest < whole / 2 + whole / 20);
    CHECK(longest <= whole);
    CHECK(longest > whole - whole / 20);
  }
  CHECK(queue_backoff(options, 0, 0) == 500ms);
  CHECK(queue_backoff(options, 4'000'000'000u, 0) == 150s);
  options.backoff_min = 10min;  // more than backoff_max
  CHECK(queue_backoff(options, 1, 0) == 150s);
  options.backoff_min = options.backoff_max = Duration::max();
  CHECK(queue_backoff(options, 9, 0) == Duration::max() / 2);
  options.backoff_min = options.backoff_max = Duration::zero();
  CHECK(queue_backoff(options, 9, 12345) == Duration::zero());
}

TEST_CASE("A job that fails is dead after its last attempt, a hopeless one at once, one whose claims all ran out without another try") {
  Stage stage;
  stage.options.attempts = 3;
  stage.effect = [](const Job& job) {
    if (job.id == 1) throw std::runtime_error("no luck");
    if (job.id == 2) throw DeadJob("never");
    if (job.id == 4 && job.attempt < 3) throw std::runtime_error("not yet");
  };
  stage.add(5);
  stage.query("UPDATE outbox SET attempts = 3 WHERE id = 3");
  LifeWithDatabase life(&performer, stage.pool());
  CHECK(eventually(20s, [&] { return stage.count("done_at IS NULL AND dead_at IS NULL") == 0; }));
  CHECK(life.end().code == 0);
  CHECK(stage.performed() == std::map<std::int64_t, int>{{1, 3}, {2, 1}, {4, 3}, {5, 1}});
  CHECK(stage.count("dead_at IS NOT NULL AND done_at IS NULL AND id IN (1, 2, 3)") == 3);
  CHECK(stage.count("done_at IS NOT NULL AND dead_at IS NULL AND id IN (4, 5)") == 2);
  CHECK(stage.value("last_error", 1) == "no luck");
  CHECK(stage.value("last_error", 2) == "never");
  CHECK(stage.value("last_error", 3).find("claimed 3 times without an end") == 0);
  CHECK(stage.value("attempts", 1) == "3");
  CHECK(stage.value("attempts", 5) == "1");
}

TEST_CASE("A failed job is not tried again before its wait is over") {
  Stage stage;
  stage.options.backoff_min = stage.options.backoff_max = scaled(400ms);
  std::vector<TimePoint> tries;  // of one worker, one job
  stage.effect = [&](const Job& job) {
    tries.push_back(Clock::now());
    if (job.attempt == 1) throw std::runtime_error("not yet");
  };
  stage.add(1);
  {
    LifeWithDatabase life(&performer, stage.pool());
    CHECK(eventually(20s, [&] { return stage.count("done_at IS NOT NULL") == 1; }));
  }
  REQUIRE(tries.size() == 2);
  CHECK(tries[1] - tries[0] >= scaled(200ms) - 5ms);  // the database's clock is in whole milliseconds
}

TEST_CASE("Of two claimers none gets what the other has") {
  Stage stage;
  stage.takes = 2ms;
  constexpr int jobs = 300;
  LifeWithDatabase one(&performer, stage.pool()), other(&performer, stage.pool());
  REQUIRE(eventually(20s, [&] { return stage.started() == 2; }));
  stage.add(jobs);
  CHECK(eventually(60s, [&] { return stage.count("done_at IS NOT NULL") == jobs; }));
  const auto performed = stage.performed();
  CHECK(performed.size() == jobs);
  CHECK(std::all_of(performed.begin(), performed.end(), [](const auto& job) { return job.second == 1; }));
  CHECK(stage.count("attempts = 1") == jobs);
  CHECK(stage.performers() == 2);
}

TEST_CASE("A claim is renewed while its job is performed, also after a renewal that failed, and nobody else takes the job") {
  Stage stage;
  stage.options.claim = scaled(2s);
  stage.takes = scaled(4500ms);
  // The first renewals are refused, for less time than a claim lasts.
  stage.query(
      "CREATE TRIGGER refused BEFORE UPDATE ON outbox WHEN NEW.attempts = OLD.attempts AND NEW.run_at <> OLD.run_at "
      "BEGIN SELECT RAISE(ABORT, 'not now'); END");
  LifeWithDatabase one(&performer, stage.pool()), other(&performer, stage.pool());
  REQUIRE(eventually(20s, [&] { return stage.started() == 2; }));
  stage.add(1);
  REQUIRE(eventually(20s, [&] { return stage.begun() == 1; }));
  const std::string claimed_until = stage.value("run_at");
  CHECK(always(scaled(1s), [&] { return stage.value("run_at") == claimed_until; }));
  stage.query("DROP TRIGGER refused");
  CHECK(eventually(20s, [&] { return stage.count("done_at IS NOT NULL") == 1; }));
  CHECK(stage.value("run_at") > claimed_until);
  CHECK(stage.performed() == std::map<std::int64_t, int>{{1, 1}});
  CHECK(stage.value("attempts") == "1");
}

TEST_CASE("A job whose worker is gone is taken when the claim has run out, not before") {
  Stage stage;
  const Duration left = scaled(400ms);
  stage.query("INSERT INTO outbox (attempts, run_at) VALUES (1, CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) + " +
              std::to_string(to_millis(left)) + ")");
  const TimePoint placed = Clock::now();
  TimePoint taken;
  stage.effect = [&](const Job&) { taken = Clock::now(); };
  {
    LifeWithDatabase life(&performer, stage.pool());
    CHECK(eventually(20s, [&] { return stage.count("done_at IS NOT NULL AND attempts = 2") == 1; }));
  }
  CHECK(taken - placed >= left - 20ms);
}

TEST_CASE("Who drains takes no more jobs and lets those that run end") {
  Stage stage;
  stage.options.concurrency = 2;
  stage.takes = scaled(500ms);
  stage.add(6);
  LifeWithDatabase life(&performer, stage.pool(), scaled(20s));
  REQUIRE(eventually(20s, [&] { return stage.begun() == 2; }));
  CHECK(life.end().code == 0);
  const int begun = static_cast<int>(stage.begun());
  CHECK(begun < 6);
  CHECK(stage.count("done_at IS NOT NULL AND attempts = 1") == begun);
  CHECK(stage.count("attempts = 0") == 6 - begun);
}

TEST_CASE("What does not end within the drain limit is left, and done by another when the claim has run out") {
  Stage stage;
  stage.options.claim = scaled(1s);
  stage.takes = 1h;
  stage.add(1);
  {
    LifeWithDatabase life(&performer, stage.pool(), scaled(200ms));
    REQUIRE(eventually(20s, [&] { return stage.begun() == 1; }));
    const TimePoint asked = Clock::now();
    life.end();
    CHECK(Clock::now() - asked < scaled(10s));
  }
  CHECK(stage.count("done_at IS NULL AND dead_at IS NULL AND attempts = 1") == 1);
  stage.takes = Duration::zero();
  LifeWithDatabase next(&performer, stage.pool());
  CHECK(eventually(20s, [&] { return stage.count("done_at IS NOT NULL AND attempts = 2") == 1; }));
  CHECK(stage.performed() == std::map<std::int64_t, int>{{1, 2}});
}

TEST_CASE("An idle queue looks again when it is woken, however long the poll is") {
  Stage stage;
  stage.options.poll = 1h;
  LifeWithDatabase life(&performer, stage.pool());
  REQUIRE(eventually(20s, [&] { return statements(life) == 1; }));  // it has looked, and found nothing
  stage.add(1);
  CHECK(always(100ms, [&] { return stage.begun() == 0; }));
  stage.on_loop([](QueueWorker& worker) { worker.wake(); });
  CHECK(eventually(20s, [&] { return stage.count("done_at IS NOT NULL") == 1; }));
}

TEST_CASE("A wake that comes while the queue is looked at is not lost: it is looked at once more") {
  Stage stage;
  stage.options.poll = 1h;
  LifeWithDatabase life(&performer, stage.pool());
  REQUIRE(eventually(20s, [&] { return statements(life) == 1; }));
  stage.on_loop([](QueueWorker& worker) {
    worker.wake();  // its claim begins in the next turn of the loop, and ends in a later one
    asio::post(worker.context().loop(), [&worker] { worker.wake(); });
  });
  CHECK(eventually(20s, [&] { return statements(life) == 3; }));
  CHECK(always(100ms, [&] { return statements(life) == 3; }));
}
