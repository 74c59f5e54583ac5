#include <sluice/supervise/rollout.hpp>

#include <sluice/core/text.hpp>

#include <algorithm>

namespace sluice::supervise {

std::string Rollout::begin(const Whom& whom, std::span<const SlotMachine> slots) {
  std::vector<Target> targets;
  for (std::uint32_t i = 0; i < slots.size(); ++i) {
    const SlotMachine& slot = slots[i];
    if (!slot.wanted() || slot.surge()) continue;
    if ((whom.kind && slot.kind() != *whom.kind) || (whom.slot && i != *whom.slot)) continue;
    targets.push_back({i, slot.kind(), slot.generation()});
  }
  if (targets.empty()) return whom.slot ? sluice::text("there is no worker in slot ", *whom.slot) : "there is no such worker to restart";
  std::stable_sort(targets.begin(), targets.end(), [](const Target& a, const Target& b) { return a.kind < b.kind; });
  std::reverse(targets.begin(), targets.end());
  left_ = std::move(targets);
  workers_ = static_cast<std::uint32_t>(left_.size());
  replaced_ = 0;
  surge_.reset();
  culprit_.reset();
  prepared_kind_.reset();
  ++number_;
  state_ = State::running;
  step_ = Step::choose;
  return {};
}

void Rollout::abandon() noexcept {
  if (running()) state_ = State::stopped;
}

std::string Rollout::text() const {
  const std::string so_far = sluice::text(replaced_, " of ", workers_, workers_ == 1 ? " worker" : " workers", " replaced");
  if (state_ != State::stopped) return so_far;
  if (!culprit_) return so_far + "; given up: the instance stops";
  return sluice::text(so_far, "; given up: the new worker in slot ", *culprit_, " ended before it was ready; who was not replaced serves on");
}

// It ended, however it is restarted now.
bool Rollout::ended_early(const SlotMachine& slot, std::uint64_t newcomer) const noexcept {
  return slot.generation() > newcomer || (slot.generation() == newcomer && !slot.alive());
}

void Rollout::step(std::span<SlotMachine> slots, const std::function<bool(std::uint32_t)>& room_for) {
  if (!running()) return;
  switch (step_) {
    case Step::choose: return choose(slots, room_for);
    case Step::surging: {
      const SlotMachine& more = slots[*surge_];
      if (more.state() == SlotState::ready)
        step_ = Step::choose;
      else if (ended_early(more, surge_generation_))
        stop(slots, *surge_);
      return;
    }
    case Step::replacing: {
      const Target& target = left_.back();
      const SlotMachine& slot = slots[target.slot];
      const bool newcomer = slot.generation() > target.generation;
      if (slot.wanted() && newcomer && slot.state() == SlotState::ready) ++replaced_;
      else if (slot.wanted() && newcomer && ended_early(slot, target.generation + 1)) return stop(slots, target.slot);
      else if (slot.wanted()) return;  // not there yet; who was scaled away needs no newcomer
      left_.pop_back();
      step_ = Step::choose;
      return;
    }
    case Step::retiring:
      if (slots[*surge_].alive()) return;
      surge_.reset();
      step_ = Step::choose;
      return;
  }
}

void Rollout::choose(std::span<SlotMachine> slots, const std::function<bool(std::uint32_t)>& room_for) {
  while (!left_.empty() && (!slots[left_.back().slot].wanted() || slots[left_.back().slot].kind() != left_.back().kind)) left_.pop_back();
  if (surge_ && (left_.empty() || left_.back().kind != slots[*surge_].kind())) {
    slots[*surge_].unwant();
    step_ = Step::retiring;
    return;
  }
  if (left_.empty()) {
    state_ = State::done;
    return;
  }
  Target& next = left_.back();
  SlotMachine& slot = slots[next.slot];
  if (prepared_kind_ != next.kind) {
    prepared_kind_ = next.kind;
    const auto wanted = static_cast<std::uint32_t>(std::count_if(slots.begin(), slots.end(), [](const SlotMachine& s) { return s.wanted(); }));
    const auto empty = std::find_if(slots.begin(), slots.end(), [](const SlotMachine& s) { return !s.wanted() && !s.alive(); });
    if (empty != slots.end() && room_for(wanted + 1)) {
      surge_ = static_cast<std::uint32_t>(empty - slots.begin());
      surge_generation_ = empty->generation() + 1;
      empty->want(next.kind, true);
      step_ = Step::surging;
      return;
    }
  }
  step_ = Step::replacing;
  // Who was renewed meanwhile needs no other life: its present one, or the next to begin, is the newcomer.
  if (slot.generation() > next.generation) next.generation = slot.generation() - (slot.alive() ? 1 : 0);
  if (slot.state() == SlotState::failed) {  // its breaker is closed again: somebody asked
    slot.unwant();
    slot.want(next.kind);
  } else if (slot.generation() == next.generation) {
    slot.replace();
  }
}

void Rollout::stop(std::span<SlotMachine> slots, std::uint32_t culprit) {
  state_ = State::stopped;
  culprit_ = culprit;
  if (surge_) slots[*surge_].unwant();
}

}  // namespace sluice::supervise
