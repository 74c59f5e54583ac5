// LISTEN and what comes of it.
#include <sluice/drivers/postgres/turn.hpp>

#include <libpq-fe.h>

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>
#include <utility>

namespace sluice::postgres {

awaitable<void> PostgresSession::listen(std::string channel, Deadline deadline) {
  const std::string sql = "LISTEN " + quoted(channel);
  const Turn turn(*this, sql);
  state_changed_ = true;
  listening_ = true;
  Result result = co_await simple(sql, deadline);
  check(result.get(), sql::Phase::execute, sql);
}

awaitable<sql::Notification> PostgresSession::next_notification(Deadline deadline) {
  const std::string sql = "LISTEN";
  const Turn turn(*this, sql);
  for (;;) {
    keep_notifications();
    if (!notifications_.empty()) {
      sql::Notification notification = std::move(notifications_.front());
      notifications_.pop_front();
      co_return notification;
    }
    // The server's goodbye (it was stopped, or ended this session) comes between statements here.
    if (PQstatus(wire_->get()) != CONNECTION_OK) lost(nullptr, sql);
    const Wake wake = co_await wire_->wait(true, false, deadline);
    if (wake == Wake::cancelled) throw boost::system::system_error(asio::error::operation_aborted);
    if (wake == Wake::expired) throw TimedOut("no notification came before the deadline");
    if (PQconsumeInput(wire_->get()) == 0) lost(nullptr, sql);
  }
}

}  // namespace sluice::postgres
