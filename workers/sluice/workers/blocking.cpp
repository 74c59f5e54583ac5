#include <sluice/workers/blocking.hpp>

#include <sluice/core/log.hpp>
#include <sluice/core/task.hpp>
#include <sluice/core/text.hpp>

#include <pthread.h>
#include <algorithm>
#include <csignal>
#include <string>

namespace sluice {

BlockingDatabase BlockingContext::sql(std::string_view name) {
  const auto find = [](WorkerContext* context, std::string name_copy) -> awaitable<sql::Database*> { co_return &context->sql(name_copy); };
  sql::Database* db = calls_->run([context = context_, found = std::string(name), find] { return find(context, found); });
  return BlockingDatabase(calls_, *db);
}

namespace {

// Also when the worker is asked to stop fast, where drain() is not called.
awaitable<void> stop_when_asked(WorkerContext* context, std::shared_ptr<blocking::Calls> calls) {
  co_await context->until_draining();
  calls->stop();
}

}  // namespace

awaitable<void> BlockingWorker::run() {
  calls_ = std::make_shared<blocking::Calls>(context().loop());
  asio::co_spawn(context().loop(), stop_when_asked(&context(), calls_), [](std::exception_ptr) {});  // it waits and cannot fail
  ended_ = std::make_unique<asio::steady_timer>(context().loop(), TimePoint::max());
  alive_ = std::max(threads(), 1u);
  {
    // Signals are the main thread's affair.
    sigset_t all, before;
    sigfillset(&all);
    for (const int crash : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) sigdelset(&all, crash);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    for (unsigned i = 0; i < alive_; ++i) threads_.emplace_back([this, i] { one(i); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  while (alive_ > 0 && !error_) {
    error_code ignored;
    co_await ended_->async_wait(asio::redirect_error(use_awaitable, ignored));
  }
  if (error_) {
    calls_->stop();
    std::rethrow_exception(std::exchange(error_, nullptr));
  }
  if (!context().draining()) throw Error("every thread's work() has returned, though nobody asked for it");
}

void BlockingWorker::one(unsigned number) {
  std::exception_ptr error;
  try {
    const task::Scope thread(new_task());  // a thread's calls are one task
    BlockingContext context(calls_, this->context(), number);
    work(context);
  } catch (...) {
    error = std::current_exception();
  }
  // The error goes with it: the loop is the only one to look at it, and to destroy it.
  calls_->post([this, error = std::move(error)]() mutable {
    --alive_;
    if (error && !calls_->stopping()) error_ = std::move(error);
    ended_->cancel();
  });
}

awaitable<void> BlockingWorker::drain(Deadline deadline) {
  if (!calls_) co_return;
  calls_->stop();
  asio::steady_timer poll(context().loop());
  while (alive_ > 0 && !deadline.passed(Clock::now())) {
    poll.expires_after(2ms);
    co_await poll.async_wait(use_awaitable);
  }
  calls_->close();
  if (alive_ > 0) log::warning(text(alive_, " threads did not end by the deadline"));
}

// Here and not in the destructor: work() belongs to a derived class, which would be gone by then.
void BlockingWorker::ended() noexcept {
  if (calls_) calls_->close();
  for (std::thread& thread : threads_)
    if (thread.joinable()) thread.join();
  threads_.clear();
  if (calls_) calls_->end();
}

}  // namespace sluice
