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
awaitable<std::optional<std::int64_t>> user_id(sql::Transaction& transaction, const NewOrder& order, bool on_mysql) {
  if (const auto* id = std::get_if<std::int64_t>(&order.user)) {
    const sql::Rows rows = co_await transaction.query("SELECT id FROM users WHERE id = $1", *id);
    if (rows.empty()) co_return std::nullopt;
    co_return *id;
  }
  const NewUser& user = std::get<NewUser>(order.user);
  if (on_mysql) {  // an insert's id is all that it can say, so the id of an existing user is made to look like one
    const sql::Rows made = co_await transaction.query(
        "INSERT INTO users (name, email) VALUES ($1, $2) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id)", user.name, user.email);
    co_return made.last_insert_id();
  }
  // An update that changes nothing, because DO NOTHING would return no row.
  const sql::Rows rows = co_await transaction.query(
      "INSERT INTO users (name, email) VALUES ($1, $2) ON CONFLICT (email) DO UPDATE SET email = excluded.email RETURNING id", user.name, user.email);
  co_return rows[0]["id"].as<std::int64_t>();
}

// The new order, or no row: there is one under this key.
awaitable<sql::Rows> insert(sql::Transaction& transaction, std::int64_t user, const NewOrder& order, const std::optional<std::string>& key,
                            const std::string& request, bool on_mysql) {
  const std::string statement =
      "INSERT INTO orders (user_id, item, quantity, amount_cents, idempotency_key, request) VALUES ($1, $2, $3, $4, $5, $6)";
  const std::string columns = "id, user_id, item, quantity, amount_cents, created_at";
  if (!on_mysql) {
    const std::string once = statement + " ON CONFLICT (idempotency_key) DO NOTHING RETURNING " + columns;
    co_return co_await transaction.query(once, user, order.item, order.quantity, order.amount_cents, key, request);
  }
  std::int64_t id = 0;
  try {
    const sql::Rows made = co_await transaction.query(statement, user, order.item, order.quantity, order.amount_cents, key, request);
    id = made.last_insert_id();
  } catch (const sql::SqlError& e) {
    if (e.error_class() != sql::Class::unique_violation) throw;
  }
  if (id == 0) co_return sql::Rows();
  const std::string made = "SELECT " + columns + " FROM orders WHERE id = $1";
  co_return co_await transaction.query(made, id);
}

awaitable<Placed> repeated(sql::Database& db, const std::string& key, const std::string& request) {
  const sql::Rows rows =
      co_await db.query("SELECT id, user_id, item, quantity, amount_cents, created_at, request FROM orders WHERE idempotency_key = $1", key);
  if (rows.empty()) throw HttpError(409, "the order under this key is being removed; try again", "Idempotency-Key");
  if (rows[0]["request"].as<std::string>() != request) throw HttpError(422, "was used for another order", "Idempotency-Key");
  co_return Placed{order_of(rows[0]), true};
}

}  // namespace

awaitable<Placed> place(sql::Database& db, NewOrder order, std::optional<std::string> key, std::string channel) {
  const std::string request = canonical(order);
  sql::Transaction transaction = co_await db.begin();
  const std::optional<std::int64_t> user = co_await user_id(transaction, order, db.dialect() == sql::Dialect::mysql);
  if (!user) {
    co_await transaction.rollback();
    throw HttpError(400, sluice::text("there is no user ", std::get<std::int64_t>(order.user)), "user");
  }
  // Of two requests with one key the second waits here for the first, and then finds its order instead of making one.
  const sql::Rows rows = co_await insert(transaction, *user, order, key, request, db.dialect() == sql::Dialect::mysql);
  if (rows.empty()) {
    co_await transaction.rollback();
    co_return co_await repeated(db, *key, request);
  }
  Placed placed;
  placed.order = order_of(rows[0]);
  const std::string payload = to_json(placed.order).dump();
  co_await transaction.execute("INSERT INTO outbox (order_id, topic, payload) VALUES ($1, $2, $3)", placed.order.id, "order.placed", payload);
  if (!channel.empty()) co_await transaction.query("SELECT pg_notify($1, '')", channel);
  co_await transaction.commit();
  co_return placed;
}

awaitable<std::optional<Order>> find(sql::Database& db, std::int64_t id) {
  const sql::Rows rows = co_await db.query("SELECT id, user_id, item, quantity, amount_cents, created_at FROM orders WHERE id = $1", id);
  if (rows.empty()) co_return std::nullopt;
  co_return order_of(rows[0]);
}

}  // namespace orders
