#include <sluice/budget/allocation.hpp>

#include <sluice/core/text.hpp>

#include <algorithm>

namespace sluice::budget {
namespace {

// The most that the server accepts from us, and where that comes from.
struct Ceiling {
  std::uint32_t connections;
  std::string text;
};

Ceiling ceiling_of(const Answer& a) {
  const std::uint32_t open = a.max_connections > a.reserved ? a.max_connections - a.reserved : 0;
  std::string words = text("max_connections ", a.max_connections, " − ", a.reserved, " reserved");
  if (a.user_limit != 0 && a.user_limit < open) return {a.user_limit, text("the role's or database's connection limit ", a.user_limit)};
  return {open, words};
}

}  // namespace

Verdict decide(const Request& r) {
  Verdict v;
  std::string total_text;
  if (r.configured_total != 0) {
    v.total = r.configured_total;
    total_text = text("total ", v.total);
  } else if (r.answer) {
    const Ceiling ceiling = ceiling_of(*r.answer);
    v.total = auto_total(ceiling.connections, 0, r.headroom_percent);
    total_text = text("total ", v.total, " = floor((", ceiling.text, ") × ", 100 - r.headroom_percent, " %)");
  }
  v.budget = budget_of(v.total, r.instances);
  const std::uint32_t shared = v.budget > r.confirm ? v.budget - r.confirm : 0;
  const std::string budget_text =
      r.instances == 1 ? text("budget ", v.budget) : text("budget ", v.budget, " = floor(", v.total, " / ", r.instances, " instances)");
  v.arithmetic = text("server '", r.server, "': ", total_text, ", ", budget_text, r.confirm ? text(", ", r.confirm, " kept to confirm closes") : std::string(), ", ",
                      shared, " shared by ", r.workers, r.workers == 1 ? " worker" : " workers");

  const auto refuse = [&v](const std::string& why) {
    v.refused = true;
    v.arithmetic += "; " + why;
    return v;
  };
  const std::uint64_t needed = std::uint64_t{r.workers} * r.floor + r.confirm;
  if (v.budget < needed)
    return refuse(text("refused: ", r.workers, " workers × floor ", r.floor, " + ", r.confirm, " = ", needed, " > ", v.budget, "; raise servers.", r.server,
                       ".total or run fewer workers"));
  if (v.budget > r.capacity)
    return refuse(text("refused: budget ", v.budget, " > capacity ", r.capacity, "; raise servers.", r.server, ".capacity and start again"));
  if (r.configured_total != 0 && r.answer) {
    const Ceiling ceiling = ceiling_of(*r.answer);
    if (v.total > ceiling.connections)
      return refuse(text("refused: the server accepts ", ceiling.connections, " (", ceiling.text, "); lower servers.", r.server, ".total"));
    if (std::uint64_t{v.total} * 100 > std::uint64_t{ceiling.connections} * 80)
      v.warning = text("servers.", r.server, ".total ", v.total, " is more than 80 % of the ", ceiling.connections, " connections that the server accepts (", ceiling.text,
                       "); leave room for people and tools");
  }
  v.arithmetic += text(": ", shared / std::max(1u, r.workers), shared % std::max(1u, r.workers) ? text(" to ", shared / std::max(1u, r.workers) + 1) : std::string(),
                       " each");
  return v;
}

}  // namespace sluice::budget
