// From settings to a session: resolve the name off the loop, then try address by address, one TLS mode at a time.
//
// Throws ConnectFailed. Every attempt that does not lead to a session is closed like any other connection, and the next
// one starts only when the server is proven to have let the last one go: never two sessions for one permit.
#pragma once

#include <sluice/drivers/postgres/session.hpp>
#include <sluice/drivers/postgres/settings.hpp>

#include <memory>

namespace sluice::postgres {

class Dialer {
 public:
  explicit Dialer(Settings settings) : settings_(std::move(settings)) {}

  const Settings& settings() const noexcept { return settings_; }
  // Gives up by the deadline, plus close_timeout to make sure that the server let go; a cancelled coroutine likewise.
  awaitable<std::unique_ptr<PostgresSession>> dial(Deadline deadline);

 private:
  struct Attempt;
  awaitable<void> try_all(Deadline deadline, Attempt& attempt);
  awaitable<void> try_once(const std::string& address, TlsMode tls, Deadline deadline, Attempt& attempt);
  awaitable<void> negotiate(Wire& wire, Deadline deadline, Attempt& attempt);
  awaitable<void> identify(PostgresSession& session, Deadline deadline, Attempt& attempt);

  Settings settings_;
  bool startup_options_ = true;  // false once a server or pooler refused them
  bool warned_of_pooler_ = false;
};

}  // namespace sluice::postgres
