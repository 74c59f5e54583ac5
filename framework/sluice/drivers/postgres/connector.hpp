// PostgreSQL as the pool sees it. Registered for the schemes postgres and postgresql when linked.
#pragma once

#include <sluice/drivers/postgres/connect.hpp>

namespace sluice::postgres {

class PostgresConnector final : public sql::SqlConnector {
 public:
  explicit PostgresConnector(Settings settings) : dialer_(std::move(settings)) {}

  awaitable<std::unique_ptr<pool::Connection>> connect(Deadline deadline) override;
  awaitable<void> ping(pool::Connection& connection, Deadline deadline) override;
  awaitable<void> reset(pool::Connection& connection, Deadline deadline) override;
  // Confirmed: goodbye, then the server's orderly end of stream.
  awaitable<pool::CloseResult> close(std::unique_ptr<pool::Connection> connection, Deadline deadline) noexcept override;
  sql::Dialect dialect() const noexcept override { return sql::Dialect::postgres; }
  sql::Sharing sharing(std::string_view sql) const override;

 private:
  Dialer dialer_;
};

// Ends a session and says whether the server is proven to have let it go. Never throws, also in a cancelled coroutine.
awaitable<pool::CloseResult> close_session(PostgresSession& session, Deadline deadline) noexcept;

}  // namespace sluice::postgres
