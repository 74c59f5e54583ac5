#include "database.hpp"

#include "support/postgres.hpp"

#include <mutex>
#include <sstream>

namespace chaos {
namespace {

using sluice::test::PostgresServer;

class PostgresDatabase final : public Database {
 public:
  PostgresDatabase() {
    server_.start();
    server_.query("CREATE TABLE writes (id bigint NOT NULL)");
    server_.query("ALTER TABLE writes OWNER TO app");  // `burden` is made of temporary tables here
  }

  std::string name() const override { return "PostgreSQL"; }
  std::uint16_t port() const override { return static_cast<std::uint16_t>(server_.port()); }
  std::string url(std::uint16_t port, const std::string& scheme_prefix) const override {
    return scheme_prefix + "postgresql://app:secret@127.0.0.1:" + std::to_string(port) + "/app";
  }

  void stop(Outage how) override {
    const std::lock_guard lock(mutex_);
    switch (how) {
      case Outage::orderly: server_.stop(PostgresServer::Stop::fast); break;
      case Outage::crash: server_.stop(PostgresServer::Stop::immediate); break;
      case Outage::kill: server_.kill_hard(); break;
    }
  }
  void start() override {
    const std::lock_guard lock(mutex_);
    server_.start();
  }

  std::size_t refused(const sluice::test::Relay&) override {
    const std::lock_guard lock(mutex_);
    return server_.refused();
  }
  std::string refusals() override {
    const std::lock_guard lock(mutex_);
    std::istringstream lines(server_.log());
    std::string line, out;
    while (std::getline(lines, line))
      if (line.find("too many") != line.npos || line.find("slots are reserved") != line.npos) out += line + "\n";
    return out;
  }
  int sessions() override {
    const std::lock_guard lock(mutex_);
    return std::stoi(server_.query("SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'")[0][0]);
  }
  std::map<std::int64_t, int> writes() override {
    const std::lock_guard lock(mutex_);
    std::map<std::int64_t, int> out;
    for (const auto& row : server_.query("SELECT id, count(*) FROM writes GROUP BY id")) out[std::stoll(row[0])] = std::stoi(row[1]);
    return out;
  }

 private:
  std::mutex mutex_;
  // What is acknowledged must survive a crash of the server (of its processes: the machine stays).
  PostgresServer server_{{.max_connections = 20,
                          .ssl = false,
                          .settings = {{"superuser_reserved_connections", "2"}, {"authentication_timeout", "2s"}, {"synchronous_commit", "on"}}}};
};

}  // namespace

std::unique_ptr<Database> make_postgres() {
  if (!PostgresServer::require()) return nullptr;
  return std::make_unique<PostgresDatabase>();
}

}  // namespace chaos
