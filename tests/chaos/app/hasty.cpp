#include "hasty.hpp"

#include <sluice/pool/registry.hpp>
#include <sluice/sql/session.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace chaos {
namespace {

using sluice::awaitable;
using sluice::Deadline;
namespace config = sluice::config;
namespace pool = sluice::pool;
namespace sql = sluice::sql;

const std::string prefix = "hasty-";

class HastyConnector final : public sql::SqlConnector {
 public:
  explicit HastyConnector(std::unique_ptr<pool::Connector> real) : real_(std::move(real)) {}

  awaitable<std::unique_ptr<pool::Connection>> connect(Deadline deadline) override { return real_->connect(deadline); }
  awaitable<void> ping(pool::Connection& connection, Deadline deadline) override { return real_->ping(connection, deadline); }
  awaitable<void> reset(pool::Connection& connection, Deadline deadline) override { return real_->reset(connection, deadline); }
  // The very mistake: the goodbye is said, and nobody waits for the answer.
  awaitable<pool::CloseResult> close(std::unique_ptr<pool::Connection> connection, Deadline) noexcept override {
    connection.reset();
    co_return pool::CloseResult::confirmed;
  }
  std::uint32_t default_max() const noexcept override { return real_->default_max(); }
  sql::Dialect dialect() const noexcept override { return static_cast<const sql::SqlConnector&>(*real_).dialect(); }

 private:
  std::unique_ptr<pool::Connector> real_;
};

config::Pool plain(const config::Pool& hasty) {
  config::Pool pool = hasty;
  pool.url.erase(0, prefix.size());
  return pool;
}

std::unique_ptr<pool::Connector> make_connector(const config::Pool& hasty, const pool::Identity& identity) {
  const config::Pool pool = plain(hasty);
  return std::make_unique<HastyConnector>(pool::find_driver(pool::scheme_of(pool.url))->make_connector(pool, identity));
}

std::unique_ptr<pool::Inspector> make_inspector(const config::Pool& hasty, const pool::Identity& identity) {
  const config::Pool pool = plain(hasty);
  return pool::find_driver(pool::scheme_of(pool.url))->make_inspector(pool, identity);
}

}  // namespace

void register_hasty_drivers() {
  for (const std::string& scheme : pool::known_schemes()) {
    pool::Driver driver = *pool::find_driver(scheme);
    if (driver.local) continue;
    driver.schemes = {prefix + scheme};
    driver.make_connector = make_connector;
    driver.make_inspector = make_inspector;
    const pool::Register registered(std::move(driver));
  }
}

}  // namespace chaos
