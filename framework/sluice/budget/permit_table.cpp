#include <sluice/budget/permit_table.hpp>

namespace sluice::budget {

// Not inline: the lease path needs the registers.
void write_owner_watched(shm::Row& row, std::uint64_t word, const char* what, std::memory_order order) noexcept {
  step(what, Moment::before, word);
  row.owner.store(word, order);
  step(what, Moment::after, word);
}

void clear_payload(shm::Row& row) noexcept {
  row.session.store(0, std::memory_order_relaxed);
  row.session_birth.store(0, std::memory_order_relaxed);
  row.call_site.store(0, std::memory_order_relaxed);
  row.cancel.store(0, std::memory_order_relaxed);
}

RowView read(std::span<const shm::Row> rows, std::uint32_t index) noexcept {
  const shm::Row& row = rows[index];
  RowView view;
  view.row = index;
  for (int attempt = 0; attempt < 8; ++attempt) {
    const std::uint64_t before = row.owner.load();
    view.owner = Owner::unpack(before);
    view.session = row.session.load(std::memory_order_acquire);
    view.session_birth = row.session_birth.load(std::memory_order_acquire);
    view.changed_nanos = row.changed_nanos.load(std::memory_order_acquire);
    view.call_site = row.call_site.load(std::memory_order_acquire);
    if (row.owner.load() == before) break;
  }
  return view;
}

Counts count(std::span<const shm::Row> rows) noexcept {
  Counts counts;
  for (const shm::Row& row : rows) ++counts.by_state[static_cast<int>(Owner::unpack(row.owner.load(std::memory_order_relaxed)).state)];
  return counts;
}

bool release_proven(shm::Row& row, Owner expected, std::int64_t now) noexcept {
  // Whoever owns a right to free the row is alone (see the rules above), so the payload may be cleared before the swap.
  if (row.owner.load() != expected.pack()) return false;
  clear_payload(row);
  row.changed_nanos.store(now, std::memory_order_relaxed);
  return swap_owner(row, expected, Owner{RowState::free, {}}, "release");
}

bool quarantine(shm::Row& row, Owner expected, std::int64_t now) noexcept {
  // The time first: nobody may take the age of the old state for the age of the quarantine. The owner is gone, so nobody else writes it.
  if (row.owner.load() != expected.pack()) return false;
  row.changed_nanos.store(now, std::memory_order_relaxed);
  return swap_owner(row, expected, Owner{RowState::quarantined, expected.life}, "quarantine");
}

bool claim(shm::Row& row, Life life, std::int64_t now) noexcept {
  if (!swap_owner(row, Owner{RowState::free, {}}, Owner{RowState::connecting, life}, "claim")) return false;
  row.changed_nanos.store(now, std::memory_order_relaxed);
  return true;
}

}  // namespace sluice::budget
