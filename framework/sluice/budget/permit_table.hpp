// The permit table of one server: the only way to a connection (workers use it through budget/share.hpp). Rows live in shared memory; each is owned by one life
// (slot, generation) or nobody. Whoever is killed between any two instructions leaves a table that is right.
//
//   disabled → free → connecting → idle ⇄ leased → closing → free
//                granted ↗    any owned state → quarantined → free
//
// Ownership rules (all owner words are sequentially consistent except idle ⇄ leased, which only the owner stores):
//  - free → connecting: a worker, by compare-and-swap (the claim). free/quarantined ⇄ disabled: the master.
//  - closing → granted for another life: its owner, with the server's proof (lending). granted → connecting or free: that life.
//  - every other change of an owned row: its living owner.
//  - an ended life's rows → quarantined (granted ones → free, they have no session): the master's sweep. quarantined → free: whoever has the server's proof (the janitor;
//    the owner itself if its proof arrives later; the master for local servers).
// The payload is cleared before a row becomes free, and complete before `connecting` ends. Session 0 means unknown.
#pragma once

#include <sluice/budget/step.hpp>
#include <sluice/shm/layout.hpp>

#include <cstdint>
#include <span>

namespace sluice::budget {

enum class RowState : std::uint8_t { disabled, free, granted, connecting, idle, leased, closing, quarantined };
inline constexpr unsigned row_states = 8;
constexpr const char* to_text(RowState s) noexcept {
  constexpr const char* names[] = {"disabled", "free", "granted", "connecting", "idle", "leased", "closing", "quarantined"};
  return names[static_cast<unsigned>(s) & 7];
}

// One life of one slot, unique for ever in the instance.
struct Life {
  std::uint16_t slot = 0;
  std::uint64_t generation = 0;  // 40 bits used; 0: nobody
  friend constexpr bool operator==(const Life&, const Life&) = default;
};
inline constexpr std::uint16_t janitor_slot = 0xffff;   // owner of the confirm permit
inline constexpr std::uint16_t earlier_slot = 0xfffe;   // rows quarantined at an unclean start. generation 2: a connect may have been in flight

struct Owner {
  RowState state = RowState::disabled;
  Life life;

  static constexpr Owner unpack(std::uint64_t word) noexcept {
    return Owner{static_cast<RowState>(word & 0x7), Life{static_cast<std::uint16_t>(word >> 8), word >> 24}};
  }
  constexpr std::uint64_t pack() const noexcept {
    return static_cast<std::uint64_t>(state) | static_cast<std::uint64_t>(life.slot) << 8 | life.generation << 24;
  }
  friend constexpr bool operator==(const Owner&, const Owner&) = default;
};

// A copy of a row, for display and for the sweep. Fields are read one after the other: the owner first and last, so that
// a row that changed meanwhile is read again.
struct RowView {
  std::uint32_t row = 0;
  Owner owner;
  std::uint64_t session = 0;
  std::uint64_t session_birth = 0;
  std::int64_t changed_nanos = 0;
  std::uint32_t call_site = 0;
};
RowView read(std::span<const shm::Row> rows, std::uint32_t row) noexcept;

// Every change of an owner word goes through one of these.
void write_owner_watched(shm::Row& row, std::uint64_t word, const char* what, std::memory_order order) noexcept;
inline void write_owner(shm::Row& row, std::uint64_t word, const char* what, std::memory_order order = std::memory_order_seq_cst) noexcept {
  if (step_listener) [[unlikely]]
    return write_owner_watched(row, word, what, order);
  row.owner.store(word, order);
}
inline void write_owner(shm::Row& row, Owner owner, const char* what, std::memory_order order = std::memory_order_seq_cst) noexcept {
  write_owner(row, owner.pack(), what, order);
}
inline bool swap_owner(shm::Row& row, Owner expected, Owner desired, const char* what) noexcept {
  std::uint64_t word = expected.pack();
  step(what, Moment::before, desired.pack());
  if (!row.owner.compare_exchange_strong(word, desired.pack())) return false;
  step(what, Moment::after, desired.pack());
  return true;
}
void clear_payload(shm::Row& row) noexcept;

struct Counts {
  std::uint32_t by_state[row_states] = {};
  std::uint32_t held() const noexcept {
    return by_state[static_cast<int>(RowState::granted)] + by_state[static_cast<int>(RowState::connecting)] + by_state[static_cast<int>(RowState::idle)] +
           by_state[static_cast<int>(RowState::leased)] + by_state[static_cast<int>(RowState::closing)];
  }
  std::uint32_t of(RowState s) const noexcept { return by_state[static_cast<int>(s)]; }
};
Counts count(std::span<const shm::Row> rows) noexcept;

// ---- master

// Brings the number of rows that are not disabled to `budget`, as far as that goes now: missing ones are enabled at once, free ones that
// are too many disabled (never the first `confirm`); a held one stays until it comes back and the next call finds it free. Calls converge to
// the rows [0, budget). Returns how many are in force now; more than `budget`: call again later.
// With `quarantine`, rows that become usable start quarantined for an earlier fleet (the confirm row excepted); the first
// `in_flight` of them as "a connect may have been in flight". `rows_in_use` is at every instant above every row that is not disabled.
std::uint32_t resize(std::span<shm::Row> rows, std::uint32_t budget, std::int64_t now, bool quarantine = false, std::uint32_t confirm = 0, std::uint32_t in_flight = 0,
                     shm::Cell* rows_in_use = nullptr) noexcept;

// Quarantines (or frees, if `local`) the rows of lives for which `ended(life)` is true. Returns how many.
template <class Ended>
std::uint32_t sweep(std::span<shm::Row> rows, std::int64_t now, bool local, Ended ended);

// ---- janitor and owner: with the server's proof that the session is gone. False if the row is no longer `expected`.
bool release_proven(shm::Row& row, Owner expected, std::int64_t now) noexcept;
// Any owned state → quarantined, if the row is still `expected`; payload is kept (the sweep works from it).
bool quarantine(shm::Row& row, Owner expected, std::int64_t now) noexcept;
// free → connecting for `life`.
bool claim(shm::Row& row, Life life, std::int64_t now) noexcept;

template <class Ended>
std::uint32_t sweep(std::span<shm::Row> rows, std::int64_t now, bool local, Ended ended) {
  std::uint32_t swept = 0;
  for (shm::Row& row : rows) {
    const Owner owner = Owner::unpack(row.owner.load());
    switch (owner.state) {
      case RowState::disabled:
      case RowState::free: continue;
      case RowState::quarantined:
        if (!local) continue;
        break;
      default: break;
    }
    if (owner.life.generation == 0 || !ended(owner.life)) continue;
    // A permit on its way to a life that ended before it could connect: the giver had the server's proof already.
    const bool proven = local || owner.state == RowState::granted;
    if (proven ? release_proven(row, owner, now) : quarantine(row, owner, now)) ++swept;
  }
  return swept;
}

}  // namespace sluice::budget
