// Messages of a channel as they come (PostgreSQL's LISTEN/NOTIFY):
//
//   sql::Listener orders = co_await db.listen("orders");
//   for (;;) { const sql::Notification n = co_await orders.next(); … }
//
// It holds one connection of the pool for as long as it lives, and is no leak. A lost connection is SqlError(lost): listen anew, and look for what came
// meanwhile, for messages are not kept for those who are away. Further channels may be added. One loop's own.
#pragma once

#include <sluice/pool/lease.hpp>
#include <sluice/sql/session.hpp>

namespace sluice::sql {

class Listener {
 public:
  explicit Listener(pool::Lease lease) : held_(std::move(lease)) {}
  Listener(Listener&&) noexcept = default;
  Listener& operator=(Listener&&) noexcept = default;

  awaitable<void> add(std::string channel) { return session().listen(std::move(channel), Deadline::never()); }
  // Waits for ever, or throws TimedOut after the limit; either way nothing that comes later is missed.
  awaitable<Notification> next() { return session().next_notification(Deadline::never()); }
  awaitable<Notification> next(Within limit) { return session().next_notification(Deadline::after(limit.limit)); }

 private:
  Session& session() const {
    if (!held_.connection()) throw Error("the listener was moved from");
    return static_cast<Session&>(*held_.connection());
  }
  pool::Pinned held_;
};

}  // namespace sluice::sql
