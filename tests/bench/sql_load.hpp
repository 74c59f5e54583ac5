// One worker's view of a database, as the benchmarks load it: one loop, one pool of a fixed number of open connections with statistics,
// and many coroutines that ask the same statement with a random number, one after the other.
#pragma once

#include <bench/measure.hpp>
#include <sluice/pool/registry.hpp>
#include <sluice/sql/database.hpp>
#include <support/permit_rows.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace sluice::bench {

inline constexpr std::uint32_t connections = 8;
inline constexpr int coroutines = 256;

class SqlLoad {
 public:
  // `numbers`: the statement's only parameter is drawn from 1 to there.
  SqlLoad(const std::string& url, int numbers, config::Pipeline pipeline = config::Pipeline::reads) : permits_(connections, connections), numbers_(numbers) {
    config::Pool options;
    options.name = "main";
    options.url = url;
    options.max = connections;
    options.pipeline = pipeline;
    pool::Identity identity;
    identity.instance = "bench@test";
    identity.nonce = "0badcafe";
    identity.generation = 1;
    pool::PoolResources resources;
    resources.share = permits_.share;
    resources.stats = &stats_;
    const pool::Driver* driver = pool::find_driver(pool::scheme_of(url));
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
  SqlLoad(const SqlLoad&) = delete;
  ~SqlLoad() {
    bool closed = false;
    asio::co_spawn(loop_, pool_->close(Deadline::after(10s)), [&](const std::exception_ptr&, bool) { closed = true; });
    while (!closed) loop_.run_one();
  }

  // Statements a second.
  double run(const std::string& sql, double seconds, int asking = coroutines, bool slow = false) {
    stop_ = false;
    std::uint64_t done = 0;
    const auto rethrow = [](const std::exception_ptr& failure) {
      if (failure) std::rethrow_exception(failure);
    };
    for (int i = 0; i < asking; ++i) asio::co_spawn(loop_, ask(sql, ++seed_, done), rethrow);
    if (slow) asio::co_spawn(loop_, ask_slow(), rethrow);
    const auto step = std::chrono::milliseconds(static_cast<int>(seconds * 1000));
    run_loop(step / 10);
    const std::uint64_t before = done;
    const TimePoint began = Clock::now();
    waits_.clear();
    run_loop(step);
    const double took = std::chrono::duration<double>(Clock::now() - began).count();
    const double rate = static_cast<double>(done - before) / took;
    stop_ = true;
    while (asking_ > 0) loop_.run_one();
    return rate;
  }
  sql::Database& database() { return *db_; }
  // Runs the coroutine to its end.
  template <class Result>
  Result finish(awaitable<Result> work) {
    std::optional<Result> result;
    const auto keep_result = [&result](const std::exception_ptr& failure, Result found) {
      if (failure) std::rethrow_exception(failure);
      result = std::move(found);
    };
    asio::co_spawn(loop_, std::move(work), keep_result);
    while (!result) loop_.run_one();
    return std::move(*result);
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
  // As a worker does. run_for() would read the clock for each handler.
  void run_loop(Duration how_long) {
    asio::steady_timer end(loop_, how_long);
    end.async_wait([this](const error_code&) { loop_.stop(); });
    loop_.run();
    loop_.restart();
  }
  awaitable<void> ask(std::string sql, unsigned seed, std::uint64_t& done) {
    const Here here(asking_);
    std::minstd_rand random(seed);
    while (!stop_) {
      const int id = 1 + static_cast<int>(random() % static_cast<unsigned>(numbers_));
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
  int numbers_;
};

}  // namespace sluice::bench
