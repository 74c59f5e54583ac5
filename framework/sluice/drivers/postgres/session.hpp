// One PostgreSQL connection: statements, transactions, deadlines that reach the server. One loop's own.
//
// A session runs one statement at a time; a second one meanwhile throws and disturbs nothing. Whatever leaves the protocol
// unfinished (lost connection, cancelled coroutine, COPY) sets `broken`. `dirty` means: in a transaction, or the statement's
// first words show that it changes session state. State changed inside functions cannot be seen (reset_on_return: always).
#pragma once

#include <sluice/drivers/postgres/errors.hpp>
#include <sluice/drivers/postgres/settings.hpp>
#include <sluice/drivers/postgres/statement_cache.hpp>
#include <sluice/drivers/postgres/values.hpp>
#include <sluice/drivers/postgres/wire.hpp>
#include <sluice/sql/session.hpp>

#include <memory>
#include <string>

namespace sluice::postgres {

struct ClearResult {
  void operator()(pg_result* result) const noexcept;
};
using Result = std::unique_ptr<pg_result, ClearResult>;

class PostgresSession final : public sql::Session {
 public:
  // `wire` is connected and its PGconn non-blocking.
  PostgresSession(std::unique_ptr<Wire> wire, const Settings& settings);
  ~PostgresSession() override;

  awaitable<sql::Rows> run(sql::Statement statement, Deadline deadline) override;
  awaitable<void> run_script(std::string sql, Deadline deadline) override;
  awaitable<void> begin(sql::TransactionOptions options, Deadline deadline) override;
  awaitable<void> commit(Deadline deadline) override;
  awaitable<void> rollback(Deadline deadline) override;
  sql::Dialect dialect() const noexcept override { return sql::Dialect::postgres; }
  bool in_transaction() const noexcept override;

  // The cheapest question there is: an empty statement, or the pool's validation_query.
  awaitable<void> ping(Deadline deadline);
  awaitable<void> reset(Deadline deadline);
  // Cancels what runs, says goodbye and waits for the proof. The session is spent afterwards. Goes on if the coroutine is
  // cancelled (REQUIRES: throw_if_cancelled is off).
  awaitable<bool> close(Deadline deadline);

  // The process id that the server announced at login; a pooler makes one up.
  std::int64_t announced_pid() const noexcept;
  std::size_t cached_statements() const noexcept { return cache_.size(); }

 private:
  class Turn;
  awaitable<Result> execute(const std::string& sql, const Parameters& parameters, Deadline deadline);
  awaitable<Result> simple(std::string sql, Deadline deadline);
  awaitable<Result> exchange(const std::string& sql, Deadline deadline);
  void sent(int ok, const std::string& sql);
  void check(const pg_result* result, sql::Phase phase, const std::string& sql);
  [[noreturn]] void lost(const pg_result* last, const std::string& sql);

  std::unique_ptr<Wire> wire_;
  StatementCache cache_;
  std::string validation_query_;
  Duration close_timeout_;
  bool keep_statements_on_reset_;
  std::uint64_t next_statement_ = 1;
  bool running_ = false;        // somebody awaits a statement
  bool unfinished_ = false;     // the server owes an answer
  bool state_changed_ = false;  // beyond the transaction
};

}  // namespace sluice::postgres
