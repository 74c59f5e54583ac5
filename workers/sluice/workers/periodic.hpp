// A worker that does things at intervals.
//
//   class Nightly : public sluice::PeriodicWorker {
//     void tasks() override { every(1h, &Nightly::clean_up); }
//     sluice::awaitable<void> clean_up();
//   };
//
// A task never overlaps itself: a run that takes longer than its interval lets the missed ones go. The first run comes after a
// random part of the interval, so that the workers of a fleet spread. An exception is logged, and the task runs again at its time.
// Draining waits for what runs. With several workers each runs its tasks: use one (`--workers cron=1`), or a lock in the database.
#pragma once

#include <sluice/runtime/worker.hpp>

#include <functional>
#include <list>
#include <optional>

namespace sluice {

class PeriodicWorker : public Worker {
 public:
  static constexpr std::string_view kind = "periodic";

  // Called once before anything runs: declare tasks with every().
  virtual void tasks() = 0;

  awaitable<void> run() override;
  awaitable<void> drain(Deadline deadline) override;

 protected:
  // `first`: when the first run comes; absent: after a random part of the interval.
  template <class W>
  void every(Duration interval, awaitable<void> (W::*task)(), std::optional<Duration> first = {}) {
    W* self = static_cast<W*>(this);
    add_task(
        interval, [self, task] { return (self->*task)(); }, first);
  }
  void add_task(Duration interval, std::function<awaitable<void>()> task, std::optional<Duration> first);

 private:
  struct Task {
    Duration interval;
    std::function<awaitable<void>()> run;
    TimePoint next;
  };
  awaitable<void> repeat(Task& task);

  std::list<Task> tasks_;
  std::list<asio::steady_timer*> sleeping_;
  std::size_t running_ = 0;
  bool stopping_ = false;
};

}  // namespace sluice
