#include <sluice/workers/blocking.hpp>

#include <sluice/core/log.hpp>
#include <sluice/core/text.hpp>

#include <pthread.h>
#include <algorithm>
#include <csignal>
#include <new>

namespace sluice {
namespace blocking {

std::shared_ptr<Calls> Calls::make(asio::io_context& loop) {
  auto calls = std::make_shared<Calls>(loop);
  calls->self_ = calls;
  return calls;
}

void Calls::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  changed_.notify_all();
}

void Calls::close() {
  const std::lock_guard lock(mutex_);
  stopping_ = closed_ = true;
  changed_.notify_all();
}

bool Calls::stopping() const {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

bool Calls::sleep(Duration time) {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, time, [&] { return stopping_; });
}

}  // namespace blocking

namespace {

// Coroutines by value: they outlive the call that is given up.
awaitable<sql::Rows> query_on(sql::Database* db, sql::Statement statement, std::optional<Within> limit) {
  sql::Rows rows = co_await db->run(std::move(statement), limit);
  co_return rows;
}

awaitable<std::shared_ptr<sql::Transaction>> begin_on(sql::Database* db, sql::TransactionOptions options) {
  sql::Transaction transaction = co_await db->begin(options);
  co_return std::make_shared<sql::Transaction>(std::move(transaction));
}

awaitable<sql::Rows> query_in(std::shared_ptr<sql::Transaction> transaction, sql::Statement statement) {
  sql::Rows rows = co_await transaction->run(std::move(statement));
  co_return rows;
}

awaitable<void> commit_in(std::shared_ptr<sql::Transaction> transaction) { co_await transaction->commit(); }
awaitable<void> rollback_in(std::shared_ptr<sql::Transaction> transaction) { co_await transaction->rollback(); }

}  // namespace

sql::Rows BlockingDatabase::run(sql::Statement statement, std::optional<Within> limit) {
  return calls_->run([db = db_, statement = std::move(statement), limit]() mutable { return query_on(db, std::move(statement), limit); });
}

BlockingTransaction BlockingDatabase::begin(sql::TransactionOptions options) {
  std::shared_ptr<sql::Transaction> transaction = calls_->run([db = db_, options] { return begin_on(db, options); });
  return BlockingTransaction(calls_, std::move(transaction));
}

sql::Rows BlockingTransaction::run(sql::Statement statement) {
  if (!transaction_) throw Error("the transaction is over: it was committed, rolled back or moved from");
  return calls_->run(
      [transaction = transaction_, statement = std::move(statement)]() mutable { return query_in(transaction, std::move(statement)); });
}

void BlockingTransaction::commit() {
  if (!transaction_) throw Error("the transaction is over: it was committed, rolled back or moved from");
  calls_->run([transaction = transaction_] { return commit_in(transaction); });
}

void BlockingTransaction::rollback() {
  if (!transaction_) throw Error("the transaction is over: it was committed, rolled back or moved from");
  calls_->run([transaction = transaction_] { return rollback_in(transaction); });
}

void BlockingTransaction::give_back() noexcept {
  if (!transaction_) return;
  // What the lambda holds is given up on the loop. If the loop takes nothing any more, the transaction must not end on this thread
  // either: it is left to the end of the process.
  auto* const held = new (std::nothrow) std::shared_ptr<sql::Transaction>(std::move(transaction_));
  if (held) calls_->post([held] { delete held; });
}

BlockingDatabase BlockingContext::sql(std::string_view name) {
  const auto find = [](WorkerContext* context, std::string name_copy) -> awaitable<sql::Database*> { co_return &context->sql(name_copy); };
  sql::Database* db = calls_->run([context = context_, found = std::string(name), find] { return find(context, found); });
  return BlockingDatabase(calls_, *db);
}

awaitable<void> BlockingWorker::run() {
  calls_ = blocking::Calls::make(context().loop());
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
}

}  // namespace sluice
