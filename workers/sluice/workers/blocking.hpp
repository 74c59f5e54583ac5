// A worker for code that blocks: ordinary threads, and a synchronous face of the same pools.
//
//   class Reports : public sluice::BlockingWorker {
//     void work(sluice::BlockingContext& context) override {
//       auto db = context.sql("main");
//       while (!context.stopping()) { for (auto row : db.query("SELECT …", 7)) …; context.sleep(1s); }
//     }
//   };
//
// work() runs on each of `threads()` threads. A pool is a loop's own, so every call of workers/blocking_sql.hpp is carried out by the
// worker's loop while the thread waits. work() should return soon after stopping() becomes true: sleeps and waits for notifications
// end then, calls that still wait fail with sluice::Error once the drain's deadline has passed. An exception from work() ends this
// life of the worker (restarted with backoff); so does the end of all threads without being asked.
// Threads are blocked from signals. A thread that never returns holds up the end of its process until it is killed.
#pragma once

#include <sluice/runtime/worker.hpp>
#include <sluice/workers/blocking_sql.hpp>

#include <exception>
#include <memory>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace sluice {

// What a thread of a BlockingWorker is given.
class BlockingContext {
 public:
  BlockingContext(std::shared_ptr<blocking::Calls> calls, WorkerContext& context, unsigned thread) noexcept
      : calls_(std::move(calls)), context_(&context), thread_(thread) {}
  unsigned thread() const noexcept { return thread_; }  // from 0
  const config::Config& config() const noexcept { return context_->config(); }
  bool stopping() const { return calls_->stopping(); }
  // False: asked to stop, before the time was over or already. Throws sluice::Error on the worker's own loop.
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
