// From settings to a session: resolution, connect, TLS and login run as a whole on a thread of their own, for the library
// offers no way to do it in steps; then the connection goes to the loop.
//
// Throws ConnectFailed. Only an attempt that never reached the server, or that the server refused for want of a slot, is
// proven to have left nothing; whatever the library gives up later is closed on its thread, unproven.
#pragma once

#include <sluice/drivers/mysql/session.hpp>
#include <sluice/drivers/mysql/settings.hpp>

#include <memory>

namespace sluice::mysql {

class Dialer {
 public:
  explicit Dialer(Settings settings) : settings_(std::move(settings)) {}

  const Settings& settings() const noexcept { return settings_; }
  // Gives up by the deadline plus the second to which the library rounds its timeouts (close_timeout, if that is less); a
  // cancelled coroutine at once.
  awaitable<std::unique_ptr<MysqlSession>> dial(Deadline deadline);

 private:
  Settings settings_;
  bool warned_of_proxy_ = false;
};

}  // namespace sluice::mysql
