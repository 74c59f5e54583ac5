#include "store.hpp"

#include <sluice/core/text.hpp>

namespace orders {
namespace {

using sluice::awaitable;
using sluice::HttpError;
namespace sql = sluice::sql;

Order order_of(const sql::Row& row) {
  Order order;
  order.id = row["id"].as<std::int64_t>();
  order.user = row["user_id"].as<std::int64_t>();
  order.item = row["item"].as<std::string>();
  order.quantity = row["quantity"].as<std::int64_t>();
  order.amount_cents = row["amount_cents"].as<std::int64_t>();
  order.created_at = row["created_at"].as<sql::Timestamp>();
  return order;
}

// Nothing: there is no user with this id.
awaitable<std::optional<std::int64_t>> user_id(sql::Transaction& transaction, const NewOrder& order) {
  if (const auto* id = std::get_if<std::int64_t>(&order.user)) {
    const sql::Rows rows = co_await transaction.query("SELECT id FROM users WHERE id = $1", *id);
    if (rows.empty()) co_return std::nullopt;
    co_return *id;
  }
  const NewUser& user = std::get<NewUser>(order.user);
  // An update that changes nothing, because DO NOTHING would return no row.
  const sql::Rows rows = co_await transaction.query(
      "INSERT INTO users (name, email) VALUES ($1, $2) ON CONFLICT (email) DO UPDATE SET email = excluded.email RETURNING id", user.name, user.email);
  co_return rows[0]["id"].as<std::int64_t>();
}

awaitable<Placed> repeated(sql::Database& db, const std::string& key, const std::string& request) {
  const sql::Rows rows = co_await db.query(
      "SELECT id, user_id, item, quantity, amount_cents, created_at, request FROM orders WHERE idempotency_key = $1", key);
  if (rows.empty()) throw HttpError(409, "the order under this key is being removed; try again", "Idempotency-Key");
  if (rows[0]["request"].as<std::string>() != request) throw HttpError(422, "was used for another order", "Idempotency-Key");
  co_return Placed{order_of(rows[0]), true};
}

}  // namespace

awaitable<Placed> place(sql::Database& db, NewOrder order, std::optional<std::string> key) {
  const std::string request = canonical(order);
  sql::Transaction transaction = co_await db.begin();
  const std::optional<std::int64_t> user = co_await user_id(transaction, order);
  if (!user) {
    co_await transaction.rollback();
    throw HttpError(400, sluice::text("there is no user ", std::get<std::int64_t>(order.user)), "user");
  }
  // Of two requests with one key the second waits here for the first, and then finds its order instead of making one.
  const sql::Rows rows = co_await transaction.query(
      "INSERT INTO orders (user_id, item, quantity, amount_cents, idempotency_key, request) VALUES ($1, $2, $3, $4, $5, $6) "
      "ON CONFLICT (idempotency_key) DO NOTHING RETURNING id, user_id, item, quantity, amount_cents, created_at",
      *user, order.item, order.quantity, order.amount_cents, key, request);
  if (rows.empty()) {
    co_await transaction.rollback();
    co_return co_await repeated(db, *key, request);
  }
  Placed placed;
  placed.order = order_of(rows[0]);
  const std::string payload = to_json(placed.order).dump();
  co_await transaction.execute("INSERT INTO outbox (order_id, topic, payload) VALUES ($1, $2, $3)", placed.order.id, "order.placed", payload);
  co_await transaction.commit();
  co_return placed;
}

awaitable<std::optional<Order>> find(sql::Database& db, std::int64_t id) {
  const sql::Rows rows = co_await db.query("SELECT id, user_id, item, quantity, amount_cents, created_at FROM orders WHERE id = $1", id);
  if (rows.empty()) co_return std::nullopt;
  co_return order_of(rows[0]);
}

}  // namespace orders
