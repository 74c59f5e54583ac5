// A parameter or a column's value. Integers are 64-bit, timestamps are UTC microseconds.
#pragma once

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

struct Null {
  friend bool operator==(Null, Null) = default;
};
using Bytes = std::vector<std::byte>;
using Timestamp = std::chrono::sys_time<std::chrono::microseconds>;

using Value = std::variant<Null, bool, std::int64_t, double, std::string, Bytes, Timestamp>;

// Encodes an argument of query(): bool, any integer (unsigned above 2^63-1 throws SqlError encode), floating point, text,
// Bytes, any system_clock time point, Null/nullptr/nullopt, std::optional of those.
Value encode(std::nullptr_t);
Value encode(Null);
Value encode(bool v);
Value encode_unsigned(std::uint64_t v);
template <std::signed_integral T>
Value encode(T v) { return Value(static_cast<std::int64_t>(v)); }
template <std::unsigned_integral T>
  requires(!std::same_as<T, bool>)
Value encode(T v) { return encode_unsigned(v); }
template <std::floating_point T>
Value encode(T v) { return Value(static_cast<double>(v)); }
Value encode(std::string v);
Value encode(std::string_view v);
Value encode(const char* v);
Value encode(Bytes v);
template <class D>
Value encode(std::chrono::sys_time<D> t) { return Value(std::chrono::floor<std::chrono::microseconds>(t)); }
template <class T>
Value encode(const std::optional<T>& v) { return v ? encode(*v) : Value(Null{}); }

// "integer", "text", …: the value's class, for messages.
const char* type_name(const Value& v) noexcept;

}  // namespace sluice::sql
