#include "order.hpp"

#include "validation.hpp"

#include <sluice/core/text.hpp>
#include <sluice/sql/row.hpp>

#include <algorithm>

namespace orders {
namespace {

using nlohmann::json;
using sluice::HttpError;

constexpr std::size_t longest_key = 200;

std::variant<std::int64_t, NewUser> parse_user(const Fields& fields) {
  const auto it = fields.object.find("user");
  if (it != fields.object.end() && it->is_object()) {
    const Fields user{*it, "user."};
    std::string name = required_text(user, "name", 200);
    return NewUser{std::move(name), required_email(user, "email")};
  }
  if (it != fields.object.end() && !it->is_null() && !it->is_number_integer())
    throw HttpError(400, "must be a user's id, or an object with name and email", "user");
  return required_integer(fields, "user", 1, INT64_MAX);
}

// RFC 3339: "2026-11-20T10:59:08.144000Z".
std::string iso(sluice::sql::Timestamp time) {
  std::string out = sluice::sql::format_timestamp(time);
  std::replace(out.begin(), out.end(), ' ', 'T');
  return out.ends_with('Z') ? out : out + 'Z';
}

}  // namespace

NewOrder parse_order(const json& body) {
  if (!body.is_object()) throw HttpError(400, "must be a JSON object", "body");
  const Fields fields{body};
  NewOrder order;
  order.user = parse_user(fields);
  order.item = required_text(fields, "item", 200);
  order.quantity = required_integer(fields, "quantity", 1, 10'000);
  order.amount_cents = optional_integer(fields, "amount_cents", 0, 1'000'000'000'000, 0);
  return order;
}

std::optional<std::string> parse_idempotency_key(const sluice::Request& request) {
  const std::string* key = request.header("Idempotency-Key");
  if (!key) return std::nullopt;
  const bool printable = std::all_of(key->begin(), key->end(), [](char c) { return c > 0x20 && c < 0x7F; });
  if (key->empty() || key->size() > longest_key || !printable)
    throw HttpError(400, sluice::text("must be 1 to ", longest_key, " printable ASCII characters"), "Idempotency-Key");
  return *key;
}

std::string canonical(const NewOrder& order) {
  json out = {{"item", order.item}, {"quantity", order.quantity}, {"amount_cents", order.amount_cents}};
  if (const auto* user = std::get_if<NewUser>(&order.user)) out["user"] = {{"name", user->name}, {"email", user->email}};
  else out["user"] = std::get<std::int64_t>(order.user);
  return out.dump();
}

json to_json(const Order& order) {
  return {{"id", order.id},
          {"user", order.user},
          {"item", order.item},
          {"quantity", order.quantity},
          {"amount_cents", order.amount_cents},
          {"created_at", iso(order.created_at)}};
}

}  // namespace orders
