#include <sluice/budget/lending.hpp>

#include <algorithm>
#include <tuple>

namespace sluice::budget {

void survey(std::span<const shm::Row> rows, std::uint32_t first, std::uint32_t slots, std::uint32_t slot, Picture& picture) {
  picture.free = picture.connecting = picture.stuck = 0;
  picture.held.assign(slots, 0);
  // Mostly rows are free or held: these are looked at first.
  constexpr auto bit = [](RowState s) { return 1u << static_cast<unsigned>(s); };
  constexpr unsigned is_held = bit(RowState::granted) | bit(RowState::connecting) | bit(RowState::idle) | bit(RowState::leased) | bit(RowState::closing);
  std::uint32_t* const held = picture.held.data();
  std::uint32_t free = 0, connecting = 0;
  for (std::uint32_t i = first; i < rows.size(); ++i) {
    const Owner owner = Owner::unpack(rows[i].owner.load());
    if (owner.state == RowState::free) {
      ++free;
    } else if ((is_held >> static_cast<unsigned>(owner.state) & 1) != 0) {
      connecting += owner.state == RowState::connecting;
      if (owner.life.slot < slots) ++held[owner.life.slot];
    } else {
      picture.stuck += owner.state == RowState::quarantined && owner.life.slot == slot;
    }
  }
  picture.free = free;
  picture.connecting = connecting;
}

bool may_keep(const Picture& picture, const Parts& parts, std::uint32_t slot) noexcept {
  const std::uint32_t mine = picture.held[slot] + picture.stuck;
  if (mine <= parts.floor_of(slot)) return true;
  const bool borrowed = mine > parts.limit(slot);
  std::uint32_t owed = 0;  // what must stay free for the others
  for (std::uint32_t s = 0; s < picture.held.size(); ++s) {
    if (s == slot) continue;
    const std::uint32_t held = picture.held[s];
    std::uint32_t theirs = parts.floor_of(s);
    if (borrowed) theirs = std::max(theirs, std::min(held + parts.want(s), parts.limit(s)));
    if (theirs > held) owed += theirs - held;
  }
  return owed <= picture.free;
}

std::optional<std::uint32_t> receiver(const Picture& picture, const Parts& parts, std::uint32_t giver, bool idle_long) noexcept {
  const auto slots = static_cast<std::uint32_t>(picture.held.size());
  const std::uint32_t mine = picture.held[giver];
  if (mine <= parts.floor_of(giver)) return std::nullopt;
  const bool above_limit = mine > parts.limit(giver);
  std::optional<std::uint32_t> best;
  std::tuple<int, std::uint32_t> best_rank{};
  for (std::uint32_t step = 1; step < slots; ++step) {
    const std::uint32_t s = (giver + step) % slots;
    if (parts.want(s) == 0 || parts.limit(s) == 0) continue;
    const std::uint32_t held = picture.held[s];
    int rank = 0;
    if (held >= parts.floor_of(s)) rank = above_limit && held < parts.limit(s) ? 1 : 2;
    if (rank == 2 && !idle_long) continue;
    const std::tuple<int, std::uint32_t> candidate{rank, held};
    if (!best || candidate < best_rank) best = s, best_rank = candidate;
  }
  return best;
}

}  // namespace sluice::budget
