// A deliberately slow summary of all orders.
#pragma once

#include <sluice/sql/database.hpp>

#include <cstdint>

namespace orders {

struct Report {
  std::int64_t orders = 0;
  std::int64_t amount_cents = 0;
};

// Works for about this many seconds, on the server: exactly on PostgreSQL (pg_sleep), by counting on SQLite. Throws TimedOut
// past `limit`; the statement has then been cancelled.
sluice::awaitable<Report> make_report(sluice::sql::Database& db, double seconds, sluice::Duration limit);

}  // namespace orders
