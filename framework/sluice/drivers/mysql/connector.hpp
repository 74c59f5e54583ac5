// MySQL and MariaDB as the pool sees them. Registered for the schemes mysql and mariadb when linked.
#pragma once

#include <sluice/drivers/mysql/connect.hpp>

namespace sluice::mysql {

class MysqlConnector final : public sql::SqlConnector {
 public:
  explicit MysqlConnector(Settings settings) : dialer_(std::move(settings)) {}

  awaitable<std::unique_ptr<pool::Connection>> connect(Deadline deadline) override;
  awaitable<void> ping(pool::Connection& connection, Deadline deadline) override;
  awaitable<void> reset(pool::Connection& connection, Deadline deadline) override;
  // Never confirmed: the server closes its end of the stream before it gives up the slot, so only its process list proves
  // that (the janitor looks).
  awaitable<pool::CloseResult> close(std::unique_ptr<pool::Connection> connection, Deadline deadline) noexcept override;
  sql::Dialect dialect() const noexcept override { return sql::Dialect::mysql; }
  sql::Sharing sharing(std::string_view sql) const override;

 private:
  Dialer dialer_;
};

// Ends a session. True: the server has closed its end of the stream. Never throws, also in a cancelled coroutine.
awaitable<bool> close_session(MysqlSession& session, Deadline deadline) noexcept;

}  // namespace sluice::mysql
