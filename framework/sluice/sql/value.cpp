#include <sluice/core/text.hpp>
#include <sluice/sql/error.hpp>
#include <sluice/sql/value.hpp>

#include <nlohmann/json.hpp>

#include <limits>
#include <utility>

namespace sluice::sql {

bool operator==(const Array& a, const Array& b) { return a.elements == b.elements; }

Value encode(std::nullptr_t) { return Null{}; }
Value encode(Null) { return Null{}; }
Value encode(bool v) { return v; }
Value encode(std::string v) { return Value(std::move(v)); }
Value encode(std::string_view v) { return Value(std::string(v)); }
Value encode(const char* v) { return v ? Value(std::string(v)) : Value(Null{}); }
Value encode(Bytes v) { return Value(std::move(v)); }
Value encode(Decimal v) { return Value(std::move(v)); }
Value encode(Date v) {
  if (!v.ok()) throw SqlError(Phase::encode, Class::type, "", 0, "a date that the calendar does not have");
  return Value(v);
}
Value encode(Time v) { return Value(v); }
Value encode(const Uuid& v) { return Value(v); }
Value encode(Array v) { return Value(std::move(v)); }

Value encode_unsigned(std::uint64_t v) {
  if (v > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return Value(v);
  return Value(static_cast<std::int64_t>(v));
}

Value encode_json(const nlohmann::json& v) {
  try {
    return Value(v.dump());
  } catch (const nlohmann::json::exception&) {
    throw SqlError(Phase::encode, Class::type, "", 0, "JSON that holds text that is not valid UTF-8");
  }
}

const char* type_name(const Value& v) noexcept {
  constexpr const char* names[] = {"NULL",    "boolean", "integer", "floating point", "text", "bytes", "timestamp",
                                   "integer", "decimal", "date",    "time",           "UUID", "array"};
  static_assert(std::size(names) == std::variant_size_v<Value>);
  return v.valueless_by_exception() ? "nothing" : names[v.index()];
}

}  // namespace sluice::sql
