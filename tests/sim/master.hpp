// A simulated master: the real BudgetKeeper, SlotMachines and Rollout, in the order in which supervise::Supervisor uses them.
#pragma once

#include <sim/process.hpp>

#include <sluice/supervise/budget_keeper.hpp>
#include <sluice/supervise/rollout.hpp>
#include <sluice/supervise/slot_machine.hpp>

#include <cstdint>
#include <vector>

namespace sluice::sim {

class World;

class Master final : public Program {
 public:
  Master(World& world, std::uint32_t instance, ProcessId self, bool unclean);
  void handle(const Message& message) override;

  // ---- for the invariants
  bool all_free() const { return keeper_.all_free(); }
  std::uint32_t wanted() const;
  const supervise::Rollout& rollout() const noexcept { return rollout_; }

 private:
  void tick();
  void step_slots();
  void start_lives(const std::vector<std::uint32_t>& slots);
  void keep_budget();
  void keep_janitor();
  void publish();
  bool finished();
  void life_ended(std::uint32_t slot, supervise::ExitReason reason);
  void scale(std::uint32_t workers);
  bool life_is_over(budget::Life life) const;

  World& world_;
  std::uint32_t instance_;
  ProcessId self_;
  shm::Segment& segment_;
  supervise::BudgetKeeper keeper_;
  std::vector<supervise::SlotMachine> slots_;
  supervise::Rollout rollout_;
  std::vector<std::uint32_t> hosts_;  // of each slot's present life; 0: none
  std::uint32_t janitor_host_ = 0;    // 0: none runs
  std::uint64_t janitor_generation_ = 0;
  TimePoint next_janitor_start_{}, next_tick_{};
  bool stopping_ = false;
};

}  // namespace sluice::sim
