#include <sluice/sql/alone.hpp>
#include <sluice/sql/pipeline.hpp>

#include <algorithm>
#include <utility>

namespace sluice::sql {

Deadline statement_deadline(const pool::ConnectionSource& source, Deadline overall) noexcept {
  if (!overall.is_never()) return overall;
  const Duration timeout = source.options().statement_timeout;
  return timeout > Duration::zero() ? Deadline::after(timeout) : Deadline::never();
}

awaitable<pool::Lease> lease_from(pool::ConnectionSource& source, Deadline overall, const boost::source_location& where, bool read_only) {
  pool::Wish wish;
  wish.read_only = read_only;
  if (!overall.is_never()) {
    const Duration left = std::max(overall.remaining(Clock::now()), Duration::zero());
    const Duration longest = source.options().acquire_timeout;  // 0: none
    wish.limit = longest > Duration::zero() ? std::min(left, longest) : left;
  }
  return source.acquire(wish, where);
}

awaitable<Rows> run_alone(pool::ConnectionSource& source, StatementWatch& watch, Pipeline* company, Statement statement, KnownTextRef known,
                          std::optional<StatementWatch::Running> running, CallLimit limit, boost::source_location where) {
  const Deadline overall = limit.begin();
  if (!running && known)
    running.emplace(watch, *known, &statement.parameters);
  else if (!running)
    running.emplace(watch, statement.sql, &statement.parameters);
  pool::Lease lease;
  if (company) {
    lease = source.try_acquire(where);
    if (!lease) {
      awaitable<Rows> together = company->travel(std::move(known), std::move(statement.parameters), std::move(running), overall, where);
      co_return co_await std::move(together);
    }
  }
  if (!lease) lease = co_await lease_from(source, overall, where);
  auto& session = static_cast<Session&>(lease.connection());
  const TimePoint began = Clock::now();
  running->on(session, began);
  const std::string& sql = known ? known->text : statement.sql;
  Rows rows = co_await session.run_text(sql, std::move(statement.parameters), statement_deadline(source, overall));
  refuse_open_transaction(session);
  const TimePoint ended = Clock::now();
  if (known) known->learn(ended - began);
  running->succeeded(ended);
  running.reset();  // an argument would live on until the caller's expression ends
  co_return rows;
}

}  // namespace sluice::sql
