#include "held_writes.hpp"

#include "support/sqlite.hpp"

#include <exception>
#include <stdexcept>
#include <string_view>

namespace sluice::test {
namespace {

// Which write a changed row of the outbox is, in words that all three databases understand.
std::string condition(Write write) {
  const std::string error = "COALESCE(NEW.last_error, '') <> COALESCE(OLD.last_error, '')";
  switch (write) {
    case Write::claim: return "NEW.attempts > OLD.attempts";
    case Write::renewal: return "NEW.attempts = OLD.attempts AND NEW.run_at <> OLD.run_at AND NOT " + error;
    case Write::mark: return "NEW.done_at IS NOT NULL AND OLD.done_at IS NULL";
    case Write::retry: return error + " AND NEW.dead_at IS NULL";
    case Write::dead: return "NEW.dead_at IS NOT NULL AND OLD.dead_at IS NULL";
  }
  throw std::logic_error("no such write");
}

// What the statement, as `ctl statements` shows it, has and the others have not.
std::string_view words(Write write) {
  switch (write) {
    case Write::claim: return "SET attempts = attempts + 1";
    case Write::renewal: return "+ $3 WHERE";
    case Write::mark: return "SET done_at";
    case Write::retry: return "last_error = $4";
    case Write::dead: return "SET dead_at";
  }
  throw std::logic_error("no such write");
}

std::string number(Write write, Step step) { return std::to_string(2 * static_cast<int>(write) + static_cast<int>(step)); }

}  // namespace

HeldWrites::HeldWrites(const Database& database, const Cluster& cluster) : database_(database), cluster_(cluster) { install(); }

HeldWrites::~HeldWrites() {
  try {
    if (database_.server) database_.server->query("SELECT pg_advisory_unlock_all(); DROP FUNCTION IF EXISTS hold_write CASCADE");
    if (!database_.mariadb) return;  // SQLite: the file goes with the cluster
    database_.mariadb->query("SELECT RELEASE_ALL_LOCKS()");
    for (const char* trigger : {"hold_sent", "hold_executed"}) database_.mariadb->query("DROP TRIGGER IF EXISTS " + std::string(trigger));
  } catch (const std::exception& e) {
    MESSAGE("triggers of the test are left: ", e.what());
  }
}

void HeldWrites::install() {
  const auto query = [&](const std::string& sql) { database_.query(cluster_, sql); };
  if (database_.server) {
    query("DROP FUNCTION IF EXISTS hold_write CASCADE");
    query("CREATE FUNCTION hold_write() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
          "PERFORM pg_advisory_xact_lock_shared(4711, TG_ARGV[0]::int); RETURN NEW; END $$");
    for (const Write write : all_writes) {
      const std::string name = "hold_" + std::to_string(static_cast<int>(write));
      const std::string when = " FOR EACH ROW WHEN (" + condition(write) + ") EXECUTE FUNCTION ";
      query("CREATE TRIGGER " + name + "_sent BEFORE UPDATE ON outbox" + when + "hold_write('" + number(write, Step::sent) + "')");
      // Deferred: within COMMIT.
      query("CREATE CONSTRAINT TRIGGER " + name + "_executed AFTER UPDATE ON outbox DEFERRABLE INITIALLY DEFERRED" + when + "hold_write('" +
            number(write, Step::executed) + "')");
    }
    return;
  }
  if (database_.mariadb) {
    for (const Step step : {Step::sent, Step::executed}) {
      std::string body;
      for (const Write write : all_writes) {
        const std::string lock = "'hold." + number(write, step) + "'";
        body += "IF " + condition(write) + " THEN DO GET_LOCK(" + lock + ", 300); DO RELEASE_LOCK(" + lock + "); END IF; ";
      }
      const std::string name = step == Step::sent ? "hold_sent" : "hold_executed";
      query("DROP TRIGGER IF EXISTS " + name);
      query("CREATE TRIGGER " + name + (step == Step::sent ? " BEFORE" : " AFTER") + " UPDATE ON outbox FOR EACH ROW BEGIN " + body + "END");
    }
    return;
  }
  query("CREATE TABLE held_writes (number INTEGER PRIMARY KEY)");
  for (const Write write : all_writes) {
    const std::string held = number(write, Step::executed);
    // A thousand users each: a million times a million rows.
    query("CREATE TRIGGER hold_" + held + " AFTER UPDATE ON outbox WHEN " + condition(write) +
          " AND EXISTS (SELECT 1 FROM held_writes WHERE number = " + held + ") BEGIN SELECT count(*) FROM users a, users b, users c, users d; END");
  }
}

void HeldWrites::hold(Write write, Step step) {
  held_ = write;
  const std::string held = number(write, step);
  if (database_.server)
    database_.server->query("SELECT pg_advisory_lock(4711, " + held + ")");
  else if (database_.mariadb)
    database_.mariadb->query("SELECT GET_LOCK('hold." + held + "', 10)");
  else
    database_.query(cluster_, "INSERT INTO held_writes VALUES (" + held + ")");
}

bool HeldWrites::waits() const {
  if (database_.server)
    return database_.server->query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 4711 AND NOT granted")[0][0] != "0";
  if (database_.mariadb)
    return database_.mariadb->query("SELECT count(*) FROM information_schema.PROCESSLIST WHERE STATE = 'User lock'")[0][0] != "0";
  bool running = false;
  for (const auto& statement : cluster_.ctl_json({"statements"}))
    if (statement.at("statement").get<std::string>().find(words(held_)) != std::string::npos) running = true;
  if (!running) return false;
  try {  // and it has the file to itself
    database_.query(cluster_, "BEGIN IMMEDIATE");
    return false;
  } catch (const std::runtime_error&) {
    return true;
  }
}

bool HeldWrites::release() {
  if (database_.server) {
    database_.server->query("SELECT pg_advisory_unlock_all()");
    return true;
  }
  if (database_.mariadb) {
    database_.mariadb->query("SELECT RELEASE_ALL_LOCKS()");
    return true;
  }
  try {
    database_.query(cluster_, "DELETE FROM held_writes");
    return true;
  } catch (const std::runtime_error&) {
    return false;
  }
}

}  // namespace sluice::test
