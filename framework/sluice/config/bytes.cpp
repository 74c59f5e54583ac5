#include <sluice/config/bytes.hpp>
#include <sluice/core/text.hpp>

#include <charconv>
#include <limits>

namespace sluice::config {
namespace {

struct Unit {
  std::string_view name;
  unsigned shift;
};
constexpr Unit units[] = {{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}, {"B", 0}};

}  // namespace

Parsed<std::uint64_t> parse_bytes(std::string_view text) {
  using P = Parsed<std::uint64_t>;
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc::result_out_of_range) return P::wrong("is too large for a size");
  if (error != std::errc{}) return P::wrong("is not a size; write bytes or a number with KiB, MiB, GiB, such as \"64KiB\"");
  std::string_view name(end, static_cast<std::size_t>(text.data() + text.size() - end));
  while (name.starts_with(' ')) name.remove_prefix(1);
  if (name.empty()) return number;
  for (const Unit& unit : units) {
    if (unit.name != name) continue;
    if (number > std::numeric_limits<std::uint64_t>::max() >> unit.shift) return P::wrong("is too large for a size");
    return number << unit.shift;
  }
  return P::wrong("has an unknown unit; the units are B, KiB, MiB, GiB, TiB (powers of 1024)");
}

std::string format_bytes(std::uint64_t bytes) {
  for (const Unit& unit : units) {
    if (unit.shift != 0 && bytes != 0 && bytes % (std::uint64_t{1} << unit.shift) == 0) return text(bytes >> unit.shift, unit.name);
  }
  return text(bytes);
}

}  // namespace sluice::config
