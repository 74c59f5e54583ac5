// The SQL types that C++ has no ready type for, and their texts. Plain values; usable on any thread.
//
// Texts are the forms that every backend reads: "2024-02-29" (" BC" behind for years before 1), "-838:59:59.000000",
// "f47ac10b-58cc-4372-a567-0e02b2c3d479". parse_…() gives nothing for any other text.
#pragma once

#include <boost/uuid/uuid.hpp>

#include <chrono>
#include <compare>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::sql {

struct Null {
  friend bool operator==(Null, Null) = default;
};
using Bytes = std::vector<std::byte>;
// An instant: UTC microseconds.
using Timestamp = std::chrono::sys_time<std::chrono::microseconds>;
// A day of the calendar, without zone. Years -32767 to 32767.
using Date = std::chrono::year_month_day;
using Uuid = boost::uuids::uuid;

// A time of day without zone; MariaDB's TIME is a span from -838:59:59 to 838:59:59, so it may be negative and long.
struct Time {
  std::chrono::microseconds since_midnight{0};
  friend auto operator<=>(const Time&, const Time&) = default;
};

// A number with a decimal point, exact: its digits as text. No arithmetic; equal means the same text (1.0 is not 1.00).
class Decimal {
 public:
  Decimal() : digits_("0") {}
  // Sign, digits, one point, exponent; or "NaN", "Infinity", "-Infinity". Anything else throws SqlError(encode, type).
  explicit Decimal(std::string_view digits);
  const std::string& text() const noexcept { return digits_; }
  static bool valid(std::string_view digits) noexcept;
  friend bool operator==(const Decimal&, const Decimal&) = default;

 private:
  std::string digits_;
};

std::string format_date(Date date);
std::optional<Date> parse_date(std::string_view text) noexcept;
std::string format_time(Time time);
std::optional<Time> parse_time(std::string_view text) noexcept;
// Lower case with hyphens; reading takes upper case, braces and no hyphens too.
std::string format_uuid(const Uuid& uuid);
std::optional<Uuid> parse_uuid(std::string_view text) noexcept;

// Whether the text is well-formed UTF-8 (no overlong forms, no surrogates, nothing above U+10FFFF).
bool valid_utf8(std::string_view text) noexcept;

}  // namespace sluice::sql
