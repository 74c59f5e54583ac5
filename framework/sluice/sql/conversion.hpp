// What as<T>() does with one value. It knows where the value came from only to say so in an error.
//
// Conversions (anything else is SqlError(decode, type) naming the column, the asked type and what was found):
//   integers of any width   from integer in range; from decimal and text that is exactly one integer
//   bool                    from bool; from integer 0 or 1; from text "t", "f", "true", "false"
//   float, double           from floating point, integer, decimal; from text that is exactly one number
//   Decimal                 from decimal; from integer; from text that is a number. Not from floating point: that is not exact any more
//   std::string             from text; decimal, date, time and UUID as their text
//   Bytes                   from bytes
//   sys_time<D>             from timestamp; from date (midnight UTC); from text as parse_timestamp() reads it. Coarser D: rounded down
//   Date, Time, durations   from date, time; from their text
//   Uuid                    from UUID; from its text; from 16 bytes
//   nlohmann::json          from text that is JSON
//   std::vector<T>          from array, each element as T
//   std::optional<T>        NULL is nullopt, else as T. NULL into a plain T is an error
//   Value                   as it is
#pragma once

#include <sluice/sql/result_set.hpp>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>

namespace sluice::sql {

class Conversion {
 public:
  Conversion(const Value& value, const ResultSet& set, std::size_t cell) noexcept : value_(value), set_(set), cell_(cell) {}

  template <class T>
  T as() const {
    return to(static_cast<T*>(nullptr));
  }

 private:
  Value to(Value*) const { return value_; }
  bool to(bool*) const;
  std::string to(std::string*) const;
  Bytes to(Bytes*) const;
  Decimal to(Decimal*) const;
  Date to(Date*) const;
  Time to(Time*) const;
  Uuid to(Uuid*) const;
  nlohmann::json to(nlohmann::json*) const;
  template <std::signed_integral T>
  T to(T*) const {
    return static_cast<T>(integer(std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
  }
  template <std::unsigned_integral T>
  requires(!std::same_as<T, bool>) T to(T*)
  const { return static_cast<T>(unsigned_integer(std::numeric_limits<T>::max())); }
  template <std::floating_point T>
  T to(T*) const {
    return static_cast<T>(floating());
  }
  template <class D>
  std::chrono::sys_time<D> to(std::chrono::sys_time<D>*) const {
    return std::chrono::floor<D>(timestamp());
  }
  template <class Rep, class Period>
  std::chrono::duration<Rep, Period> to(std::chrono::duration<Rep, Period>*) const {
    return std::chrono::floor<std::chrono::duration<Rep, Period>>(as<Time>().since_midnight);
  }
  template <class T>
  std::optional<T> to(std::optional<T>*) const {
    if (std::holds_alternative<Null>(value_)) return std::nullopt;
    return as<T>();
  }
  template <class T>
  requires(!std::same_as<T, std::byte>) std::vector<T> to(std::vector<T>*)
  const {
    const std::vector<Value>& from = elements();
    std::vector<T> out;
    out.reserve(from.size());
    for (const Value& element : from) out.push_back(Conversion(element, set_, cell_).as<T>());
    return out;
  }

  std::int64_t integer(std::int64_t lowest, std::int64_t highest) const;
  std::uint64_t unsigned_integer(std::uint64_t highest) const;
  double floating() const;
  Timestamp timestamp() const;
  const std::vector<Value>& elements() const;
  const std::string* textual() const noexcept;  // of text and decimal
  [[noreturn]] void fail(const std::string& asked) const;

  const Value& value_;
  const ResultSet& set_;
  std::size_t cell_;
};

}  // namespace sluice::sql
