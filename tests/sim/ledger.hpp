// What the simulator knows of one instance's permit table, kept beside the real one: each change of an owner word is compared with
// the rules as it happens. The table itself is only read (and one word put back when a kill comes before its write).
#pragma once

#include <sim/transitions.hpp>

#include <sluice/core/clock.hpp>
#include <sluice/shm/layout.hpp>

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace sluice::sim {

class Ledger {
 public:
  struct Change {
    std::uint32_t row = 0;
    budget::Owner from, to;
    int transition = -1;
  };

  // A new fleet: every row is disabled, no session is on any.
  void begin(std::span<shm::Row> rows);

  // The word that has just been written; exactly one row differs.
  Change find(Actor actor, std::string_view step, std::uint64_t word) const;
  // As if it had not been written.
  void undo(const Change& change) { rows_[change.row].owner.store(change.from.pack()); }
  // "" or which rule it breaks.
  std::string accept(const Change& change, TimePoint now);
  // The budget that is in force now; how many rows may be enabled at most follows.
  std::string check_enabled(std::uint32_t budget);

  // A session on the server begins or ends to need this row.
  void session(std::uint32_t row, int difference) { sessions_[row] += static_cast<std::uint32_t>(difference); }
  std::uint32_t sessions(std::uint32_t row) const { return sessions_[row]; }

  budget::Owner owner(std::uint32_t row) const { return budget::Owner::unpack(words_[row]); }
  TimePoint changed_at(std::uint32_t row) const { return changed_[row]; }
  std::uint32_t count(RowState s) const { return counts_[static_cast<unsigned>(s)]; }
  std::uint32_t size() const { return static_cast<std::uint32_t>(rows_.size()); }
  std::uint32_t enabled() const { return size() - count(RowState::disabled); }
  std::uint32_t ceiling() const { return ceiling_; }

 private:
  std::span<shm::Row> rows_;
  std::vector<std::uint64_t> words_;
  std::vector<std::uint32_t> sessions_;
  std::vector<TimePoint> changed_;
  std::array<std::uint32_t, budget::row_states> counts_{};
  std::uint32_t ceiling_ = 0;
};

}  // namespace sluice::sim
