#include <sluice/config/duration.hpp>
#include <sluice/core/text.hpp>

#include <charconv>

namespace sluice::config {
namespace {

struct Unit {
  std::string_view name;
  Duration length;
};
constexpr Unit units[] = {{"d", 24h}, {"h", 1h}, {"min", 1min}, {"s", 1s}, {"ms", 1ms}, {"us", 1us}, {"ns", 1ns}};
constexpr Duration longest = 24h * 36500;

}  // namespace

Parsed<Duration> parse_duration(std::string_view text) {
  using P = Parsed<Duration>;
  if (text.starts_with('-')) return P::wrong("a duration cannot be negative");
  constexpr std::string_view remedy = "is not a duration; write a number and a unit (ns us ms s min h d), such as \"30s\"";
  if (text.empty() || text[0] < '0' || text[0] > '9') return P::wrong(std::string(remedy));  // from_chars also reads "nan"
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc{}) return P::wrong(std::string(remedy));
  std::string_view name(end, static_cast<std::size_t>(text.data() + text.size() - end));
  while (name.starts_with(' ')) name.remove_prefix(1);
  const std::string_view digits = text.substr(0, static_cast<std::size_t>(end - text.data()));
  if (name.empty()) return P::wrong(sluice::text("a duration needs a unit; write \"", digits, "s\" (units: ns us ms s min h d)"));
  if (name == "m") return P::wrong(sluice::text("\"m\" could be minutes or milliseconds; write \"", digits, "min\" or \"", digits, "ms\""));
  for (const Unit& unit : units) {
    if (unit.name != name) continue;
    if (number > static_cast<double>(longest / unit.length)) return P::wrong("is too long; the longest duration is 36500d");
    const auto whole = static_cast<Duration::rep>(number);
    // Whole units exactly, the fraction to the nearest nanosecond.
    const double fraction = (number - static_cast<double>(whole)) * static_cast<double>(unit.length.count());
    return unit.length * whole + Duration(static_cast<Duration::rep>(fraction + 0.5));
  }
  return P::wrong("has an unknown unit; the units are ns us ms s min h d");
}

std::string format_duration(Duration duration) {
  if (duration == Duration::zero()) return "0s";
  for (const Unit& unit : units) {
    if (duration % unit.length == Duration::zero()) return text(duration / unit.length, unit.name);
  }
  return text(duration.count(), "ns");
}

}  // namespace sluice::config
