// An order as a client sends it, checked; and as it is kept.
#pragma once

#include <sluice/sql/value.hpp>
#include <sluice/workers/http.hpp>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <variant>

namespace orders {

struct NewUser {
  std::string name;
  std::string email;  // who it is: an unknown one is created
};

struct NewOrder {
  std::variant<std::int64_t, NewUser> user;  // an id, or by e-mail
  std::string item;
  std::int64_t quantity = 0;
  std::int64_t amount_cents = 0;
};

struct Order {
  std::int64_t id = 0;
  std::int64_t user = 0;
  std::string item;
  std::int64_t quantity = 0;
  std::int64_t amount_cents = 0;
  sluice::sql::Timestamp created_at;
};

// From the body of POST /orders. Throws HttpError(400).
NewOrder parse_order(const nlohmann::json& body);
// From the header Idempotency-Key. Throws HttpError(400).
std::optional<std::string> parse_idempotency_key(const sluice::Request& request);

// The same text for the same order, to tell a repeated request from another one under the same key.
std::string canonical(const NewOrder& order);
nlohmann::json to_json(const Order& order);

}  // namespace orders
