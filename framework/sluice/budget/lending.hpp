// Elastic lending: who may take a free permit, who gives one, and to whom. Pure functions over a picture of one server's table.
//
//  - A worker may always reach its floor. Above it, it takes a free permit only while the others' floors stay coverable.
//  - Above its limit it borrows: also the permits that others want below their limits stay untouched.
//  - Who holds more than the limit gives its next returned connection's permit to a worker below its own limit that wants one; who
//    holds more than the floor gives it to a worker below its floor.
//  - A connection that has been idle for long, above the floor, goes to whoever wants one.
// A permit that is given goes straight to `granted` for the receiver's life: nobody can snatch it on the way.
#pragma once

#include <sluice/budget/permit_table.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace sluice::budget {

// A worker's published wish: how many permits its present life wants. One word, so that a giver takes one by compare-and-swap.
struct Want {
  std::uint16_t permits = 0;
  std::uint64_t generation = 0;  // 40 bits used

  static constexpr Want unpack(std::uint64_t word) noexcept { return Want{static_cast<std::uint16_t>(word), word >> 24}; }
  constexpr std::uint64_t pack() const noexcept { return static_cast<std::uint64_t>(permits) | generation << 24; }
};

// One server's table as a claim or a gift sees it; slots are indices.
struct Picture {
  std::uint32_t free = 0;
  std::uint32_t connecting = 0;
  std::uint32_t stuck = 0;          // quarantined rows of the slot that looks: its ended lives keep their permits until they are confirmed
  std::vector<std::uint32_t> held;  // by slot: granted, connecting, idle, leased, closing
};
// Counts the rows [first, rows.size()) for `slot`; `slots` is how many there are. Reuses the picture's memory.
void survey(std::span<const shm::Row> rows, std::uint32_t first, std::uint32_t slots, std::uint32_t slot, Picture& picture);

struct Parts {  // the shared words of all slots, of equal size
  std::span<const std::atomic<std::uint32_t>> limits;
  std::span<const std::atomic<std::uint64_t>> wants;
  std::uint32_t floor = 1;
  std::uint32_t limit(std::uint32_t slot) const noexcept { return slot < limits.size() ? limits[slot].load(std::memory_order_relaxed) : 0; }
  std::uint32_t floor_of(std::uint32_t slot) const noexcept { return std::min(floor, limit(slot)); }
  std::uint32_t want(std::uint32_t slot) const noexcept { return slot < wants.size() ? Want::unpack(wants[slot].load()).permits : 0; }
};

// After `slot` has taken a permit (the picture counts it, and was made for this slot): may it keep it?
bool may_keep(const Picture& picture, const Parts& parts, std::uint32_t slot) noexcept;

// To whom the giver's permit goes: workers below their floor first, then those below their limit, then (only if `idle_long`) anybody who
// wants one; among equals the one that holds the fewest, then the next one after `giver` in slot order.
std::optional<std::uint32_t> receiver(const Picture& picture, const Parts& parts, std::uint32_t giver, bool idle_long) noexcept;

// The master's sweep: what ended lives wanted is wanted no more, or their permits would travel for nothing.
template <class Ended>
void forget_wants(std::span<std::atomic<std::uint64_t>> wants, Ended ended) {
  for (std::uint32_t slot = 0; slot < wants.size(); ++slot) {
    std::uint64_t word = wants[slot].load(std::memory_order_relaxed);
    const Want want = Want::unpack(word);
    if (want.permits > 0 && ended(Life{static_cast<std::uint16_t>(slot), want.generation})) wants[slot].compare_exchange_strong(word, 0);
  }
}

}  // namespace sluice::budget
