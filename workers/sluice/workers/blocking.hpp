// A worker for code that blocks: ordinary threads, and a synchronous face of the same pools.
//
//   class Reports : public sluice::BlockingWorker {
//     void work(sluice::BlockingContext& context) override {
//       auto db = context.sql("main");
//       while (!context.stopping()) { for (auto row : db.query("SELECT …", 7)) …; context.sleep(1s); }
//     }
//   };
//
// work() runs on each of `threads()` threads. A pool is a loop's own, so every call here is carried out by the worker's loop while
// the thread waits; the calls may be made from any of these threads, and results (Rows) be used on any. work() should return soon after
// stopping() becomes true: calls that wait then fail with sluice::Error once the drain's deadline has passed. An exception from
// work() ends this life of the worker (restarted with backoff); so does the end of all threads without being asked.
// Threads are blocked from signals. A thread that never returns holds up the end of its process until it is killed.
#pragma once

#include <sluice/core/task.hpp>
#include <sluice/runtime/worker.hpp>

#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace sluice {

namespace blocking {

// What threads wait in. Closed, it makes everybody's wait end with an error.
class Calls {
 public:
  explicit Calls(asio::io_context& loop) : loop_(loop) {}
  // Runs `make()` and what it returns on the loop, and waits for the result. From a thread that is not the loop's.
  template <class Make>
  auto run(Make make) -> typename std::invoke_result_t<Make&>::value_type {
    using Result = typename std::invoke_result_t<Make&>::value_type;
    const auto answer = std::make_shared<Answer<Result>>();
    std::unique_lock lock(mutex_);
    const TaskExecutor executor(loop_.get_executor(), current_task());
    if (!closed_) asio::co_spawn(executor, carry_out(std::move(make), answer, self()), [](std::exception_ptr) {});
    changed_.wait(lock, [&] { return answer->done || closed_; });
    if (!answer->done) throw Error("the worker is ending: this call was given up");
    if (answer->error) std::rethrow_exception(std::exchange(answer->error, nullptr));
    if constexpr (!std::is_void_v<Result>) return std::move(*answer->value);
  }
  // False: nobody is served any more, and `work` was not taken.
  template <class Work>
  bool post(Work&& work) {
    const std::lock_guard lock(mutex_);
    if (!closed_) asio::post(loop_, std::forward<Work>(work));
    return !closed_;
  }

  void stop();   // stopping() becomes true
  void close();  // …, and waits end
  bool stopping() const;
  bool sleep(Duration time);  // false: asked to stop
  static std::shared_ptr<Calls> make(asio::io_context& loop);

 private:
  struct Nothing {};
  template <class Result>
  struct Answer {
    std::optional<std::conditional_t<std::is_void_v<Result>, Nothing, Result>> value;
    std::exception_ptr error;
    bool done = false;
  };
  template <class Make, class Result>
  static awaitable<void> carry_out(Make make, std::shared_ptr<Answer<Result>> answer, std::shared_ptr<Calls> calls) {
    std::optional<std::conditional_t<std::is_void_v<Result>, Nothing, Result>> value;
    std::exception_ptr error;
    try {
      if constexpr (std::is_void_v<Result>) {
        co_await make();
        value.emplace();
      } else {
        value = co_await make();
      }
    } catch (...) {
      error = std::current_exception();
    }
    const std::lock_guard lock(calls->mutex_);
    answer->value = std::move(value);
    answer->error = std::move(error);
    answer->done = true;
    calls->changed_.notify_all();
  }
  std::shared_ptr<Calls> self() const { return self_.lock(); }

  asio::io_context& loop_;
  std::weak_ptr<Calls> self_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  bool closed_ = false;
};

}  // namespace blocking

// A transaction of one thread at a time. Rolls back unless committed.
class BlockingTransaction {
 public:
  BlockingTransaction(std::shared_ptr<blocking::Calls> calls, std::shared_ptr<sql::Transaction> transaction) noexcept
      : calls_(std::move(calls)), transaction_(std::move(transaction)) {}
  BlockingTransaction(BlockingTransaction&&) noexcept = default;
  ~BlockingTransaction() { give_back(); }

  template <class... Args>
  sql::Rows query(std::string_view sql, const Args&... args) {
    return run(sql::make_statement(sql, args...));
  }
  template <class... Args>
  std::uint64_t execute(std::string_view sql, const Args&... args) {
    return run(sql::make_statement(sql, args...)).affected();
  }
  void commit();
  void rollback();

 private:
  sql::Rows run(sql::Statement statement);
  void give_back() noexcept;  // on the loop: the connection is the loop's
  std::shared_ptr<blocking::Calls> calls_;
  std::shared_ptr<sql::Transaction> transaction_;
};

// The synchronous face of an sql::Database; see there for times and errors. Copies are cheap; any thread of the worker.
class BlockingDatabase {
 public:
  BlockingDatabase(std::shared_ptr<blocking::Calls> calls, sql::Database& db) noexcept : calls_(std::move(calls)), db_(&db) {}

  template <class... Args>
  sql::Rows query(std::string_view sql, const Args&... args) {
    return run(sql::make_statement(sql, args...), std::nullopt);
  }
  template <class... Args>
  sql::Rows query(Within limit, std::string_view sql, const Args&... args) {
    return run(sql::make_statement(sql, args...), limit);
  }
  template <class... Args>
  std::uint64_t execute(std::string_view sql, const Args&... args) {
    return run(sql::make_statement(sql, args...), std::nullopt).affected();
  }
  BlockingTransaction begin(sql::TransactionOptions options = {});

 private:
  sql::Rows run(sql::Statement statement, std::optional<Within> limit);
  std::shared_ptr<blocking::Calls> calls_;
  sql::Database* db_;
};

// What a thread of a BlockingWorker is given.
class BlockingContext {
 public:
  BlockingContext(std::shared_ptr<blocking::Calls> calls, WorkerContext& context, unsigned thread) noexcept
      : calls_(std::move(calls)), context_(&context), thread_(thread) {}
  unsigned thread() const noexcept { return thread_; }  // from 0
  const config::Config& config() const noexcept { return context_->config(); }
  bool stopping() const { return calls_->stopping(); }
  // False: asked to stop, before the time was over or already.
  bool sleep(Duration time) { return calls_->sleep(time); }
  // Throws sluice::Error as WorkerContext::sql() does.
  BlockingDatabase sql(std::string_view name);

 private:
  std::shared_ptr<blocking::Calls> calls_;
  WorkerContext* context_;
  unsigned thread_;
};

class BlockingWorker : public Worker {
 public:
  static constexpr std::string_view kind = "blocking";

  // On each thread. Returns when its work is done or context.stopping().
  virtual void work(BlockingContext& context) = 0;
  virtual unsigned threads() { return 4; }

  awaitable<void> run() override;
  awaitable<void> drain(Deadline deadline) override;
  // Gives up the calls that threads still wait for, and waits for the threads.
  void ended() noexcept override;

 private:
  void one(unsigned number);

  std::shared_ptr<blocking::Calls> calls_;
  std::unique_ptr<asio::steady_timer> ended_;  // cancelled on the loop by each thread's end
  std::vector<std::thread> threads_;
  unsigned alive_ = 0;        // the loop's
  std::exception_ptr error_;  // the loop's
};

}  // namespace sluice
