#include <sluice/core/text.hpp>
#include <sluice/sql/error.hpp>
#include <sluice/sql/value.hpp>

#include <limits>
#include <utility>

namespace sluice::sql {

Value encode(std::nullptr_t) { return Null{}; }
Value encode(Null) { return Null{}; }
Value encode(bool v) { return v; }
Value encode(std::string v) { return Value(std::move(v)); }
Value encode(std::string_view v) { return Value(std::string(v)); }
Value encode(const char* v) { return v ? Value(std::string(v)) : Value(Null{}); }
Value encode(Bytes v) { return Value(std::move(v)); }

Value encode_unsigned(std::uint64_t v) {
  if (v > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    throw SqlError(Phase::encode, Class::type, "", 0, text("parameter ", v, " does not fit: SQL integers end at 9223372036854775807"));
  return Value(static_cast<std::int64_t>(v));
}

const char* type_name(const Value& v) noexcept {
  constexpr const char* names[] = {"NULL", "boolean", "integer", "floating point", "text", "bytes", "timestamp"};
  static_assert(std::size(names) == std::variant_size_v<Value>);
  return v.valueless_by_exception() ? "nothing" : names[v.index()];
}

}  // namespace sluice::sql
