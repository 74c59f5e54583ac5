// How the session's files make a call of the library:
//
//   auto step = [&](int ready) { return ready ? mysql_ping_cont(&failed, m, ready) : mysql_ping_start(&failed, m); };
//   Call call = start(step);
//   if (!call.done()) co_await finish(call, sql, deadline);
//
// Most answers are read in a call that need not wait, which then takes no coroutine.
#pragma once

#include <sluice/drivers/mysql/turn.hpp>

namespace sluice::mysql {

Report report_of(st_mysql_stmt* statement);

// What a caller hears of a statement past its deadline.
TimedOut ended_late(const std::string& sql);
TimedOut never_ended(const std::string& sql);

// REQUIRES: `step` is named before.
template <class Step>
Call MysqlSession::start(Step& step) {
  unfinished_ = true;
  return Call(*wire_, step);
}

}  // namespace sluice::mysql
