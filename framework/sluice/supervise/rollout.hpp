// A rolling restart: workers are replaced one after another while the others serve. Kind by kind: one worker more first, where there is
// room for it, so that as many serve as before and a newcomer that cannot start harms nobody; then each slot in place, its old life drained
// before the next begins; then the additional worker ends. The first newcomer that ends before it is ready stops all of it: who was not
// replaced yet serves on. Pure: it speaks to slot machines only; limits and permits follow the slots as they do when scaling.
#pragma once

#include <sluice/supervise/slot_machine.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace sluice::supervise {

class Rollout {
 public:
  // Which workers: all, those of a kind, or the one in a slot.
  struct Whom {
    std::optional<std::uint32_t> kind = {}, slot = {};
  };
  // "" or why it cannot begin: there is no such worker. REQUIRES: !running()
  std::string begin(const Whom& whom, std::span<const SlotMachine> slots);
  // Once per tick, before the slots' own step(). `room_for`: may so many workers run?
  void step(std::span<SlotMachine> slots, const std::function<bool(std::uint32_t workers)>& room_for);
  // The instance stops: nothing is begun any more.
  void abandon() noexcept;

  using State = shm::RolloutState;
  State state() const noexcept { return state_; }
  bool running() const noexcept { return state_ == State::running; }
  std::uint64_t number() const noexcept { return number_; }  // of the last one; 0: there was none
  std::uint32_t replaced() const noexcept { return replaced_; }
  std::uint32_t workers() const noexcept { return workers_; }
  // The slot whose newcomer ended too early, once stopped for that.
  std::optional<std::uint32_t> culprit() const noexcept { return culprit_; }
  // For people, such as "2 of 4 workers replaced".
  std::string text() const;

 private:
  struct Target {
    std::uint32_t slot, kind;
    std::uint64_t generation;  // of the life to be replaced
  };
  enum class Step { choose, surging, replacing, retiring };

  void choose(std::span<SlotMachine> slots, const std::function<bool(std::uint32_t)>& room_for);
  bool ended_early(const SlotMachine& slot, std::uint64_t newcomer) const noexcept;
  void stop(std::span<SlotMachine> slots, std::uint32_t culprit);

  State state_ = State::none;
  Step step_ = Step::choose;
  std::uint64_t number_ = 0;
  std::vector<Target> left_;  // the last one is next
  std::uint32_t workers_ = 0, replaced_ = 0;
  std::optional<std::uint32_t> surge_, culprit_;
  std::uint64_t surge_generation_ = 0;
  std::optional<std::uint32_t> prepared_kind_;  // its additional worker is there, or was found impossible
};

}  // namespace sluice::supervise
