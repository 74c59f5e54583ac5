// One PostgreSQL connection: statements, transactions, deadlines that reach the server. One loop's own.
//
// A session runs one statement at a time; a second one meanwhile throws and disturbs nothing. Whatever leaves the protocol
// unfinished (lost connection, cancelled coroutine, COPY) sets `broken`. `dirty` means: in a transaction, or the statement's
// words show that it may change session state. State changed inside functions cannot be seen (reset_on_return: always).
#pragma once

#include <sluice/drivers/postgres/direct_line.hpp>
#include <sluice/drivers/postgres/errors.hpp>
#include <sluice/drivers/postgres/settings.hpp>
#include <sluice/drivers/postgres/statement_cache.hpp>
#include <sluice/drivers/postgres/traces.hpp>
#include <sluice/drivers/postgres/values.hpp>
#include <sluice/drivers/postgres/wire.hpp>
#include <sluice/sql/session.hpp>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

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
  awaitable<sql::Rows> run_text(const std::string& sql, std::vector<sql::Value> parameters, Deadline deadline) override;
  awaitable<void> run_script(std::string sql, Deadline deadline) override;
  awaitable<void> begin(sql::TransactionOptions options, Deadline deadline) override;
  awaitable<void> commit(Deadline deadline) override;
  awaitable<void> rollback(Deadline deadline) override;
  // While a result is read or rows are copied, the session is `broken`: only its orderly end makes it whole again.
  awaitable<std::unique_ptr<sql::RowSource>> open_stream(sql::Statement statement, Deadline deadline, Deadline overall) override;
  awaitable<void> bulk_begin(sql::BulkTarget target, Deadline deadline) override;
  awaitable<void> bulk_rows(std::vector<sql::Value> cells, Deadline deadline) override;
  awaitable<std::uint64_t> bulk_end(Deadline deadline) override;
  awaitable<void> run_group(std::span<sql::GroupMember* const> members, bool chained, Duration patience) override;
  void hurry() noexcept override { wire_->wake(); }
  awaitable<void> listen(std::string channel, Deadline deadline) override;
  awaitable<sql::Notification> next_notification(Deadline deadline) override;
  sql::Dialect dialect() const noexcept override { return sql::Dialect::postgres; }
  bool in_transaction() const noexcept override;
  bool idle() const noexcept override { return !running_ && !listening_; }
  // The end of our stream: the server ends the statement within client_connection_check_interval, then the session.
  void interrupt() noexcept override;

  // The cheapest question there is: an empty statement, or the pool's validation_query.
  awaitable<void> ping(Deadline deadline);
  awaitable<void> reset(Deadline deadline);
  // Cancels what runs, says goodbye and waits for the proof. The session is spent afterwards. Goes on if the coroutine is
  // cancelled (REQUIRES: throw_if_cancelled is off).
  awaitable<bool> close(Deadline deadline);

  // A question without parameters that is asked once in the session's life. Nothing is prepared for it: a pooler would show that to its next client.
  awaitable<sql::Rows> ask(std::string sql, Deadline deadline);

  // The process id that the server announced at login; a pooler makes one up.
  std::int64_t announced_pid() const noexcept;
  std::size_t cached_statements() const noexcept { return cache_.size(); }

 private:
  class Turn;
  class Stream;
  class GroupTrip;
  // How long an answer is waited for, and whether that was too long already.
  struct Patience {
    Deadline deadline;
    bool timed_out = false;
  };
  // To one run past libpq, of a form whose columns are known.
  struct Reply {
    Reply(Deadline deadline, const RowShape& s) : patience{deadline}, shape(s) { set->columns = shape.names; }
    Patience patience;
    const RowShape& shape;
    std::shared_ptr<sql::ResultSet> set = std::make_shared<sql::ResultSet>();
    std::optional<ServerReport> error;
  };
  bool complete(Reply& reply, const std::string& sql);  // sends and takes in what goes without waiting
  // Takes in what has come. False: the deadline has passed. Throws if the coroutine was cancelled or the connection is lost.
  bool hear(Wake wake, const std::string& sql);
  void ended_by_server() noexcept;
  [[noreturn]] void farewell_of(const ServerReport& report, const std::string& sql);
  void take_aside(const Message& message, const std::string& sql);
  void ready(char status) noexcept;
  bool line_is_free() const noexcept;
  // For libpq's turn: what has come beside its exchanges is used up. Throws if the connection is lost.
  pg_conn* libpq(const std::string& sql);
  [[noreturn]] void refuse(const ServerReport& report, const Patience& patience, const std::string& sql) const;
  [[noreturn]] void refuse_copy(const std::string& sql);

  awaitable<sql::Rows> run_anew(const std::string& sql, std::vector<sql::Value> values, Deadline deadline);
  awaitable<std::string> prepare(const std::string& sql, const std::string& key, const Parameters& parameters, const Traces& traces, Deadline deadline);
  void send(const std::string& name, const std::string& sql, const Parameters& parameters, const Traces& traces);
  awaitable<Result> simple(std::string sql, Deadline deadline);
  // Sends what is queued and reads every answer to it: the first error, else the last result. Throws if the connection is lost, the deadline
  // passes (the statement is cancelled on the server first), or the coroutine is cancelled.
  awaitable<Result> exchange(const std::string& sql, Deadline deadline);
  // Until there is something to read, for those who read piece by piece. Past the deadline the statement is
  // cancelled on the server, whose word on it is then waited for.
  awaitable<void> more(bool write, const std::string& sql, Patience& patience);
  // Takes in what has come. False: the deadline has passed. Throws if the coroutine was cancelled.
  bool listen_to(Wake wake);
  awaitable<void> expire(const std::string& sql, Patience& patience);
  awaitable<void> flush(const std::string& sql, Patience& patience);  // until everything is sent
  // Reads answers to the end and throws them away.
  awaitable<void> drain(const std::string& sql, Patience& patience);
  // The server has said all: nothing is owed any more.
  void answered(const pg_result* last, const std::string& sql);
  void keep_notifications();
  void sent(int ok, const std::string& sql);
  void check(const pg_result* result, sql::Phase phase, const std::string& sql);
  sql::SqlError error(const pg_result* result, sql::Phase phase, const std::string& sql) const {
    return server_error(report_of(result), phase, sql, show_values_);
  }
  // As the cache knows it (null: it does not), or by its words. Throws SqlError(encode) if it takes another number of parameters.
  Traces look(const StatementCache::Entry* known, const std::string& sql, std::size_t parameters) const;
  // Before it runs: what a lost answer leaves open counts as done.
  void note(const Traces& traces) noexcept;
  bool in_failed_transaction() const noexcept;
  [[noreturn]] void lost(const pg_result* last, const std::string& sql);
  [[noreturn]] void lost(std::string message, const std::string& code, const std::string& sql);  // no code: the usual one

  std::unique_ptr<Wire> wire_;
  DirectLine line_;
  std::optional<char> status_;  // of the transaction, as the server told the line; nothing: libpq knows
  StatementCache cache_;
  std::string validation_query_;
  Duration close_timeout_;
  bool keep_statements_on_reset_;
  bool show_values_;
  std::uint64_t next_statement_ = 1;
  bool running_ = false;        // somebody awaits a statement
  bool unfinished_ = false;     // the server owes an answer
  bool state_changed_ = false;  // beyond the transaction
  bool seeded_ = false;         // random() too
  bool listening_ = false;
  std::deque<sql::Notification> notifications_;
  std::string copy_sql_;  // of the COPY that runs
  std::size_t copy_width_ = 0;
};

}  // namespace sluice::postgres
