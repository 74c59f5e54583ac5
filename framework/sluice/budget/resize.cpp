// How many permits are in force: the rows that are not `disabled`. Their number never exceeds the larger of the old and the new
// budget, at any instant: one that comes back is disabled before another takes its place.
#include <sluice/budget/permit_table.hpp>

#include <algorithm>

namespace sluice::budget {
namespace {

constexpr Owner free_row{RowState::free, {}};
constexpr Owner disabled_row{RowState::disabled, {}};

RowState state_of(const shm::Row& row) noexcept { return Owner::unpack(row.owner.load()).state; }

bool disable(shm::Row& row) noexcept { return state_of(row) == RowState::free && swap_owner(row, free_row, disabled_row, "disable"); }

void enable(shm::Row& row, Owner usable, std::int64_t now) noexcept {
  row.changed_nanos.store(now, std::memory_order_relaxed);
  write_owner(row, usable, "enable");  // only the master touches a disabled row
}

// One past the highest row that is not disabled.
std::uint32_t end_of_use(std::span<const shm::Row> rows) noexcept {
  auto end = static_cast<std::uint32_t>(rows.size());
  while (end > 0 && state_of(rows[end - 1]) == RowState::disabled) --end;
  return end;
}

}  // namespace

std::uint32_t resize(std::span<shm::Row> rows, std::uint32_t budget, std::int64_t now, bool quarantine, std::uint32_t confirm, std::uint32_t in_flight,
                     shm::Cell* rows_in_use) noexcept {
  budget = std::min(budget, static_cast<std::uint32_t>(rows.size()));
  auto enabled = static_cast<std::uint32_t>(std::count_if(rows.begin(), rows.end(), [](const shm::Row& row) { return state_of(row) != RowState::disabled; }));
  for (auto i = static_cast<std::uint32_t>(rows.size()); i-- > confirm && enabled > budget;) enabled -= disable(rows[i]);

  if (rows_in_use && enabled <= budget && rows_in_use->get() < budget) rows_in_use->publish(budget);  // before a row there is anybody's
  for (std::uint32_t i = 0; i < budget && enabled < budget; ++i) {
    if (state_of(rows[i]) != RowState::disabled) continue;
    const bool look_first = quarantine && i >= confirm;
    enable(rows[i], look_first ? Owner{RowState::quarantined, Life{earlier_slot, i - confirm < in_flight ? 2u : 1u}} : free_row, now);
    ++enabled;
  }

  // The number is right: rows behind the budget go to the gaps before it, as they come back.
  std::uint32_t gap = 0;
  for (auto i = static_cast<std::uint32_t>(rows.size()); i-- > budget && enabled == budget;) {
    if (!disable(rows[i])) continue;
    while (gap < budget && state_of(rows[gap]) != RowState::disabled) ++gap;
    if (gap < budget) enable(rows[gap], free_row, now);
  }
  if (rows_in_use) rows_in_use->publish(end_of_use(rows));
  return enabled;
}

}  // namespace sluice::budget
