#include <sluice/config/worker_counts.hpp>
#include <sluice/core/text.hpp>

#include <charconv>

namespace sluice::config {
namespace {

constexpr int most = 1024;
constexpr std::string_view remedy = "write a number from 1 to 1024, \"auto\", or counts by kind such as \"web=4,jobs=2\"";

std::optional<int> parse_count(std::string_view text) {
  if (text == "auto" || text == "all" || text == "-1") return WorkerCounts::automatic;
  int count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc{} || end != text.data() + text.size() || count < 0 || count > most) return std::nullopt;
  return count;
}

std::string format_count(int count) { return count == WorkerCounts::automatic ? "auto" : text(count); }

std::string_view trimmed(std::string_view s) {
  while (s.starts_with(' ')) s.remove_prefix(1);
  while (s.ends_with(' ')) s.remove_suffix(1);
  return s;
}

}  // namespace

Parsed<WorkerCounts> parse_workers(std::string_view text) {
  using P = Parsed<WorkerCounts>;
  WorkerCounts counts;
  if (text == "default") return counts;
  if (text.find('=') == text.npos) {
    counts.first_kind = parse_count(trimmed(text));
    if (!counts.first_kind || *counts.first_kind == 0) return P::wrong(sluice::text("is not a number of workers; ", remedy));
    return counts;
  }
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    text = comma == text.npos ? std::string_view{} : text.substr(comma + 1);
    const std::size_t equals = part.find('=');
    const std::string_view kind = trimmed(part.substr(0, equals));
    const auto count = equals == part.npos ? std::nullopt : parse_count(trimmed(part.substr(equals + 1)));
    if (kind.empty() || !count) return P::wrong(sluice::text("is not understood at \"", part, "\"; ", remedy));
    if (!counts.kinds.emplace(kind, *count).second) return P::wrong(sluice::text("names the kind ", kind, " twice"));
  }
  return counts;
}

std::string format_workers(const WorkerCounts& counts) {
  if (counts.first_kind) return format_count(*counts.first_kind);
  if (counts.kinds.empty()) return "default";
  std::string out;
  for (const auto& [kind, count] : counts.kinds) out += text(out.empty() ? "" : ",", kind, "=", format_count(count));
  return out;
}

}  // namespace sluice::config
