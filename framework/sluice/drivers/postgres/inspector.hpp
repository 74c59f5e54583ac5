// The janitor's view of a PostgreSQL server: capacity, the instance's sessions, and their end. One connection of its own,
// under the janitor's identity; sees the sessions of its own role (pg_stat_activity hides the names of others').
#pragma once

#include <sluice/drivers/postgres/connect.hpp>

#include <map>
#include <utility>

namespace sluice::postgres {

class PostgresInspector final : public pool::Inspector {
 public:
  PostgresInspector(Settings settings, pool::Identity identity) : dialer_(std::move(settings)), identity_(std::move(identity)) {}

  awaitable<void> open(Deadline deadline) override;
  awaitable<pool::Capacity> capacity(Deadline deadline) override;
  awaitable<std::vector<pool::SeenSession>> sessions(Deadline deadline) override;
  // pg_stat_activity forgets a session a moment before its process has given its place back and ended (the step-kill test sees it),
  // so absence counts only when it has lasted.
  awaitable<bool> absent(std::uint64_t session, std::uint64_t birth, Deadline deadline) override;
  awaitable<bool> end(const pool::SeenSession& session, Deadline deadline) override;
  awaitable<pool::CloseResult> close(Deadline deadline) noexcept override;
  std::uint64_t session() const noexcept override { return session_ ? session_->session : 0; }
  std::uint64_t session_birth() const noexcept override { return session_ ? session_->session_birth : 0; }

 private:
  PostgresSession& opened();

  Dialer dialer_;
  pool::Identity identity_;
  std::unique_ptr<PostgresSession> session_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, TimePoint> absent_since_;  // by id and birth
};

}  // namespace sluice::postgres
