// One statement's time on a PostgreSQL session. However it ends, the session's flags are right afterwards.
#pragma once

#include <sluice/drivers/postgres/session.hpp>

namespace sluice::postgres {

class PostgresSession::Turn {
 public:
  Turn(PostgresSession& session, const std::string& sql) : session_(session) {
    if (session.running_) {
      const std::string shown = sql::shorten(sql);
      throw sql::SqlError(sql::Phase::execute, sql::Class::other, "", 0, "another statement runs on this connection: await it first: " + shown,
                          shown);
    }
    if (session.broken) {
      const std::string shown = sql::shorten(sql);
      throw sql::SqlError(sql::Phase::lost, sql::Class::connection, "08003", 0, "this connection is broken, see its first error: " + shown, shown);
    }
    session.running_ = true;
  }
  ~Turn() {
    session_.running_ = false;
    if (session_.unfinished_) session_.broken = true;
    session_.dirty = session_.state_changed_ || session_.in_transaction();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  PostgresSession& session_;
};

// A statement whose time is over before it begins.
inline void refuse_late(Deadline deadline, const std::string& sql) {
  if (deadline.passed(Clock::now())) throw TimedOut("the deadline had passed before this was sent: " + sql::shorten(sql));
}

}  // namespace sluice::postgres
