// One connection to MySQL or MariaDB: statements, transactions, deadlines that reach the server. One loop's own.
//
// A session runs one statement at a time; a second one meanwhile throws and disturbs nothing. Whatever leaves the protocol
// unfinished (lost connection, cancelled coroutine) sets `broken`. `dirty` means: in a transaction, or the statement's words
// show that it may change session state. State changed inside procedures cannot be seen, so CALL counts as such.
//
// A deadline goes along as the session's max_statement_time (MySQL: max_execution_time, SELECT only), rounded up; past it the
// janitor is asked for KILL QUERY. Of a stream only the limit of the whole goes along, each wait's is kept here.
//
// MySQL's transactions have two traits that are made loud: a deadlock rolls back the whole transaction, and DDL commits it;
// statements after either throw instead of running on their own.
#pragma once

#include <sluice/drivers/mysql/errors.hpp>
#include <sluice/drivers/mysql/leaves_state.hpp>
#include <sluice/drivers/mysql/opened.hpp>
#include <sluice/drivers/mysql/settings.hpp>
#include <sluice/drivers/mysql/statement_cache.hpp>
#include <sluice/drivers/mysql/values.hpp>
#include <sluice/drivers/mysql/wire.hpp>
#include <sluice/sql/session.hpp>

#include <memory>
#include <string>
#include <vector>

namespace sluice::mysql {

class MysqlSession final : public sql::Session {
 public:
  // `opened.handle` is not null.
  MysqlSession(const asio::any_io_executor& executor, Opened opened, const Settings& settings);
  ~MysqlSession() override;

  awaitable<sql::Rows> run(sql::Statement statement, Deadline deadline) override;
  awaitable<void> run_script(std::string sql, Deadline deadline) override;
  awaitable<void> begin(sql::TransactionOptions options, Deadline deadline) override;
  awaitable<void> commit(Deadline deadline) override;
  awaitable<void> rollback(Deadline deadline) override;
  awaitable<std::unique_ptr<sql::RowSource>> open_stream(sql::Statement statement, Deadline deadline, Deadline overall) override;
  // Of MariaDB; other servers refuse company. All members are reads: `chained` makes no difference.
  awaitable<void> run_group(std::span<sql::GroupMember* const> members, bool chained, Duration patience) override;
  void hurry() noexcept override { wire_->wake(); }
  sql::Dialect dialect() const noexcept override { return sql::Dialect::mysql; }
  bool in_transaction() const noexcept override;
  bool idle() const noexcept override { return !running_ && !unfinished_; }
  // The janitor is asked to end what runs: the server itself would notice the end of our stream only afterwards.
  void interrupt() noexcept override;

  // The cheapest question there is, or the pool's validation_query.
  awaitable<void> ping(Deadline deadline);
  awaitable<void> reset(Deadline deadline);
  // Rolls back, says goodbye. True: the server has closed its end of the stream; that it let go is for its process list to show.
  // The session is spent afterwards. REQUIRES: throw_if_cancelled is off.
  awaitable<bool> close(Deadline deadline);

  std::size_t cached_statements() const noexcept { return cache_.size(); }
  bool mariadb() const noexcept { return mariadb_; }

 private:
  class Turn;
  class Stream;
  class GroupTrip;
  using PreparedRef = std::shared_ptr<Prepared>;
  enum class Ended { no, rolled_back, committed };  // how a transaction of ours ended by itself
  enum class Reader { prompt, may_pause };          // of a statement's result

  // exchange.cpp
  template <class Step>
  Call start(Step& step);
  // Until the call is done; what it reports is the caller's to look at. Throws if the deadline passes and the server does not end the
  // statement, or the coroutine is cancelled.
  awaitable<void> finish(Call& call, const std::string& sql, Deadline deadline);
  awaitable<void> expire(Call& call, const std::string& sql);
  // How long past its deadline a statement may keep its caller while the server is asked to end it.
  Deadline last_word() const;
  awaitable<void> settle_cancel(Deadline deadline);
  awaitable<std::shared_ptr<sql::ResultSet>> text(const std::string& sql, bool script, sql::Phase phase, Deadline deadline);
  awaitable<void> switch_scripts(bool on, Deadline deadline);
  awaitable<void> limit_on_server(Deadline deadline) { return limit_on_server(deadline, deadline, Reader::prompt); }
  awaitable<void> limit_on_server(Deadline end, Deadline deadline, Reader reader);
  // The server's limit is near enough to what a statement until `end` wants, and the reader the same.
  bool limited_to(Deadline end, Reader reader) const noexcept;
  // Whether the server takes writes outside of explicit transactions. The session stays read-only between groups of reads; whatever may write
  // takes the mark away first, in a transaction too: DDL and its like end that, and run outside of it.
  awaitable<void> keep_to_reads(bool on, Deadline deadline);
  // A write that was refused because of that.
  bool is_our_mark(const Report& report) const noexcept;
  awaitable<void> refresh_status();
  [[noreturn]] void fail(const Report& report, sql::Phase phase, const std::string& sql);
  [[noreturn]] void refuse_several(const std::string& sql);
  Report report() const;

  // prepared.cpp
  enum class Company { none, reads };
  awaitable<PreparedRef> prepare(const std::string& sql, Deadline deadline, Company company = Company::none);
  awaitable<void> forget(PreparedRef prepared);
  struct Execution {
    st_mysql_stmt* statement;
    int failed = 0;
    int operator()(int ready);
  };
  Execution execution(const Prepared& prepared, Parameters& parameters);
  awaitable<void> execute_again(PreparedRef& prepared, const sql::Statement& statement, Parameters& parameters, Deadline deadline);
  void take_rows(Prepared& prepared, RowReader& reader, sql::ResultSet& set, const std::string& sql);
  awaitable<bool> skip_results(Prepared& prepared, const std::string& sql, Deadline deadline);
  awaitable<std::shared_ptr<sql::ResultSet>> run_once(PreparedRef& prepared, sql::Statement& statement, Deadline deadline);
  void check_size(std::size_t bytes, const std::string& sql) const;
  bool keeps(const PreparedRef& prepared) { return cache_.find(prepared->key) == prepared; }

  // Before it runs: what a lost answer leaves open counts as done. `prepared` may be null.
  void note_state(const PreparedRef& prepared, const std::string& sql);
  bool backslash_escapes() const noexcept;
  awaitable<void> choose_database(Deadline deadline);
  void refuse_ended(const std::string& sql) const;
  void note_end(bool failed);

  StatementCache cache_;  // outlives the wire: what it holds is freed after the connection
  std::unique_ptr<Wire> wire_;
  std::string database_;  // the url's; may be empty
  std::string validation_query_;
  Duration statement_timeout_;
  Duration close_timeout_;
  Duration limit_;                  // what the server ends statements after; 0: never
  Reader reader_ = Reader::prompt;  // whom the server expects
  bool reads_only_ = false;         // what it was told last by keep_to_reads()
  std::uint64_t max_packet_;
  bool mariadb_;
  bool show_values_;
  bool keep_statements_on_reset_;
  bool running_ = false;     // somebody awaits a statement
  bool unfinished_ = false;  // the server owes an answer
  bool timed_out_ = false;   // the running statement is past its deadline
  bool began_ = false;       // by begin()
  Ended ended_ = Ended::no;
  bool state_changed_ = false;  // beyond the transaction
};

}  // namespace sluice::mysql
