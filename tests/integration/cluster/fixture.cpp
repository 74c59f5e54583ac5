#include "fixture.hpp"

#include <signal.h>
#include "support/sqlite.hpp"

#include <algorithm>
#include <set>
#include <stdexcept>
#include <utility>

namespace sluice::test {

PostgresServer* postgres() {
  if (!PostgresServer::require()) return nullptr;
  static PostgresServer server({.max_connections = 20, .settings = {{"authentication_timeout", "2s"}}});
  if (!server.running()) server.start();
  return &server;
}

MariaDbServer* mariadb() {
  if (!MariaDbServer::require()) return nullptr;
  static MariaDbServer server([] {
    MariaDbOptions options;
    options.settings["connect-timeout"] = "2";
    return options;
  }());
  if (!server.running()) server.start();
  return &server;
}

std::vector<std::vector<std::string>> Database::query(const Cluster& cluster, const std::string& sql) const {
  return server ? server->query(sql) : mariadb ? mariadb->query(sql) : query_sqlite(cluster.directory() / "orders.db", sql);
}

std::vector<PostgresSession> sessions(PostgresServer& server, const Cluster& cluster) { return server.sessions(cluster.instance() + "."); }

std::string second_role(PostgresServer& server) {
  server.query("DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'second') THEN CREATE ROLE second LOGIN PASSWORD 'other'; END IF; END $$");
  return server.url("second", "other");
}

int sleeping_session(PostgresServer& server, const Cluster& cluster) {
  for (const PostgresSession& session : sessions(server, cluster))
    if (session.state == "active" && session.query.find("pg_sleep") != std::string::npos) return session.pid;
  return 0;
}

nlohmann::json permit_of(const Cluster& cluster, std::uint64_t session) {
  const nlohmann::json permits = cluster.ctl_json({"permits"});
  for (const auto& permit : permits)
    if (permit.at("session") == session) return permit;
  return nullptr;
}

void kill_life(const Cluster& cluster, int slot) {
  const auto before = cluster.worker(slot);
  ::kill(before.at("pid").get<pid_t>(), SIGKILL);
  CHECK(cluster.wait_generation_above(slot, before.at("generation").get<std::uint64_t>(), 10s));
}

nlohmann::json main_server(const Cluster& cluster) {
  const nlohmann::json status = cluster.ctl_json({"status"});
  for (const auto& server : status.at("servers"))
    if (server.at("server") == "main") return server;
  throw std::runtime_error("no server main");
}

void make_orders(const Cluster& cluster, int count) {
  for (int user = 1; user <= count; ++user) {
    const auto response = cluster.post("/orders", R"({"user":)" + std::to_string(user) + R"(,"item":"book","quantity":1})",
                                       {{"Content-Type", "application/json"}});
    if (response.status > 299) throw std::runtime_error("POST /orders: " + std::to_string(response.status) + " " + response.body);
  }
}

http::Response ask_slot(const Cluster& cluster, const std::string& method, const std::string& path_and_query, int slot, Duration limit) {
  const std::string target = path_and_query + (path_and_query.find('?') == std::string::npos ? "?" : "&") + "slot=" + std::to_string(slot);
  http::Response response;
  const bool answered = eventually(limit, [&] {
    response = method == "GET" ? cluster.get(target, limit) : cluster.post(target, "", {}, limit);
    return response.status != 409;
  });
  if (!answered) throw std::runtime_error("worker " + std::to_string(slot) + " never answered " + target);
  return response;
}

std::string disagreement(const Cluster& cluster, PostgresServer* server) {
  std::string out;
  std::set<int> rows;
  for (const auto& row : cluster.ctl_json({"permits"})) {
    const std::string state = row.at("state");
    if (state != "free" && state != "idle") out += "row " + row.dump() + "\n";
    if (server && row.at("session").is_number()) rows.insert(row.at("session").get<int>());
  }
  if (!server) return out;
  std::set<int> seen;
  for (const PostgresSession& session : sessions(*server, cluster)) seen.insert(session.pid);
  for (const int pid : seen)
    if (!rows.contains(pid)) out += "session " + std::to_string(pid) + " has no row\n";
  for (const int pid : rows)
    if (!seen.contains(pid)) out += "row with session " + std::to_string(pid) + ", which the server does not know\n";
  return out;
}

std::string wait_agreement(const Cluster& cluster, PostgresServer* server, Duration limit) {
  std::string last;
  eventually(limit, [&] { return (last = disagreement(cluster, server)).empty(); });
  return last;
}

void check_clean_end(Cluster& cluster, PostgresServer* server) {
  INFO(cluster.tail());
  CHECK(cluster.stop() == 0);
  CHECK(cluster.leftovers() == "");
  if (server && server->running()) CHECK(sessions(*server, cluster).empty());
}

void check_clean_end(Cluster& cluster, MariaDbServer& server) {
  INFO(cluster.tail());
  CHECK(cluster.stop() == 0);
  CHECK(cluster.leftovers() == "");
  CHECK(eventually(1s, [&] { return server.sessions().empty(); }));
}

void check_clean_end(Cluster& cluster, const Database& database) {
  if (database.mariadb)
    check_clean_end(cluster, *database.mariadb);
  else
    check_clean_end(cluster, database.server);
}

std::vector<int> limits(const Cluster& cluster) {
  std::vector<std::pair<int, int>> by_slot;
  for (const auto& pool : cluster.ctl_json({"pools"}))
    if (pool.at("pool") == "main") by_slot.emplace_back(pool.at("slot").get<int>(), pool.at("limit").get<int>());
  std::sort(by_slot.begin(), by_slot.end());
  std::vector<int> out;
  for (const auto& [slot, limit] : by_slot) out.push_back(limit);
  return out;
}

std::map<int, int> held_by_slot(const Cluster& cluster) {
  std::map<int, int> held;
  for (const auto& row : cluster.ctl_json({"permits"})) {
    const std::string state = row.at("state");
    if (!row.at("slot").is_number()) continue;  // the janitor's
    if (state == "connecting" || state == "idle" || state == "leased" || state == "closing" || state == "granted") ++held[row.at("slot").get<int>()];
  }
  return held;
}

}  // namespace sluice::test
