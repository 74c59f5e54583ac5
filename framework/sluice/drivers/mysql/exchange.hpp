// MysqlSession::perform(), for the files that make calls of the library.
#pragma once

#include <sluice/drivers/mysql/turn.hpp>

namespace sluice::mysql {

// Runs one call of the library to its end. Throws if the deadline passes and the server does not end the statement, or the
// coroutine is cancelled; what the call itself reports is the caller's to look at. REQUIRES: `step` is named before.
template <class Step>
awaitable<void> MysqlSession::perform(Step& step, const std::string& sql, Deadline deadline) {
  unfinished_ = true;
  Call call(*wire_, step);
  if (!call.done()) co_await finish(call, sql, deadline);
}

}  // namespace sluice::mysql
