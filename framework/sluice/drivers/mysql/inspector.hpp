// The janitor's view of a MySQL or MariaDB server: capacity, sessions, their end. One connection of its own, under the
// pool's user.
//
// The process list has neither names nor births, so a session counts as ours by its thread id (recorded in a row, of the same
// start of the server), or, with no row, because it is of this user: then it is waited for and never ended. Without the PROCESS
// privilege only this user's sessions show, which suffices; those of another user, as a second pool on the same server may
// have, are asked for one by one.
#pragma once

#include <sluice/drivers/mysql/connect.hpp>

namespace sluice::mysql {

class MysqlInspector final : public pool::Inspector {
 public:
  explicit MysqlInspector(Settings settings) : dialer_(std::move(settings)) {}

  awaitable<void> open(Deadline deadline) override;
  // max_connections is there for ordinary users in full: MySQL and MariaDB keep one more for an administrator.
  awaitable<pool::Capacity> capacity(Deadline deadline) override;
  awaitable<std::vector<pool::SeenSession>> sessions(Deadline deadline) override;
  awaitable<bool> absent(std::uint64_t session, std::uint64_t birth, Deadline deadline) override;
  awaitable<bool> end(const pool::SeenSession& session, Deadline deadline) override;
  awaitable<bool> cancel(std::uint64_t session, std::uint64_t birth, Deadline deadline) override;
  // The end of stream and a little more: a session that has nothing to roll back is gone then. Best effort.
  awaitable<pool::CloseResult> close(Deadline deadline) noexcept override;
  std::uint64_t session() const noexcept override { return session_ ? session_->session : 0; }
  std::uint64_t session_birth() const noexcept override { return session_ ? session_->session_birth : 0; }

 private:
  MysqlSession& opened();
  // KILL or KILL QUERY; the server's error number, 0 if it did as told.
  awaitable<int> kill(const char* what, std::uint64_t session, Deadline deadline);

  Dialer dialer_;
  std::unique_ptr<MysqlSession> session_;
  bool sees_all_ = false;
};

}  // namespace sluice::mysql
