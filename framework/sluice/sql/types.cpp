#include <sluice/core/text.hpp>
#include <sluice/sql/error.hpp>
#include <sluice/sql/types.hpp>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>

namespace sluice::sql {
namespace {

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

bool take(std::string_view& s, char c) noexcept {
  if (s.empty() || s.front() != c) return false;
  s.remove_prefix(1);
  return true;
}

// A number of `least` to `most` digits.
bool take_number(std::string_view& s, std::size_t least, std::size_t most, int& out) noexcept {
  std::size_t n = 0;
  while (n < s.size() && n <= most && is_digit(s[n])) ++n;
  if (n < least || n > most) return false;
  std::from_chars(s.data(), s.data() + n, out);
  s.remove_prefix(n);
  return true;
}

std::size_t take_digits(std::string_view& s) noexcept {
  std::size_t n = 0;
  while (n < s.size() && is_digit(s[n])) ++n;
  s.remove_prefix(n);
  return n;
}

}  // namespace

bool Decimal::valid(std::string_view s) noexcept {
  if (s == "NaN" || s == "Infinity" || s == "-Infinity") return true;
  if (!take(s, '-')) take(s, '+');
  const std::size_t whole = take_digits(s);
  const std::size_t fraction = take(s, '.') ? take_digits(s) : 0;
  if (whole + fraction == 0) return false;
  if (take(s, 'e') || take(s, 'E')) {
    if (!take(s, '-')) take(s, '+');
    if (take_digits(s) == 0) return false;
  }
  return s.empty();
}

Decimal::Decimal(std::string_view digits) : digits_(digits) {
  if (!valid(digits)) throw SqlError(Phase::encode, Class::type, "", 0, "a text that is no decimal number");
}

std::string format_date(Date date) {
  const int year = static_cast<int>(date.year());
  char out[32];
  std::snprintf(out, sizeof out, "%04d-%02u-%02u%s", year > 0 ? year : 1 - year, static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), year > 0 ? "" : " BC");
  return out;
}

std::optional<Date> parse_date(std::string_view s) noexcept {
  using namespace std::chrono;
  int y = 0, m = 0, d = 0;
  if (!take_number(s, 4, 5, y) || !take(s, '-') || !take_number(s, 2, 2, m) || !take(s, '-') || !take_number(s, 2, 2, d)) return std::nullopt;
  if (s == " BC") {
    y = 1 - y;
    s = {};
  }
  if (!s.empty() || y < static_cast<int>(year::min()) || y > static_cast<int>(year::max())) return std::nullopt;
  const Date date{year(y), month(static_cast<unsigned>(m)), day(static_cast<unsigned>(d))};
  return date.ok() ? std::optional(date) : std::nullopt;
}

std::string format_time(Time time) {
  const bool negative = time.since_midnight.count() < 0;
  const std::int64_t us = negative ? -time.since_midnight.count() : time.since_midnight.count();
  char out[48];
  std::snprintf(out, sizeof out, "%s%02lld:%02d:%02d.%06d", negative ? "-" : "", static_cast<long long>(us / 3'600'000'000),
                static_cast<int>(us / 60'000'000 % 60), static_cast<int>(us / 1'000'000 % 60), static_cast<int>(us % 1'000'000));
  return out;
}

std::optional<Time> parse_time(std::string_view s) noexcept {
  const bool negative = take(s, '-');
  int h = 0, m = 0, sec = 0, us = 0;
  if (!take_number(s, 1, 6, h) || !take(s, ':') || !take_number(s, 2, 2, m) || m > 59) return std::nullopt;
  if (take(s, ':')) {
    if (!take_number(s, 2, 2, sec) || sec > 59) return std::nullopt;
    if (take(s, '.')) {
      const std::size_t before = s.size();
      if (!take_number(s, 1, 6, us)) return std::nullopt;
      for (std::size_t digits = before - s.size(); digits < 6; ++digits) us *= 10;
    }
  }
  if (!s.empty()) return std::nullopt;
  const std::chrono::microseconds span = std::chrono::hours(h) + std::chrono::minutes(m) + std::chrono::seconds(sec) + std::chrono::microseconds(us);
  return Time{negative ? -span : span};
}

std::string format_uuid(const Uuid& uuid) {
  constexpr const char* hex = "0123456789abcdef";
  std::string out;
  out.reserve(36);
  for (std::size_t i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    out += hex[uuid.data[i] >> 4];
    out += hex[uuid.data[i] & 15];
  }
  return out;
}

std::optional<Uuid> parse_uuid(std::string_view s) noexcept {
  if (s.size() == 38 && s.front() == '{' && s.back() == '}') s = s.substr(1, 36);
  Uuid uuid{};
  std::size_t nibbles = 0;
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (s[i] == '-' && s.size() == 36 && (i == 8 || i == 13 || i == 18 || i == 23)) continue;
    const char c = static_cast<char>(s[i] | 0x20);
    const int value = is_digit(s[i]) ? s[i] - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (value < 0 || nibbles == 32) return std::nullopt;
    auto& byte = uuid.data[nibbles++ / 2];
    byte = static_cast<std::uint8_t>(byte << 4 | value);
  }
  return nibbles == 32 ? std::optional(uuid) : std::nullopt;
}

bool valid_utf8(std::string_view s) noexcept {
  const auto* p = reinterpret_cast<const unsigned char*>(s.data());
  const auto* const end = p + s.size();
  while (p < end) {
    // Eight ASCII characters at a time: what nearly all text is.
    for (std::uint64_t word = 0; end - p >= 8; p += 8) {
      std::memcpy(&word, p, 8);
      if (word & 0x8080808080808080u) break;
    }
    if (p == end) break;
    if (*p < 0x80) {
      ++p;
      continue;
    }
    const int length = *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : 2;
    if (*p < 0xc2 || *p > 0xf4 || end - p < length) return false;
    const unsigned second = p[1];
    const unsigned lowest = *p == 0xe0 ? 0xa0 : *p == 0xf0 ? 0x90 : 0x80, highest = *p == 0xed ? 0x9f : *p == 0xf4 ? 0x8f : 0xbf;
    if (second < lowest || second > highest) return false;
    for (int i = 2; i < length; ++i)
      if ((p[i] & 0xc0) != 0x80) return false;
    p += length;
  }
  return true;
}

}  // namespace sluice::sql
