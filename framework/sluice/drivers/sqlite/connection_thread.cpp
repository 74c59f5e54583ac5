#include <sluice/drivers/sqlite/connection_thread.hpp>
#include <sluice/drivers/sqlite/thread_event.hpp>

#include <pthread.h>
#include <atomic>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

namespace sluice::sqlite {
namespace {

// A thread that does not answer this long after a deadline hangs in the file system.
constexpr Duration grace = 5s;

constexpr std::size_t writes_at_once = 256;

TimePoint with_grace(Deadline deadline) noexcept { return deadline.is_never() ? TimePoint::max() : deadline.at + grace; }

// Signals are the main thread's affair, except those that report a thread's own crash.
class SignalsBlocked {
 public:
  SignalsBlocked() noexcept {
    sigset_t all;
    sigfillset(&all);
    for (int crash : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) sigdelset(&all, crash);
    pthread_sigmask(SIG_BLOCK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

}  // namespace

struct ConnectionThread::Job {
  Job(Work w, Deadline deadline, const asio::any_io_executor& executor) : work(std::move(w)), stop(deadline), done(executor, with_grace(deadline)) {}
  Work work;
  std::shared_ptr<const sql::Statement> write;  // instead of work
  std::shared_ptr<sql::Rows> rows;
  Stop stop;
  std::exception_ptr error;  // written before `done`
  ThreadEvent done;
};

struct ConnectionThread::Shared {
  explicit Shared(std::unique_ptr<Handle> h) : handle(std::move(h)), gate(handle->gate()) {}
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::shared_ptr<Job>> jobs;  // the thread works on the first one
  bool ending = false;
  std::shared_ptr<ThreadEvent> closed;
  const std::unique_ptr<Handle> handle;  // the thread's own
  const std::shared_ptr<WriterGate> gate;
  std::atomic<bool> in_transaction{false}, altered{false}, broken{false};
};

// While it lives, somebody waits for the job. Afterwards the job is cancelled if it is not done.
class ConnectionThread::Waiting {
 public:
  Waiting(std::shared_ptr<Shared> shared, std::shared_ptr<Job> job) noexcept : shared_(std::move(shared)), job_(std::move(job)) {}
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  ~Waiting() {
    job_->done.forget();
    if (job_->done.has_happened()) return;
    job_->stop.cancelled = true;
    shared_->gate->wake();
  }

 private:
  std::shared_ptr<Shared> shared_;
  std::shared_ptr<Job> job_;
};

ConnectionThread::ConnectionThread(std::unique_ptr<Handle> handle) : shared_(std::make_shared<Shared>(std::move(handle))) {
  const SignalsBlocked blocked;
  thread_ = std::thread([shared = shared_] { serve(shared); });
}

void ConnectionThread::perform_work(Handle& handle, Job& job) noexcept {
  try {
    job.work(handle, job.stop);
  } catch (...) {
    job.error = std::current_exception();
  }
}

void ConnectionThread::perform_writes(Handle& handle, const std::vector<std::shared_ptr<Job>>& jobs) {
  std::vector<Handle::Write> writes;
  std::vector<Handle::Write*> pointers;
  writes.reserve(jobs.size());
  for (const auto& job : jobs) pointers.push_back(&writes.emplace_back(Handle::Write{*job->write, job->stop}));
  try {
    handle.run_together(pointers);
  } catch (...) {
    for (Handle::Write& write : writes)
      if (!write.error) write.error = std::current_exception();
  }
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    jobs[i]->error = std::move(writes[i].error);
    *jobs[i]->rows = std::move(writes[i].rows);
  }
}

void ConnectionThread::serve(const std::shared_ptr<Shared>& shared) {
  pthread_setname_np(pthread_self(), "sqlite");
  std::unique_lock lock(shared->mutex);
  for (;;) {
    shared->changed.wait(lock, [&] { return shared->ending || !shared->jobs.empty(); });
    if (shared->jobs.empty()) break;
    // Writes that wait side by side are performed together; they stay in the queue, where end() finds them.
    std::vector<std::shared_ptr<Job>> batch{shared->jobs.front()};
    if (batch[0]->write)
      for (std::size_t i = 1; i < shared->jobs.size() && i < writes_at_once && shared->jobs[i]->write; ++i) batch.push_back(shared->jobs[i]);
    lock.unlock();
    if (batch[0]->write)
      perform_writes(*shared->handle, batch);
    else
      perform_work(*shared->handle, *batch[0]);
    shared->in_transaction = shared->handle->in_transaction();
    shared->altered = shared->handle->altered();
    shared->broken = shared->handle->broken();
    lock.lock();
    for (const auto& job : batch) {
      shared->jobs.pop_front();
      job->done.happened();
    }
  }
  lock.unlock();
  shared->handle->close();
  lock.lock();
  if (shared->closed) shared->closed->happened();
}

awaitable<ConnectionThread::Answer> ConnectionThread::perform(Work work, Deadline deadline) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  auto job = std::make_shared<Job>(std::move(work), deadline, executor);
  Answer answer = co_await wait_for(std::move(job));
  co_return answer;
}

awaitable<ConnectionThread::Answer> ConnectionThread::perform_write(std::shared_ptr<const sql::Statement> write, std::shared_ptr<sql::Rows> rows,
                                                                    Deadline deadline) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  auto job = std::make_shared<Job>(Work(), deadline, executor);
  job->write = std::move(write);
  job->rows = std::move(rows);
  Answer answer = co_await wait_for(std::move(job));
  co_return answer;
}

awaitable<ConnectionThread::Answer> ConnectionThread::wait_for(std::shared_ptr<Job> job) {
  const Waiting waiting(shared_, job);
  {
    std::lock_guard lock(shared_->mutex);
    if (shared_->ending) throw Error("the SQLite connection is closing");
    shared_->jobs.push_back(job);
  }
  shared_->changed.notify_one();
  Answer answer;
  answer.came = co_await job->done.wait();
  if (answer.came) answer.error = std::exchange(job->error, nullptr);
  co_return answer;
}

void ConnectionThread::end(std::shared_ptr<ThreadEvent> closed) noexcept {
  {
    std::lock_guard lock(shared_->mutex);
    shared_->ending = true;
    shared_->closed = std::move(closed);
    for (const auto& job : shared_->jobs) job->stop.cancelled = true;
  }
  shared_->gate->wake();
  shared_->changed.notify_one();
}

void ConnectionThread::interrupt() noexcept {
  {
    std::lock_guard lock(shared_->mutex);
    for (const auto& job : shared_->jobs) job->stop.cancelled = true;
  }
  shared_->gate->wake();
}

awaitable<bool> ConnectionThread::close(Deadline deadline) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const auto closed = std::make_shared<ThreadEvent>(executor, deadline.at);
  struct Forget {
    std::shared_ptr<ThreadEvent> event;
    ~Forget() { event->forget(); }
  } const forget{closed};
  end(closed);
  const bool ended = co_await closed->wait();
  if (ended) thread_.join();  // it has nothing left to do but return
  co_return ended;
}

ConnectionThread::~ConnectionThread() {
  if (!thread_.joinable()) return;
  end(nullptr);
  thread_.detach();
}

bool ConnectionThread::in_transaction() const noexcept { return shared_->in_transaction; }
bool ConnectionThread::altered() const noexcept { return shared_->altered; }
bool ConnectionThread::broken() const noexcept { return shared_->broken; }

}  // namespace sluice::sqlite
