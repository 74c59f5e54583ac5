// One statement's time on the connection. However it ends, the connection's flags are right afterwards.
#pragma once

#include <sluice/drivers/mysql/session.hpp>

namespace sluice::mysql {

class MysqlSession::Turn {
 public:
  Turn(MysqlSession& session, const std::string& sql);
  ~Turn();
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  MysqlSession& session_;
};

// Sends nothing for a deadline that has passed.
void refuse_late(Deadline deadline, const std::string& sql);

}  // namespace sluice::mysql
