// Orders in the database. The statements are the same on SQLite and PostgreSQL.
#pragma once

#include "order.hpp"

#include <sluice/sql/database.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace orders {

struct Placed {
  Order order;
  bool repeated = false;  // it was there already, under the same idempotency key
};

// User (if new), order and outbox row in one transaction. Throws HttpError: 400 if there is no such user, 422 if the key
// belongs to another order. `channel` (PostgreSQL; "": none) is notified with the commit.
sluice::awaitable<Placed> place(sluice::sql::Database& db, NewOrder order, std::optional<std::string> key, std::string channel = {});

sluice::awaitable<std::optional<Order>> find(sluice::sql::Database& db, std::int64_t id);

}  // namespace orders
