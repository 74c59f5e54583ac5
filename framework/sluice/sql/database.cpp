#include <sluice/core/text.hpp>
#include <sluice/sql/counted.hpp>
#include <sluice/sql/database.hpp>
#include <sluice/sql/once_gate.hpp>

#include <algorithm>
#include <exception>
#include <utility>

namespace sluice::sql {
namespace {

// The key of pg_advisory_xact_lock: "sluice" as a number, the same in every version.
constexpr std::int64_t advisory_lock_key = 0x736c75696365;

const SqlConnector& sql_connector(pool::Pool& pool) {
  const auto* connector = dynamic_cast<const SqlConnector*>(&pool.connector());
  if (!connector) throw Error(text("pool \"", pool.name(), "\" does not speak SQL: its url's scheme belongs to another kind of driver"));
  return *connector;
}

Session& session_of(pool::Lease& lease) { return static_cast<Session&>(lease.connection()); }

}  // namespace

class Database::FirstUse : public OnceGate {
 public:
  explicit FirstUse(std::string script) : script_(std::move(script)) {}

  // In a transaction, so that a script that fails half-way leaves nothing; the lock ends with the transaction.
  static awaitable<void> run(std::shared_ptr<FirstUse> self, Session& on, Deadline deadline) {
    const TransactionOptions writing;
    co_await on.begin(writing, deadline);
    if (on.dialect() == Dialect::postgres) {
      Statement lock = make_statement("SELECT pg_advisory_xact_lock($1)", advisory_lock_key);
      co_await on.run(std::move(lock), deadline);
    }
    co_await on.run_script(self->script_, deadline);
    co_await on.commit(deadline);
  }

 private:
  std::string script_;
};

Database::Database(pool::Pool& pool, shm::PoolStats* stats) : pool_(&pool), stats_(stats), dialect_(sql_connector(pool).dialect()) {}

void Database::on_first_use(std::string postgres_script, std::string sqlite_script) {
  switch (dialect_) {
    case Dialect::postgres: first_use_ = std::make_shared<FirstUse>(std::move(postgres_script)); break;
    case Dialect::sqlite: first_use_ = std::make_shared<FirstUse>(std::move(sqlite_script)); break;
    case Dialect::mysql: first_use_.reset(); break;  // no script for it yet
  }
}

Deadline Database::statement_deadline(Deadline overall) const noexcept {
  if (!overall.is_never()) return overall;
  const Duration timeout = pool_->options().statement_timeout;
  return timeout > Duration::zero() ? Deadline::after(timeout) : Deadline::never();
}

awaitable<pool::Lease> Database::acquire(Deadline overall, boost::source_location where) {
  if (first_use_ && !first_use_->done()) co_await prepare_first_use(overall, where);
  co_return co_await lease(overall, where);
}

awaitable<pool::Lease> Database::lease(Deadline overall, boost::source_location where) {
  if (overall.is_never()) return pool_->acquire(where);
  const Duration left = std::max(overall.remaining(Clock::now()), Duration::zero());
  const Duration longest = pool_->options().acquire_timeout;  // 0: none
  return pool_->acquire(Within{longest > Duration::zero() ? std::min(left, longest) : left}, where);
}

awaitable<void> Database::prepare_first_use(Deadline overall, boost::source_location where) {
  const std::shared_ptr<FirstUse> use = first_use_;
  const Deadline deadline = statement_deadline(overall);
  const std::shared_ptr<OnceGate> gate = use;
  co_await OnceGate::wait(gate, deadline);
  if (use->done()) co_return;

  OnceGate::Turn turn(use);
  pool::Lease held = co_await lease(overall, where);
  // Whatever happens to this coroutine, the next user of the connection finds no transaction of ours.
  const bool dirty = std::exchange(held->dirty, true);
  co_await FirstUse::run(use, session_of(held), deadline);
  held->dirty = dirty;
  turn.succeeded();
}

awaitable<Rows> Database::run(Statement statement, std::optional<Within> limit, boost::source_location where) {
  Counted counted(stats_);
  const Deadline overall = limit ? Deadline::after(limit->limit) : Deadline::never();
  pool::Lease lease = co_await acquire(overall, where);
  Rows rows = co_await session_of(lease).run(std::move(statement), statement_deadline(overall));
  counted.succeeded();
  co_return rows;
}

awaitable<std::uint64_t> Database::run_execute(Statement statement, std::optional<Within> limit, boost::source_location where) {
  const Rows rows = co_await run(std::move(statement), limit, where);
  co_return rows.affected();
}

awaitable<Transaction> Database::start(TransactionOptions options, std::optional<Within> limit, boost::source_location where) {
  const Deadline overall = limit ? Deadline::after(limit->limit) : Deadline::never();
  pool::Lease lease = co_await acquire(overall, where);
  Session& session = session_of(lease);
  Transaction transaction(std::move(lease), pool_->options().statement_timeout, stats_);  // from here on: dirty unless it ends well
  co_await session.begin(options, statement_deadline(overall));
  co_return transaction;
}

awaitable<Transaction> Database::begin(TransactionOptions options, boost::source_location where) { return start(options, std::nullopt, where); }
awaitable<Transaction> Database::begin(Within limit, TransactionOptions options, boost::source_location where) { return start(options, limit, where); }

}  // namespace sluice::sql
