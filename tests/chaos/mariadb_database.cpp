#include "database.hpp"

#include "support/mariadb.hpp"
#include "support/relay.hpp"

#include <mutex>

namespace chaos {
namespace {

using sluice::test::MariaDbServer;

class MariaDatabase final : public Database {
 public:
  MariaDatabase() {
    server_.start();
    server_.query("CREATE TABLE writes (id BIGINT NOT NULL) ENGINE=InnoDB");
    server_.query("CREATE TABLE burden (n BIGINT NOT NULL, t VARCHAR(200)) ENGINE=InnoDB");
  }

  std::string name() const override { return "MariaDB"; }
  std::uint16_t port() const override { return static_cast<std::uint16_t>(server_.port()); }
  std::string url(std::uint16_t port, const std::string& scheme_prefix) const override {
    return scheme_prefix + "mysql://app:secret@127.0.0.1:" + std::to_string(port) + "/app";
  }

  void stop(Outage how) override {
    const std::lock_guard lock(mutex_);
    if (how == Outage::orderly)
      server_.stop();
    else
      server_.kill_hard();
  }
  void start() override {
    const std::lock_guard lock(mutex_);
    server_.start();
  }

  // The server logs no refusal; its own count (of its present life) is only for the reader.
  std::size_t refused(const sluice::test::Relay& relay) override { return relay.totals().too_many; }
  std::string refusals() override {
    const std::lock_guard lock(mutex_);
    return "the server's own count since its start: " + std::to_string(server_.refused()) + "\n";
  }
  int sessions() override {
    const std::lock_guard lock(mutex_);
    return static_cast<int>(server_.sessions().size());
  }
  std::map<std::int64_t, int> writes() override {
    const std::lock_guard lock(mutex_);
    std::map<std::int64_t, int> out;
    for (const auto& row : server_.query("SELECT id, COUNT(*) FROM writes GROUP BY id")) out[std::stoll(row[0])] = std::stoi(row[1]);
    return out;
  }

 private:
  std::mutex mutex_;
  // 17 for the application and one for the observer, who as a superuser could even be one above. What is acknowledged must
  // survive a kill of the server.
  MariaDbServer server_{
      {.max_connections = permits + 1, .ssl = false, .settings = {{"connect_timeout", "2"}, {"innodb_flush_log_at_trx_commit", "2"}}}};
};

}  // namespace

std::unique_ptr<Database> make_mariadb() {
  if (!MariaDbServer::require()) return nullptr;
  return std::make_unique<MariaDatabase>();
}

}  // namespace chaos
