#include <sluice/sql/row.hpp>

#include <cstdio>

namespace sluice::sql {
namespace {

// Reads fixed-width decimal fields from the front of a text.
class Reader {
 public:
  explicit Reader(std::string_view text) noexcept : rest_(text) {}

  bool done() const noexcept { return rest_.empty(); }
  char peek() const noexcept { return rest_.empty() ? '\0' : rest_.front(); }
  bool take(char c) noexcept {
    if (peek() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool digit() const noexcept { return peek() >= '0' && peek() <= '9'; }
  bool number(int digits, int& out) noexcept {
    out = 0;
    for (int i = 0; i < digits; ++i) {
      if (!digit()) return false;
      out = out * 10 + (peek() - '0');
      rest_.remove_prefix(1);
    }
    return true;
  }
  // ".123456789" as microseconds; at least one digit, at most nine.
  bool decimals(int& micros) noexcept {
    int digits = 0;
    micros = 0;
    for (; digit() && digits < 9; ++digits) {
      if (digits < 6) micros = micros * 10 + (peek() - '0');
      rest_.remove_prefix(1);
    }
    for (int i = digits; i < 6; ++i) micros *= 10;
    return digits > 0 && !digit();
  }

 private:
  std::string_view rest_;
};

}  // namespace

std::optional<Timestamp> parse_timestamp(std::string_view text) noexcept {
  using namespace std::chrono;
  Reader in(text);
  int y = 0, mo = 0, d = 0, h = 0, mi = 0, s = 0, us = 0;
  if (!in.number(4, y) || !in.take('-') || !in.number(2, mo) || !in.take('-') || !in.number(2, d)) return std::nullopt;
  const year_month_day date{year(y), month(static_cast<unsigned>(mo)), day(static_cast<unsigned>(d))};
  if (!date.ok()) return std::nullopt;
  seconds offset{0};
  if (!in.done()) {
    if (!in.take(' ') && !in.take('T')) return std::nullopt;
    if (!in.number(2, h) || !in.take(':') || !in.number(2, mi)) return std::nullopt;
    if (in.take(':')) {
      if (!in.number(2, s)) return std::nullopt;
      if (in.take('.') && !in.decimals(us)) return std::nullopt;
    }
    if (h > 23 || mi > 59 || s > 59) return std::nullopt;
    const char zone = in.peek();
    if (zone == '+' || zone == '-') {
      in.take(zone);
      int zh = 0, zm = 0;
      if (!in.number(2, zh)) return std::nullopt;
      if ((in.take(':') || in.digit()) && !in.number(2, zm)) return std::nullopt;
      if (zh > 23 || zm > 59) return std::nullopt;
      offset = hours(zh) + minutes(zm);
      if (zone == '-') offset = -offset;
    } else {
      in.take('Z');
    }
    if (!in.done()) return std::nullopt;
  }
  return Timestamp(sys_days(date)) + hours(h) + minutes(mi) + seconds(s) + microseconds(us) - offset;
}

std::string format_timestamp(Timestamp t) {
  using namespace std::chrono;
  const auto midnight = floor<days>(t);
  const year_month_day date(midnight);
  const hh_mm_ss time(t - midnight);
  char out[64];
  std::snprintf(out, sizeof out, "%04d-%02u-%02u %02d:%02d:%02d.%06d", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                static_cast<int>(time.seconds().count()), static_cast<int>(time.subseconds().count()));
  return out;
}

}  // namespace sluice::sql
