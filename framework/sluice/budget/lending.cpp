#include <sluice/budget/lending.hpp>

#include <algorithm>
#include <tuple>

namespace sluice::budget {

void survey(std::span<const shm::Row> rows, std::uint32_t first, std::uint32_t slots, std::uint32_t slot, Picture& picture) {
  picture.free = picture.connecting = picture.stuck = 0;
  picture.held.assign(slots, 0);
  for (std::uint32_t i = first; i < rows.size(); ++i) {
    const Owner owner = Owner::unpack(rows[i].owner.load());
    switch (owner.state) {
      case RowState::disabled: break;
      case RowState::quarantined: picture.stuck += owner.life.slot == slot; break;
      case RowState::free: ++picture.free; break;
      default:
        picture.connecting += owner.state == RowState::connecting;
        if (owner.life.slot < slots) ++picture.held[owner.life.slot];
    }
  }
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
