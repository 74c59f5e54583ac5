// A worker that takes jobs out of a table: claims some, performs each outside of any transaction, marks it done.
//
// Guarantees: a job that was committed is performed at least once and marked done (or dead) exactly once, whatever is killed when; at
// most one worker at a time believes that it holds the job. Performed twice it may be, if its worker dies between the effect
// and the mark: so the effect should know the job's id (an idempotency key), which makes it once. A failed job is tried again after a
// growing, random wait; after `attempts` claims it is dead: it stays in the table with its last error. Jobs come in no strict order.
//
// The table has, beside what the application wants, the columns of queue_columns(): it may be an outbox, written in the same
// transaction as what the job is about. Claims are FOR UPDATE SKIP LOCKED on PostgreSQL and MySQL, one writing statement on SQLite. While the
// database is away the worker waits for it. Users of the class: on the worker's loop only.
//
// An empty queue is looked at every `poll`, and at once when wake() is called. With a `channel` (PostgreSQL's LISTEN/NOTIFY) a notification does
// that. Polling goes on, for notifications are lost while nobody listens; so a lost listening session costs time, never a job.
#pragma once

#include <sluice/runtime/worker.hpp>

#include <boost/asio/cancellation_signal.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace sluice {

struct Job {
  std::int64_t id = 0;
  std::string topic;
  std::string payload;
  unsigned attempt = 1;  // which try this is
};

struct QueueOptions {
  std::string pool = "main";
  std::string table = "outbox";
  unsigned concurrency = 4;     // jobs at a time in one worker
  Duration claim = 30s;         // a job whose worker died is taken up by another one after this; renewed while it is performed
  Duration poll = 500ms;        // how often an empty queue is looked at
  unsigned attempts = 10;       // claims before a job is dead
  Duration backoff_min = 1s;    // the longest first wait after a failure; it doubles, …
  Duration backoff_max = 5min;  // … up to this; the wait itself is a random part of it, a half at least
  // A NOTIFY on it makes the worker look at once. It costs a connection of the pool for itself; where the worker may hold one only, or the
  // database has no LISTEN, it is not listened to, and the log says so. "": none.
  std::string channel = {};
};

// Thrown by perform(): trying again would be of no use; the job is dead at once.
class DeadJob : public Error {
 public:
  using Error::Error;
};

// How long a job waits after its try number `attempt` (from 1) has failed: from half of min(backoff_min × 2^(attempt − 1), backoff_max)
// to all of it, by `random`, any number.
Duration queue_backoff(const QueueOptions& options, unsigned attempt, std::uint64_t random) noexcept;

// For CREATE TABLE: the columns that a queue needs beside its own, each with its default, so that writers need not name them.
// Times are milliseconds since 1970 by the database's clock.
//   attempts, run_at (when it is due; while it is claimed: when the claim ends), done_at, dead_at (NULL: not), last_error
std::string queue_columns(sql::Dialect dialect);

class QueueWorker : public Worker {
 public:
  static constexpr std::string_view kind = "jobs";
  static constexpr int default_workers = 0;

  // The job's effect. Throws: it failed and is tried again (or DeadJob). At most `claim` without turning the loop, or the claim is lost.
  virtual awaitable<void> perform(Job job) = 0;
  // Asked once, when the worker starts.
  virtual QueueOptions options() { return {}; }

  awaitable<void> start() override;
  awaitable<void> run() override;
  // Takes no more jobs and waits for those that are being performed; what is not done by the deadline is taken up by others.
  awaitable<void> drain(Deadline deadline) override;

  // Looks at the queue now instead of after `poll`, e.g. because a notification came. If it looks already: once more after that.
  void wake() noexcept;

 private:
  struct Performed;
  awaitable<std::vector<Job>> claim(unsigned most);
  awaitable<void> serve(Job job);
  awaitable<void> settle(const Job& job, const Performed& performed);
  awaitable<void> keep_claim(Job job, std::shared_ptr<bool> over);
  awaitable<void> idle(Duration longest);
  // queue_channel.cpp
  void start_listening();
  awaitable<void> stop_listening_when_draining();
  awaitable<void> listen();
  awaitable<void> look_on_notifications();
  bool may_listen();
  sql::Database& db() { return context().sql(options_.pool); }

  QueueOptions options_;
  std::string now_;  // the database's clock, in its words
  unsigned in_flight_ = 0;
  bool stopping_ = false;
  bool woken_ = false;  // since it last began to wait
  bool listening_ = false;
  asio::cancellation_signal stop_listening_;
  std::unique_ptr<asio::steady_timer> timer_;
};

}  // namespace sluice
