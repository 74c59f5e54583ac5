// What the tests of the cluster share: one PostgreSQL of 20 connections (3 reserved, so the default budget is 13), one MariaDB, the checks
// that every test ends with, and the agreement between the permit table and the server.
#pragma once

#include <doctest/doctest.h>

#include "support/cluster.hpp"
#include "support/eventually.hpp"
#include "support/load.hpp"
#include "support/mariadb.hpp"
#include "support/postgres.hpp"
#include "support/session_watch.hpp"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace sluice::test {

inline constexpr int default_budget = 13;

// Where pool main keeps its data.
struct Database {
  PostgresServer* server = nullptr;
  MariaDbServer* mariadb = nullptr;
  // With neither: SQLite, a file in the cluster's directory.
  std::string url() const { return server ? server->url() : mariadb ? mariadb->url() : std::string(); }
  // From outside of the cluster, with all rights; NULL is "".
  std::vector<std::vector<std::string>> query(const Cluster& cluster, const std::string& sql) const;
};

// The shared server, running; null where none is installed (then the test returns; SLUICE_REQUIRE_SERVERS=1 makes it throw).
PostgresServer* postgres();
// The same, with connect_timeout = 2: how long a session may be invisible.
MariaDbServer* mariadb();

// Sessions of this cluster on the server.
std::vector<PostgresSession> sessions(PostgresServer& server, const Cluster& cluster);

// The url of a second role, which sees of the other's sessions little more than that they are there.
std::string second_role(PostgresServer& server);

// The process id of this cluster's session that runs pg_sleep; 0: there is none.
int sleeping_session(PostgresServer& server, const Cluster& cluster);

// The row of `ctl permits` with this session; null: there is none.
nlohmann::json permit_of(const Cluster& cluster, std::uint64_t session);

// Kills the worker in this slot and waits for its next life.
void kill_life(const Cluster& cluster, int slot);

// The server of pool main as `ctl status` shows it.
nlohmann::json main_server(const Cluster& cluster);

// Places orders; throws unless each is accepted.
void make_orders(const Cluster& cluster, int count);

// Asks until the worker in this slot answers (the test application: others say 409), for a connection reaches any worker.
http::Response ask_slot(const Cluster& cluster, const std::string& method, const std::string& path_and_query, int slot, Duration limit = std::chrono::seconds(10));

// "" if every row is free or idle and every session of the cluster has its row, and the other way round.
std::string disagreement(const Cluster& cluster, PostgresServer* server);
// Waits for that; what still disagrees after the limit.
std::string wait_agreement(const Cluster& cluster, PostgresServer* server, Duration limit);

// Stops the cluster gracefully and looks for what must not be left: processes, ports, files, sessions, sanitizer reports.
void check_clean_end(Cluster& cluster, PostgresServer* server = nullptr);
void check_clean_end(Cluster& cluster, MariaDbServer& server);
void check_clean_end(Cluster& cluster, const Database& database);

// The limits of pool main, slot by slot.
std::vector<int> limits(const Cluster& cluster);
// Connections held by each slot, in any state; the janitor's is not among them.
std::map<int, int> held_by_slot(const Cluster& cluster);

// The end of output and log is shown when a check fails.
#define SHOW_LOG_OF(cluster) INFO((cluster).tail())

}  // namespace sluice::test
