#include <sluice/workers/periodic.hpp>

#include <sluice/core/log.hpp>
#include <sluice/core/task.hpp>
#include <sluice/core/text.hpp>

#include <random>
#include <utility>

namespace sluice {

void PeriodicWorker::add_task(Duration interval, std::function<awaitable<void>()> task, std::optional<Duration> first) {
  if (interval <= Duration::zero()) throw Error("a periodic task's interval must be longer than nothing");
  static thread_local std::mt19937_64 random(std::random_device{}());
  const Duration wait = first ? *first : Duration(static_cast<Duration::rep>(random() % static_cast<std::uint64_t>(interval.count())));
  tasks_.push_back(Task{interval, std::move(task), Clock::now() + wait});
}

awaitable<void> PeriodicWorker::run() {
  tasks();
  for (Task& task : tasks_) {
    ++running_;
    asio::co_spawn(task_executor(context().loop().get_executor()), repeat(task), [this](std::exception_ptr error) {
      --running_;
      if (error) log::error("a periodic task's timer failed");
    });
  }
  co_await context().until_draining();
}

awaitable<void> PeriodicWorker::repeat(Task& task) {
  while (!stopping_) {
    asio::steady_timer timer(context().loop(), task.next);
    const auto place = sleeping_.insert(sleeping_.end(), &timer);
    error_code ignored;
    co_await timer.async_wait(asio::redirect_error(use_awaitable, ignored));
    sleeping_.erase(place);
    if (stopping_) break;
    std::string failed;
    try {
      co_await task.run();
    } catch (const std::exception& e) {
      failed = e.what();
    }
    if (!failed.empty()) log::error(text("a periodic task failed: ", failed));
    // The next of its own instants that is still to come.
    const TimePoint now = Clock::now();
    task.next += task.interval * (now < task.next ? 1 : (now - task.next) / task.interval + 1);
  }
}

awaitable<void> PeriodicWorker::drain(Deadline deadline) {
  stopping_ = true;
  for (asio::steady_timer* timer : sleeping_) timer->cancel();
  asio::steady_timer poll(context().loop());
  while (running_ > 0 && !deadline.passed(Clock::now())) {
    poll.expires_after(2ms);
    co_await poll.async_wait(use_awaitable);
  }
  if (running_ > 0) log::warning("a periodic task did not end by the deadline");
}

}  // namespace sluice
