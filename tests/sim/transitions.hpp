// Every way in which an owner word may change, by whom: the rules of budget/permit_table.hpp as a table. A change that is not in
// it is a defect; one that no kill has hit, before and after, is a gap in the proof.
#pragma once

#include <sluice/budget/permit_table.hpp>

#include <array>
#include <cstdint>
#include <string_view>

namespace sluice::sim {

using budget::RowState;

enum class Actor : std::uint8_t { master, janitor, worker };
constexpr const char* to_text(Actor a) noexcept {
  constexpr const char* names[] = {"master", "janitor", "worker"};
  return names[static_cast<unsigned>(a)];
}

struct Transition {
  Actor actor;
  std::string_view step;  // as budget::step() names it
  RowState from, to;
};

inline constexpr auto transitions = std::to_array<Transition>({
    {Actor::worker, "claim", RowState::free, RowState::connecting},
    {Actor::worker, "accept", RowState::granted, RowState::connecting},
    {Actor::worker, "accept back", RowState::connecting, RowState::granted},
    {Actor::worker, "connected", RowState::connecting, RowState::idle},
    {Actor::worker, "lease", RowState::idle, RowState::leased},
    {Actor::worker, "lease", RowState::leased, RowState::leased},  // handed on to the next waiter
    {Actor::worker, "return", RowState::leased, RowState::idle},
    {Actor::worker, "return", RowState::idle, RowState::idle},  // after a connect, a check or a reset
    {Actor::worker, "close", RowState::idle, RowState::closing},
    {Actor::worker, "close", RowState::leased, RowState::closing},
    {Actor::worker, "release", RowState::closing, RowState::free},
    {Actor::worker, "release", RowState::connecting, RowState::free},  // refused by the server, or a claim that steps back
    {Actor::worker, "release", RowState::granted, RowState::free},     // nobody needs it any more
    {Actor::worker, "grant", RowState::closing, RowState::granted},
    {Actor::worker, "quarantine", RowState::connecting, RowState::quarantined},
    {Actor::worker, "quarantine", RowState::idle, RowState::quarantined},  // a check that never ends
    {Actor::worker, "quarantine", RowState::leased, RowState::quarantined},
    {Actor::worker, "quarantine", RowState::closing, RowState::quarantined},
    {Actor::master, "enable", RowState::disabled, RowState::free},
    {Actor::master, "enable", RowState::disabled, RowState::quarantined},  // after an unclean end
    {Actor::master, "disable", RowState::free, RowState::disabled},
    {Actor::master, "release", RowState::granted, RowState::free},  // its receiver is dead
    {Actor::master, "quarantine", RowState::connecting, RowState::quarantined},
    {Actor::master, "quarantine", RowState::idle, RowState::quarantined},
    {Actor::master, "quarantine", RowState::leased, RowState::quarantined},
    {Actor::master, "quarantine", RowState::closing, RowState::quarantined},
    {Actor::janitor, "claim", RowState::free, RowState::connecting},
    {Actor::janitor, "connected", RowState::connecting, RowState::idle},
    {Actor::janitor, "close", RowState::idle, RowState::closing},
    {Actor::janitor, "release", RowState::quarantined, RowState::free},  // proven gone
    {Actor::janitor, "release", RowState::closing, RowState::free},
    {Actor::janitor, "release", RowState::connecting, RowState::free},
    {Actor::janitor, "quarantine", RowState::connecting, RowState::quarantined},
    {Actor::janitor, "quarantine", RowState::closing, RowState::quarantined},
});

// Index into transitions, or -1: nobody may do this.
constexpr int find_transition(Actor actor, std::string_view step, RowState from, RowState to) noexcept {
  for (std::size_t i = 0; i < transitions.size(); ++i) {
    const Transition& t = transitions[i];
    if (t.actor == actor && t.from == from && t.to == to && t.step == step) return static_cast<int>(i);
  }
  return -1;
}

// What a shard of seeds has seen; added up over the shards.
struct Coverage {
  std::array<std::uint64_t, transitions.size()> seen{};
  std::array<std::array<std::uint64_t, 2>, transitions.size()> kills{};  // before, after

  void add(const Coverage& other) noexcept {
    for (std::size_t i = 0; i < transitions.size(); ++i) {
      seen[i] += other.seen[i];
      for (unsigned m = 0; m < 2; ++m) kills[i][m] += other.kills[i][m];
    }
  }
};

}  // namespace sluice::sim
