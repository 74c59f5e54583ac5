// The SQLite driver for pools: `sqlite:` urls (see location.hpp). Linking it registers it.
//
// A worker's connections to one pool share a WriterGate. Closing returns when the handle is closed: its own proof.
#pragma once

#include <sluice/config/config.hpp>
#include <sluice/drivers/sqlite/location.hpp>
#include <sluice/drivers/sqlite/writer_gate.hpp>
#include <sluice/sql/session.hpp>

#include <memory>

namespace sluice::sqlite {

class Connector final : public sql::SqlConnector {
 public:
  // Throws sluice::Error for a malformed url. Opens nothing.
  explicit Connector(const config::Pool& pool);

  awaitable<std::unique_ptr<pool::Connection>> connect(Deadline deadline) override;
  awaitable<void> ping(pool::Connection& connection, Deadline deadline) override;
  awaitable<void> reset(pool::Connection& connection, Deadline deadline) override;
  awaitable<pool::CloseResult> close(std::unique_ptr<pool::Connection> connection, Deadline deadline) noexcept override;
  // One writer and a few readers; an in-memory database is one connection's own.
  std::uint32_t default_max() const noexcept override { return location_.memory ? 1 : 4; }
  sql::Dialect dialect() const noexcept override { return sql::Dialect::sqlite; }
  bool gathers(const sql::Statement& statement) const noexcept override;

 private:
  Location location_;
  std::string validation_query_;
  std::size_t statement_cache_;
  std::shared_ptr<WriterGate> gate_;
};

}  // namespace sluice::sqlite
