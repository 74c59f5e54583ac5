// A parameter or a column's value. Integers are 64-bit, timestamps are UTC microseconds.
#pragma once

#include <sluice/sql/types.hpp>

#include <nlohmann/json_fwd.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

namespace sluice::sql {

struct Array;

// std::uint64_t holds only what is above 2^63-1: everything smaller is std::int64_t.
using Value = std::variant<Null, bool, std::int64_t, double, std::string, Bytes, Timestamp, std::uint64_t, Decimal, Date, Time, Uuid, Array>;

// A list of values, NULL among them; of lists, if it has several dimensions. PostgreSQL only.
struct Array {
  std::vector<Value> elements;
  friend bool operator==(const Array& a, const Array& b);
};

// Encodes an argument of query(): bool, any integer, floating point, Decimal, text, Bytes, any system_clock time point (an
// instant), Date, Time or any std::chrono::duration (a time), Uuid, nlohmann::json (as text), Null/nullptr/nullopt, std::optional and
// std::vector of those (an array).
Value encode(std::nullptr_t);
Value encode(Null);
Value encode(bool v);
Value encode_unsigned(std::uint64_t v);
Value encode_json(const nlohmann::json& v);
Value encode(std::string v);
Value encode(std::string_view v);
Value encode(const char* v);
Value encode(Bytes v);
Value encode(Decimal v);
Value encode(Date v);
Value encode(Time v);
Value encode(const Uuid& v);
Value encode(Array v);
template <std::signed_integral T>
Value encode(T v) {
  return Value(static_cast<std::int64_t>(v));
}
template <std::unsigned_integral T>
requires(!std::same_as<T, bool>) Value encode(T v) { return encode_unsigned(v); }
template <std::floating_point T>
Value encode(T v) {
  return Value(static_cast<double>(v));
}
template <class D>
Value encode(std::chrono::sys_time<D> t) {
  return Value(std::chrono::floor<std::chrono::microseconds>(t));
}
template <class Rep, class Period>
Value encode(std::chrono::duration<Rep, Period> d) {
  return Value(Time{std::chrono::floor<std::chrono::microseconds>(d)});
}
// A template, so that nothing is turned into JSON on the quiet.
template <std::same_as<nlohmann::json> Json>
Value encode(const Json& v) {
  return encode_json(v);
}
template <class T>
Value encode(const std::optional<T>& v);
template <class T>
requires(!std::same_as<T, std::byte>) Value encode(const std::vector<T>& v);

template <class T>
Value encode(const std::optional<T>& v) {
  return v ? encode(*v) : Value(Null{});
}
template <class T>
requires(!std::same_as<T, std::byte>) Value encode(const std::vector<T>& v) {
  Array array;
  array.elements.reserve(v.size());
  for (const T& element : v) array.elements.push_back(encode(element));
  return Value(std::move(array));
}

// "integer", "text", …: the value's class, for messages.
const char* type_name(const Value& v) noexcept;

}  // namespace sluice::sql
