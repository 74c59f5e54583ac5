#include <sluice/budget/permit_table.hpp>

namespace sluice::budget {
namespace {

void clear_payload(shm::Row& row) noexcept {
  row.session.store(0, std::memory_order_relaxed);
  row.session_birth.store(0, std::memory_order_relaxed);
  row.call_site.store(0, std::memory_order_relaxed);
}

}  // namespace

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

void resize(std::span<shm::Row> rows, std::uint32_t budget, std::int64_t now, bool quarantine, std::uint32_t confirm, std::uint32_t in_flight) noexcept {
  for (std::uint32_t i = 0; i < rows.size(); ++i) {
    shm::Row& row = rows[i];
    std::uint64_t word = row.owner.load();
    const RowState state = Owner::unpack(word).state;
    if (i < budget && state == RowState::disabled) {
      row.changed_nanos.store(now, std::memory_order_relaxed);
      Owner usable{RowState::free, {}};
      if (quarantine && i >= confirm) usable = Owner{RowState::quarantined, Life{earlier_slot, i - confirm < in_flight ? 2u : 1u}};
      row.owner.store(usable.pack());
    } else if (i >= budget && state == RowState::free) {
      row.owner.compare_exchange_strong(word, Owner{RowState::disabled, {}}.pack());
    }
  }
}

bool release_proven(shm::Row& row, Owner expected, std::int64_t now) noexcept {
  // Whoever owns a right to free the row is alone (see the rules above), so the payload may be cleared before the swap.
  if (row.owner.load() != expected.pack()) return false;
  clear_payload(row);
  row.changed_nanos.store(now, std::memory_order_relaxed);
  std::uint64_t word = expected.pack();
  return row.owner.compare_exchange_strong(word, Owner{RowState::free, {}}.pack());
}

bool quarantine(shm::Row& row, Owner expected, std::int64_t now) noexcept {
  // The time first: nobody may take the age of the old state for the age of the quarantine. The owner is gone, so nobody else writes it.
  if (row.owner.load() != expected.pack()) return false;
  row.changed_nanos.store(now, std::memory_order_relaxed);
  std::uint64_t word = expected.pack();
  return row.owner.compare_exchange_strong(word, Owner{RowState::quarantined, expected.life}.pack());
}

bool claim(shm::Row& row, Life life, std::int64_t now) noexcept {
  std::uint64_t word = Owner{RowState::free, {}}.pack();
  if (!row.owner.compare_exchange_strong(word, Owner{RowState::connecting, life}.pack())) return false;
  row.changed_nanos.store(now, std::memory_order_relaxed);
  return true;
}

std::optional<std::uint32_t> Share::claim(std::int64_t now) noexcept {
  if (held_ >= limit()) return std::nullopt;
  const std::uint64_t free_word = Owner{RowState::free, {}}.pack();
  if (max_connecting_ > 0 && connecting() >= max_connecting_) return std::nullopt;
  for (std::uint32_t i = first_; i < rows_.size(); ++i) {
    if (rows_[i].owner.load(std::memory_order_relaxed) != free_word) continue;
    if (!budget::claim(rows_[i], life_, now)) continue;
    ++held_;
    // Others may have claimed since the count. Whoever sees too many afterwards steps back; two that both do try again.
    if (max_connecting_ > 0 && connecting() > max_connecting_) {
      released(i, now);
      return std::nullopt;
    }
    return i;
  }
  return std::nullopt;
}

std::uint32_t Share::connecting() const noexcept {
  std::uint32_t n = 0;
  for (const shm::Row& row : rows_) n += Owner::unpack(row.owner.load()).state == RowState::connecting;
  return n;
}

void Share::connected(std::uint32_t row, std::uint64_t session, std::uint64_t birth, std::int64_t now) noexcept {
  shm::Row& r = rows_[row];
  r.session_birth.store(birth, std::memory_order_release);
  r.session.store(session, std::memory_order_release);
  r.changed_nanos.store(now, std::memory_order_relaxed);
  r.owner.store(Owner{RowState::idle, life_}.pack());
}

void Share::closing(std::uint32_t row, std::int64_t now) noexcept {
  rows_[row].changed_nanos.store(now, std::memory_order_relaxed);
  rows_[row].owner.store(Owner{RowState::closing, life_}.pack());
}

void Share::released(std::uint32_t row, std::int64_t now) noexcept {
  shm::Row& r = rows_[row];
  clear_payload(r);
  r.changed_nanos.store(now, std::memory_order_relaxed);
  r.owner.store(Owner{RowState::free, {}}.pack());
  --held_;
}

void Share::quarantined(std::uint32_t row, std::int64_t now) noexcept {
  rows_[row].changed_nanos.store(now, std::memory_order_relaxed);
  rows_[row].owner.store(Owner{RowState::quarantined, life_}.pack());
  --held_;
}

}  // namespace sluice::budget
