#include <sluice/workers/queue.hpp>

#include <sluice/core/log.hpp>
#include <sluice/core/task.hpp>
#include <sluice/core/text.hpp>

#include <algorithm>
#include <optional>
#include <random>
#include <utility>

namespace sluice {
namespace {

constexpr std::size_t longest_error = 500;

const char* clock_of(sql::Dialect dialect) {
  switch (dialect) {
    case sql::Dialect::postgres: return "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";
    case sql::Dialect::mysql: return "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)";
    case sql::Dialect::sqlite: break;
  }
  return "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)";
}

std::uint64_t random_number() {
  static thread_local std::mt19937_64 random(std::random_device{}());
  return random();
}

Job job_of(const sql::Row& row) {
  Job job;
  job.id = row["id"].as<std::int64_t>();
  job.topic = row["topic"].as<std::string>();
  job.payload = row["payload"].as<std::string>();
  job.attempt = row["attempts"].as<unsigned>();
  return job;
}

}  // namespace

// What became of a job.
struct QueueWorker::Performed {
  bool well = false;
  bool dead = false;
  std::string error;
};

std::string queue_columns(sql::Dialect dialect) {
  const char* text_type = dialect == sql::Dialect::mysql ? "varchar(500)" : "text";
  return text("attempts integer NOT NULL DEFAULT 0, run_at bigint NOT NULL DEFAULT 0, done_at bigint, dead_at bigint, last_error ", text_type);
}

Duration queue_backoff(const QueueOptions& options, unsigned attempt, std::uint64_t random) noexcept {
  Duration whole = options.backoff_min;
  for (unsigned i = 1; i < attempt && whole < options.backoff_max; ++i) whole += std::min(whole, options.backoff_max - whole);
  whole = std::min(whole, options.backoff_max);
  const Duration half = whole / 2;
  return half + Duration(static_cast<Duration::rep>(random % static_cast<std::uint64_t>((whole - half).count() + 1)));
}

awaitable<void> QueueWorker::start() {
  options_ = options();
  timer_ = std::make_unique<asio::steady_timer>(context().loop(), TimePoint::max());
  now_ = clock_of(db().dialect());
  co_return;
}

void QueueWorker::wake() noexcept {
  woken_ = true;
  if (timer_) timer_->cancel();
}

awaitable<void> QueueWorker::idle(Duration longest) {
  if (!woken_) {
    timer_->expires_after(longest);
    error_code ignored;
    co_await timer_->async_wait(asio::redirect_error(use_awaitable, ignored));
  }
  woken_ = false;
}

awaitable<void> QueueWorker::run() {
  start_listening();
  while (!stopping_) {
    if (in_flight_ >= options_.concurrency) {
      co_await idle(options_.poll);
      continue;
    }
    std::vector<Job> jobs;
    std::string away;
    try {
      jobs = co_await claim(options_.concurrency - in_flight_);
    } catch (const Error& e) {  // PoolError, SqlError, TimedOut: the database is away or busy
      away = e.what();
    }
    if (!away.empty()) log::warning(text("queue ", options_.table, ": cannot claim: ", away));
    for (Job& job : jobs) {
      ++in_flight_;
      asio::co_spawn(task_executor(context().loop().get_executor()), serve(std::move(job)), [this](std::exception_ptr error) {
        --in_flight_;
        wake();
        if (!error) return;
        try {
          std::rethrow_exception(error);
        } catch (const std::exception& e) {
          log::error(text("queue ", options_.table, ": ", e.what()));
        }
      });
    }
    // A random part of the poll more, so that many workers do not ask at the same moment.
    if (jobs.empty()) co_await idle(options_.poll + options_.poll * static_cast<int>(random_number() % 256) / 1024);
  }
  while (in_flight_ > 0 || listening_) co_await idle(1s);
  co_await context().until_draining();
}

awaitable<void> QueueWorker::drain(Deadline deadline) {
  stopping_ = true;
  wake();
  asio::steady_timer poll(context().loop());
  while (in_flight_ > 0 && !deadline.passed(Clock::now())) {
    poll.expires_after(5ms);
    co_await poll.async_wait(use_awaitable);
  }
  if (in_flight_ > 0) log::warning(text("queue ", options_.table, ": ", in_flight_, " jobs were not done by the deadline; others will take them up"));
}

awaitable<std::vector<Job>> QueueWorker::claim(unsigned most) {
  const std::int64_t lease = to_millis(options_.claim);
  const std::string due =
      text("SELECT id FROM ", options_.table, " WHERE done_at IS NULL AND dead_at IS NULL AND run_at <= ", now_, " ORDER BY run_at, id LIMIT $1");
  std::vector<Job> jobs;
  if (db().dialect() == sql::Dialect::mysql) {
    sql::Transaction transaction = co_await db().begin();
    const std::string select =
        text("SELECT id, topic, payload, attempts + 1 AS attempts FROM ", options_.table,
             " WHERE done_at IS NULL AND dead_at IS NULL AND run_at <= ", now_, " ORDER BY run_at, id LIMIT $1 FOR UPDATE SKIP LOCKED");
    const sql::Rows rows = co_await transaction.query(select, most);
    const std::string update = text("UPDATE ", options_.table, " SET attempts = attempts + 1, run_at = ", now_, " + $2 WHERE id = $1");
    for (const sql::Row& row : rows) {
      jobs.push_back(job_of(row));
      co_await transaction.execute(update, jobs.back().id, lease);
    }
    co_await transaction.commit();
    co_return jobs;
  }
  const std::string set = text(" SET attempts = attempts + 1, run_at = ", now_, " + $2 ");
  const std::string returning = " RETURNING id, topic, payload, attempts";
  std::string sql;
  if (db().dialect() == sql::Dialect::postgres) {
    // Materialized: the rows are chosen and locked once, whatever the plan.
    sql = text("WITH due AS MATERIALIZED (", due, " FOR UPDATE SKIP LOCKED) UPDATE ", options_.table, set, "WHERE id IN (SELECT id FROM due)",
               returning);
  } else {
    sql = text("UPDATE ", options_.table, set, "WHERE id IN (", due, ")", returning);  // one writer at a time: nobody else can choose them too
  }
  const sql::Rows rows = co_await db().query(sql, most, lease);
  for (const sql::Row& row : rows) jobs.push_back(job_of(row));
  co_return jobs;
}

awaitable<void> QueueWorker::serve(Job job) {
  Performed performed;
  if (job.attempt > options_.attempts) {
    performed.dead = true;
    performed.error = text("claimed ", options_.attempts, " times without an end: its workers died or lost it");
  } else {
    const auto over = std::make_shared<bool>(false);
    // On no task: the job does not wait for it, whatever the job holds.
    asio::co_spawn(context().loop(), keep_claim(job, over),
                   [](std::exception_ptr) {});  // a claim that is not renewed runs out: no harm but a second try
    struct Over {
      std::shared_ptr<bool> flag;
      ~Over() { *flag = true; }
    } const end{over};
    try {
      co_await perform(job);
      performed.well = true;
    } catch (const DeadJob& e) {
      performed.dead = true;
      performed.error = e.what();
    } catch (const std::exception& e) {
      performed.dead = job.attempt >= options_.attempts;
      performed.error = e.what();
    }
  }
  // The mark is tried until the database takes it: a job that was performed should not be performed again only because of a pause.
  for (unsigned attempt = 1;; ++attempt) {
    std::string away;
    try {
      co_await settle(job, performed);
    } catch (const Error& e) {
      away = e.what();
    }
    if (away.empty()) break;
    if (stopping_ && attempt > 3) throw Error(text("job ", job.id, " could not be marked: ", away));
    log::warning(text("queue ", options_.table, ": job ", job.id, " cannot be marked yet: ", away));
    const Duration longest = std::min<Duration>(5s, 100ms * (1 << std::min(attempt, 6u)));
    asio::steady_timer timer(context().loop(), Duration(static_cast<Duration::rep>(random_number() % static_cast<std::uint64_t>(longest.count()))));
    co_await timer.async_wait(use_awaitable);
  }
}

// Only while the claim is ours: its number of attempts says so, for every claim raises it.
awaitable<void> QueueWorker::settle(const Job& job, const Performed& performed) {
  const std::string ours = " WHERE id = $1 AND attempts = $2 AND done_at IS NULL AND dead_at IS NULL";
  if (performed.well) {
    const std::uint64_t marked = co_await db().execute(text("UPDATE ", options_.table, " SET done_at = ", now_, ours), job.id, job.attempt);
    if (marked == 0) log::warning(text("queue ", options_.table, ": job ", job.id, " took longer than its claim; another worker has it"));
    co_return;
  }
  const std::string error = performed.error.substr(0, longest_error);
  if (performed.dead) {
    log::error(text("queue ", options_.table, ": job ", job.id, " is dead: ", error));
    co_await db().execute(text("UPDATE ", options_.table, " SET dead_at = ", now_, ", last_error = $3", ours), job.id, job.attempt, error);
    co_return;
  }
  const Duration wait = queue_backoff(options_, job.attempt, random_number());
  log::info(text("queue ", options_.table, ": job ", job.id, " failed (try ", job.attempt, "), again in ", to_millis(wait), " ms: ", error));
  co_await db().execute(text("UPDATE ", options_.table, " SET run_at = ", now_, " + $3, last_error = $4", ours), job.id, job.attempt, to_millis(wait),
                        error);
}

awaitable<void> QueueWorker::keep_claim(Job job, std::shared_ptr<bool> over) {
  const std::string renew =
      text("UPDATE ", options_.table, " SET run_at = ", now_, " + $3 WHERE id = $1 AND attempts = $2 AND done_at IS NULL AND dead_at IS NULL");
  TimePoint next = Clock::now() + options_.claim / 3;
  for (;;) {
    // In short steps, so that nobody waits for this coroutine long after the job.
    while (!*over && Clock::now() < next) {
      asio::steady_timer step(context().loop(), std::min<TimePoint>(next, Clock::now() + 100ms));
      co_await step.async_wait(use_awaitable);
    }
    if (*over) co_return;
    std::uint64_t renewed = 0;
    std::string away;
    try {
      renewed = co_await db().execute(renew, job.id, job.attempt, to_millis(options_.claim));
    } catch (const Error& e) {
      away = e.what();
    }
    if (*over) co_return;
    if (away.empty() && renewed == 0) co_return;  // it ran out, and another worker has the job; settle() says so
    if (!away.empty()) log::warning(text("queue ", options_.table, ": the claim of job ", job.id, " cannot be renewed yet: ", away));
    next = Clock::now() + std::max<Duration>(options_.claim / (away.empty() ? 3 : 10), 10ms);
  }
}

}  // namespace sluice
