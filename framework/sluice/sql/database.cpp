#include <sluice/core/text.hpp>
#include <sluice/sql/alone.hpp>
#include <sluice/sql/database.hpp>
#include <sluice/sql/once_gate.hpp>
#include <sluice/sql/pipeline.hpp>

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <exception>
#include <utility>

namespace sluice::sql {
namespace {

// The key of pg_advisory_xact_lock: "sluice" as a number, the same in every version.
constexpr std::int64_t advisory_lock_key = 0x736c75696365;

const SqlConnector& sql_connector(pool::ConnectionSource& source) {
  const auto* connector = dynamic_cast<const SqlConnector*>(&source.connector());
  if (!connector) throw Error(text("pool \"", source.name(), "\" does not speak SQL: its url's scheme belongs to another kind of driver"));
  return *connector;
}

Session& session_of(pool::Lease& lease) { return static_cast<Session&>(lease.connection()); }

}  // namespace

// One connection for all writes that come while it is held (SqlConnector::gathers). It takes newcomers for a short while only, so that
// others who wait for a connection have their turn; its last user gives it back.
class Database::Gathering : public OnceGate {
 public:
  bool takes_more() const noexcept { return running() || (lease_ && Clock::now() < until_); }
  void opened(pool::Lease lease) noexcept {
    lease_ = std::move(lease);
    until_ = Clock::now() + 100ms;
  }
  bool open() const noexcept { return static_cast<bool>(lease_); }
  Session& session() { return session_of(lease_); }

 private:
  pool::Lease lease_;
  TimePoint until_{};
};

class Database::FirstUse : public OnceGate {
 public:
  explicit FirstUse(std::string script) : script_(std::move(script)) {}

  // In a transaction, so that a script that fails half-way leaves nothing; the lock ends with the transaction.
  static awaitable<void> run(std::shared_ptr<FirstUse> self, Session& on, Deadline deadline) {
    const TransactionOptions writing;
    if (on.dialect() == Dialect::mysql) {  // a lock of the session: the first CREATE commits
      Statement lock = make_statement("SELECT GET_LOCK('sluice.first_use', 3600)");
      co_await on.run(std::move(lock), deadline);
    }
    co_await on.begin(writing, deadline);
    if (on.dialect() == Dialect::postgres) {
      Statement lock = make_statement("SELECT pg_advisory_xact_lock($1)", advisory_lock_key);
      co_await on.run(std::move(lock), deadline);
    }
    co_await on.run_script(self->script_, deadline);
    co_await on.commit(deadline);
    if (on.dialect() == Dialect::mysql) {
      Statement unlock = make_statement("SELECT RELEASE_LOCK('sluice.first_use')");
      co_await on.run(std::move(unlock), deadline);
    }
  }

 private:
  std::string script_;
};

Database::Database(pool::ConnectionSource& source, StatementBoard board)
    : source_(&source),
      connector_(&sql_connector(source)),
      watch_(std::make_shared<StatementWatch>(source.name(), board, source.options().slow_statement, source.options().log_parameters)),
      dialect_(connector_->dialect()) {
  const bool able = connector_->sharing("SELECT 1") != Sharing::none;
  const bool may_wait = source.options().queue_limit != 0u;  // for company, which is others' connections
  if (able && may_wait && source.options().pipeline != config::Pipeline::off) pipeline_ = std::make_shared<Pipeline>(source, *connector_, watch_);
}

void Database::on_first_use(std::string postgres_script, std::string sqlite_script, std::string mysql_script) {
  std::string script = std::move(dialect_ == Dialect::postgres ? postgres_script : dialect_ == Dialect::sqlite ? sqlite_script : mysql_script);
  first_use_ = script.empty() ? nullptr : std::make_shared<FirstUse>(std::move(script));
}

awaitable<pool::Lease> Database::acquire(Deadline overall, boost::source_location where, bool read_only) {
  if (first_use_pending()) co_await prepare_first_use(overall, where);
  co_return co_await lease_from(*source_, overall, where, read_only);
}

awaitable<void> Database::prepare_first_use(Deadline overall, boost::source_location where) {
  const std::shared_ptr<FirstUse> use = first_use_;
  const Deadline deadline = statement_deadline(*source_, overall);
  const std::shared_ptr<OnceGate> gate = use;
  co_await OnceGate::wait(gate, deadline, "the first-use script that another statement runs did not end before the deadline");
  if (use->done()) co_return;

  OnceGate::Turn turn(use);
  pool::Lease held = co_await lease_from(*source_, overall, where);
  // Whatever happens to this coroutine, the next user of the connection finds no transaction of ours.
  const bool dirty = std::exchange(held->dirty, true);
  co_await FirstUse::run(use, session_of(held), deadline);
  held->dirty = dirty;
  turn.succeeded();
}

bool Database::first_use_pending() const noexcept { return first_use_ && !first_use_->done(); }

KnownTextRef Database::known(std::string_view sql) const { return pipeline_ ? pipeline_->look_up(sql) : nullptr; }

// None is free, and others are on their way with connections or wait for some: it joins them without a frame of its own.
bool Database::has_company(const KnownTextRef& known) const noexcept {
  return known && known->travels() && pipeline_->busy() && !source_->may_lease() && !first_use_pending();
}

awaitable<Rows> Database::run(SqlText sql, std::vector<Value> parameters, CallLimit limit) {
  KnownTextRef text = known(sql.text);
  if (has_company(text)) return pipeline_->travel(std::move(text), std::move(parameters), std::nullopt, limit, sql.where);
  std::string own = text && !first_use_pending() ? std::string() : std::string(sql.text);
  return run_known(Statement(std::move(own), std::move(parameters)), std::move(text), limit, sql.where);
}

awaitable<Rows> Database::run(Statement statement, std::optional<Within> limit, boost::source_location where) {
  KnownTextRef text = known(statement.sql);
  if (has_company(text)) return pipeline_->travel(std::move(text), std::move(statement.parameters), std::nullopt, limit, where);
  return run_known(std::move(statement), std::move(text), limit, where);
}

awaitable<Rows> Database::run_known(Statement&& statement, KnownTextRef known, CallLimit limit, boost::source_location where) {
  if (first_use_pending() || (!known && connector_->gathers(statement)))
    return run_prepared(std::move(statement), std::move(known), limit, where);
  Pipeline* const company = known && known->travels() ? pipeline_.get() : nullptr;
  return run_alone(*source_, *watch_, company, std::move(statement), std::move(known), std::nullopt, limit, where);
}

// What needs more than a connection.
awaitable<Rows> Database::run_prepared(Statement statement, KnownTextRef known, CallLimit limit, boost::source_location where) {
  StatementWatch::Running running(*watch_, statement.sql, &statement.parameters);
  const Deadline overall = limit.begin();
  if (!known && connector_->gathers(statement)) {
    const std::shared_ptr<Gathering> held = co_await gather(overall, where);
    running.on(held->session());
    Rows rows = co_await held->session().run(std::move(statement), statement_deadline(*source_, overall));
    running.succeeded();
    co_return rows;
  }
  co_await prepare_first_use(overall, where);
  Pipeline* const company = known && known->travels() ? pipeline_.get() : nullptr;
  awaitable<Rows> run = run_alone(*source_, *watch_, company, std::move(statement), std::move(known), std::move(running), overall, where);
  co_return co_await std::move(run);
}

awaitable<Stream> Database::stream(Statement statement, std::optional<Within> limit, boost::source_location where) {
  StatementWatch::Running running(*watch_, statement.sql, &statement.parameters);
  const Deadline overall = limit ? Deadline::after(limit->limit) : Deadline::never();
  pool::Lease lease = co_await acquire(overall, where);
  Session& session = session_of(lease);
  running.on(session);
  std::unique_ptr<RowSource> source = co_await session.open_stream(std::move(statement), statement_deadline(*source_, overall), overall);
  Stream stream(std::move(lease), std::move(source), watch_, std::move(running), source_->options().statement_timeout, overall);
  co_return stream;
}

awaitable<BulkInsert> Database::bulk_insert(std::string table, std::vector<std::string> columns, boost::source_location where) {
  const std::size_t width = columns.size();
  BulkTarget target = bulk_target(table, std::move(columns));
  StatementWatch::Running running(*watch_, describe(target));
  pool::Lease lease = co_await acquire(Deadline::never(), where);
  Session& session = session_of(lease);
  running.on(session);
  const Duration timeout = source_->options().statement_timeout;
  std::optional<Transaction> own;
  own.emplace(std::move(lease), timeout, watch_);
  const TransactionOptions writing;
  co_await session.begin(writing, statement_deadline(*source_, Deadline::never()));
  co_await session.bulk_begin(std::move(target), statement_deadline(*source_, Deadline::never()));
  BulkInsert bulk(std::move(own), session, width, timeout, watch_, std::move(running));
  co_return bulk;
}

awaitable<Listener> Database::listen(std::string channel, boost::source_location where) {
  pool::Lease lease = co_await acquire(Deadline::never(), where);
  Session& session = session_of(lease);
  co_await session.listen(std::move(channel), statement_deadline(*source_, Deadline::never()));
  Listener listener(std::move(lease));
  co_return listener;
}

awaitable<std::shared_ptr<Database::Gathering>> Database::gather(Deadline overall, boost::source_location where) {
  for (;;) {
    std::shared_ptr<Gathering> held = gathering_.lock();
    if (!held || !held->takes_more()) {
      held = std::make_shared<Gathering>();
      gathering_ = held;
      OnceGate::Turn turn(held);
      pool::Lease lease = co_await acquire(overall, where);
      held->opened(std::move(lease));
      co_return held;
    }
    const std::shared_ptr<OnceGate> gate = held;
    co_await OnceGate::wait(gate, overall, "no connection for the write came before the deadline");
    if (held->open()) co_return held;  // else the one who asked for it failed
  }
}

awaitable<std::uint64_t> Database::run_execute(Statement statement, std::optional<Within> limit, boost::source_location where) {
  const Rows rows = co_await run(std::move(statement), limit, where);
  co_return rows.affected();
}

awaitable<Transaction> Database::start(TransactionOptions options, std::optional<Within> limit, boost::source_location where) {
  const Deadline overall = limit ? Deadline::after(limit->limit) : Deadline::never();
  pool::Lease lease = co_await acquire(overall, where, options.read_only);
  Session& session = session_of(lease);
  Transaction transaction(std::move(lease), source_->options().statement_timeout, watch_);  // from here on: dirty unless it ends well
  co_await session.begin(options, statement_deadline(*source_, overall));
  co_return transaction;
}

awaitable<Transaction> Database::begin(TransactionOptions options, boost::source_location where) { return start(options, std::nullopt, where); }
awaitable<Transaction> Database::begin(Within limit, TransactionOptions options, boost::source_location where) {
  return start(options, limit, where);
}

}  // namespace sluice::sql
