// A SQLite connection as the SQL layer sees it. Everything happens on the connection's own thread.
#pragma once

#include <sluice/drivers/sqlite/connection_thread.hpp>
#include <sluice/sql/session.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace sluice::sqlite {

// A single INSERT, UPDATE, DELETE or REPLACE: it may share its COMMIT with others.
bool gathers(const sql::Statement& statement) noexcept;

class Session final : public sql::Session {
 public:
  explicit Session(std::unique_ptr<Handle> handle) : thread_(std::move(handle)) {}

  awaitable<void> open(Deadline deadline);
  awaitable<void> check(std::string validation_query, Deadline deadline);
  awaitable<void> reset(Deadline deadline);
  awaitable<bool> close(Deadline deadline) { return thread_.close(deadline); }

  awaitable<sql::Rows> run(sql::Statement statement, Deadline deadline) override;
  // Several at a time if the statement may commit together with others (`gathers`), else one.
  awaitable<std::unique_ptr<sql::RowSource>> open_stream(sql::Statement statement, Deadline deadline, Deadline overall) override;
  awaitable<void> run_script(std::string sql, Deadline deadline) override;
  awaitable<void> begin(sql::TransactionOptions options, Deadline deadline) override;
  awaitable<void> commit(Deadline deadline) override;
  awaitable<void> rollback(Deadline deadline) override;
  sql::Dialect dialect() const noexcept override { return sql::Dialect::sqlite; }
  bool in_transaction() const noexcept override { return thread_.in_transaction(); }
  bool idle() const noexcept override { return *asking_ == 0; }
  void interrupt() noexcept override { thread_.interrupt(); }

 private:
  class Source;
  struct Asking;
  awaitable<void> perform(ConnectionThread::Work work, Deadline deadline);
  void accept(const ConnectionThread::Answer& answer, Deadline deadline);
  void refuse_while_streaming(const std::string& sql) const;
  ConnectionThread thread_;
  std::shared_ptr<std::uint32_t> asking_ = std::make_shared<std::uint32_t>(0);  // coroutines that wait for the thread
  bool streaming_ = false;  // a result is being read: the connection must be reset before somebody else gets it
};

}  // namespace sluice::sqlite
