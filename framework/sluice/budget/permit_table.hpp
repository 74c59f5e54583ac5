// The permit table of one server: the only way to a connection. Rows live in shared memory; each is owned by one life
// (slot, generation) or nobody. Whoever is killed between any two instructions leaves a table that is right.
//
//   disabled → free → connecting → idle ⇄ leased → closing → free
//                granted ↗    any owned state → quarantined → free
//
// Ownership rules (all owner words are sequentially consistent except idle ⇄ leased, which only the owner stores):
//  - free → connecting: a worker, by compare-and-swap (the claim). free/quarantined ⇄ disabled: the master.
//  - every other change of an owned row: its living owner.
//  - an ended life's rows → quarantined: the master's sweep. quarantined → free: whoever has the server's proof (the janitor;
//    the owner itself if its proof arrives later; the master for local servers).
// The payload is cleared before a row becomes free, and complete before `connecting` ends. Session 0 means unknown.
#pragma once

#include <sluice/shm/layout.hpp>
#include <sluice/shm/segment.hpp>

#include <cstdint>
#include <optional>
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

// Makes the first `budget` rows usable and disables free ones behind. A row that is held stays as it is until it frees up.
// With `quarantine`, rows that become usable start quarantined for an earlier fleet (the confirm row excepted); the first
// `in_flight` of them as "a connect may have been in flight".
void resize(std::span<shm::Row> rows, std::uint32_t budget, std::int64_t now, bool quarantine = false, std::uint32_t confirm = 0, std::uint32_t in_flight = 0) noexcept;

// Quarantines (or frees, if `local`) the rows of lives for which `ended(life)` is true. Returns how many.
template <class Ended>
std::uint32_t sweep(std::span<shm::Row> rows, std::int64_t now, bool local, Ended ended);

// ---- janitor and owner: with the server's proof that the session is gone. False if the row is no longer `expected`.
bool release_proven(shm::Row& row, Owner expected, std::int64_t now) noexcept;
// Any owned state → quarantined, if the row is still `expected`; payload is kept (the sweep works from it).
bool quarantine(shm::Row& row, Owner expected, std::int64_t now) noexcept;
// free → connecting for `life`.
bool claim(shm::Row& row, Life life, std::int64_t now) noexcept;

// A worker's (or the janitor's) hand on one server's table. One loop's own; not thread-safe. `limit` is read anew each time.
class Share {
 public:
  // Rows [first, end) may be claimed; `limit` points to this slot's part in shared memory, or is null: no limit.
  Share(std::span<shm::Row> rows, std::uint32_t first, Life life, const std::atomic<std::uint32_t>* limit) noexcept
      : rows_(rows), first_(first), life_(life), limit_(limit) {}

  Life life() const noexcept { return life_; }
  std::uint32_t held() const noexcept { return held_; }
  std::uint32_t limit() const noexcept { return limit_ ? limit_->load(std::memory_order_relaxed) : static_cast<std::uint32_t>(rows_.size()); }
  // Permits above the limit: their connections are closed when they come back.
  std::uint32_t excess() const noexcept { return held_ > limit() ? held_ - limit() : 0; }
  // True while another claim might succeed as far as the limit goes.
  bool below_limit() const noexcept { return held_ < limit(); }

  // A row in state `connecting`, or nothing: at the limit, no free row, or `max_connecting` reached.
  std::optional<std::uint32_t> claim(std::int64_t now) noexcept;
  // connecting → idle; the payload is published first.
  void connected(std::uint32_t row, std::uint64_t session, std::uint64_t birth, std::int64_t now) noexcept;
  void leased(std::uint32_t row, std::uint32_t call_site, std::int64_t now) noexcept {
    rows_[row].changed_nanos.store(now, std::memory_order_relaxed);
    rows_[row].call_site.store(call_site, std::memory_order_relaxed);
    rows_[row].owner.store(Owner{RowState::leased, life_}.pack(), std::memory_order_release);
  }
  void returned(std::uint32_t row, std::int64_t now) noexcept {
    rows_[row].changed_nanos.store(now, std::memory_order_relaxed);
    rows_[row].owner.store(Owner{RowState::idle, life_}.pack(), std::memory_order_release);
  }
  // connecting, idle or leased → closing.
  void closing(std::uint32_t row, std::int64_t now) noexcept;
  // closing or connecting → free: the server is proven to have let go (or never knew of the connection).
  void released(std::uint32_t row, std::int64_t now) noexcept;
  // closing or connecting → quarantined: no proof. The janitor takes over.
  void quarantined(std::uint32_t row, std::int64_t now) noexcept;

  // At most this many rows of the server are `connecting` over all workers; 0: unlimited.
  void set_max_connecting(std::uint32_t n) noexcept { max_connecting_ = n; }

 private:
  std::uint32_t connecting() const noexcept;

  std::span<shm::Row> rows_;
  std::uint32_t first_;
  Life life_;
  const std::atomic<std::uint32_t>* limit_;
  std::uint32_t held_ = 0;
  std::uint32_t max_connecting_ = 0;
};

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
    if (local ? release_proven(row, owner, now) : quarantine(row, owner, now)) ++swept;
  }
  return swept;
}

}  // namespace sluice::budget
