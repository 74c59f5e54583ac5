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

// REQUIRES: `step` is named before.
template <class Step>
Call MysqlSession::start(Step& step) {
  unfinished_ = true;
  return Call(*wire_, step);
}

}  // namespace sluice::mysql
