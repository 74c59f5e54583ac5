#include <sluice/supervise/fleet.hpp>

#include <sluice/core/text.hpp>

#include <algorithm>

namespace sluice::supervise {

ScalePlan plan_scale(std::span<const SlotMachine> slots, std::uint32_t kind, std::string_view kind_name, std::int64_t target, bool relative) {
  ScalePlan plan;
  std::vector<std::uint32_t> mine, empty;
  for (std::uint32_t i = 0; i < slots.size(); ++i) {
    if (slots[i].wanted() && slots[i].kind() == kind && !slots[i].surge())
      mine.push_back(i);
    else if (!slots[i].wanted() && !slots[i].alive())
      empty.push_back(i);
  }
  plan.before = static_cast<std::uint32_t>(mine.size());
  const std::int64_t after = relative ? static_cast<std::int64_t>(plan.before) + target : target;
  if (after < 0) {
    plan.refusal = text("cannot scale ", kind_name, " to ", after, ": there are ", plan.before, " workers of this kind; remove at most ", plan.before);
    return plan;
  }
  if (after > static_cast<std::int64_t>(slots.size())) {
    plan.refusal = text("cannot scale ", kind_name, " to ", after, ": the instance was started with max_workers ", slots.size(), "; raise max_workers and start again");
    return plan;
  }
  plan.after = static_cast<std::uint32_t>(after);
  if (plan.after > plan.before) {
    const std::uint32_t missing = plan.after - plan.before;
    if (missing > empty.size()) {
      plan.refusal = text("cannot scale ", kind_name, " to ", after, ": ", missing, " slots are needed and ", empty.size(), " of max_workers ", slots.size(),
                          " are empty (draining workers keep theirs until they have ended); try again, or raise max_workers and start again");
      return plan;
    }
    plan.add.assign(empty.begin(), empty.begin() + missing);
  } else {
    // Failed ones first, then the highest numbers.
    std::stable_partition(mine.begin(), mine.end(), [&](std::uint32_t i) { return slots[i].state() != SlotState::failed; });
    plan.remove.assign(mine.rbegin(), mine.rbegin() + (plan.before - plan.after));
  }
  return plan;
}

}  // namespace sluice::supervise
