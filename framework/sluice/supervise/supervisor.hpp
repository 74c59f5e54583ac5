// The master: forks, watches and ends the processes of an instance; aggregates; keeps the budget. One thread, no
// connections, no user code, no outside bytes: signals, fixed-size messages from its own children, shared memory.
#pragma once

#include <sluice/config/config.hpp>
#include <sluice/core/error.hpp>
#include <sluice/shm/segment.hpp>
#include <sluice/supervise/budget_keeper.hpp>
#include <sluice/supervise/fleet.hpp>
#include <sluice/supervise/hang_watch.hpp>
#include <sluice/supervise/process.hpp>
#include <sluice/supervise/rollout.hpp>
#include <sluice/supervise/slot_machine.hpp>

#include <cstdint>
#include <functional>
#include <list>
#include <random>
#include <string>
#include <vector>

namespace sluice::supervise {

// A life to begin in a new process.
struct Assignment {
  std::uint32_t slot = 0;
  std::uint64_t generation = 0;
  std::uint32_t kind = 0;
};

// What the children run; set by launch/. Each returns the process's exit code.
struct Entries {
  // `thread_host`: lives may come and go while the process lives; otherwise it ends with its only life.
  std::function<int(int channel, const std::vector<Assignment>& lives, bool thread_host)> workers;
  std::function<int(int channel)> admin;                             // empty: no admin process
  std::function<int(int channel, std::uint64_t generation)> janitor;
  std::function<void(std::string start_times)> remember;             // for the next fleet (BudgetKeeper::start_times)
};

class Supervisor {
 public:
  // `kinds[i].workers` is how many workers kind i starts with.
  Supervisor(shm::Segment& segment, const config::Config& config, std::vector<KindCount> kinds, BudgetKeeper keeper, Entries entries);

  // Runs until the instance has stopped; returns its exit code. Blocks the process's signals while it runs.
  int run();
  // After run(): every row was free at the end.
  bool ended_clean() const noexcept { return ended_clean_; }

 private:
  void begin();
  void tick(TimePoint now);
  void step_rollout();
  void step_slots(TimePoint now);
  bool waits_for_server(std::uint32_t slot) const;
  void start_lives(TimePoint now, const std::vector<std::uint32_t>& slots);
  void perform(Command command, std::uint32_t slot);
  void keep_budget(TimePoint now);
  void keep_helpers(TimePoint now);
  void publish_state(TimePoint now);
  bool stop_finished(TimePoint now);

  void on_signals(TimePoint now);
  void on_child_exit(const Exit& exit, TimePoint now);
  void on_message(Process& from, const shm::Message& message, TimePoint now);
  void life_ended(std::uint32_t slot, std::uint64_t generation, ExitReason reason, int status, Blame blame, TimePoint now);
  void request_stop(bool fast, const std::string& why, TimePoint now);
  shm::Message scale(const shm::Message& request);
  shm::Message set_budget(const shm::Message& request);
  shm::Message restart(const shm::Message& request);
  std::string scale_to(std::uint32_t kind, std::int64_t value, bool relative, ExitCode& code);

  Process* find(pid_t pid);
  // The process that hosts the slot's present life; null: none.
  Process* host_of(std::uint32_t slot) { return find(hosts_[slot]); }
  // A running process of the slot's group that still listens to us, for another life.
  Process* open_host(std::uint32_t slot);
  std::uint32_t group_of(std::uint32_t slot) const;
  std::vector<int> private_descriptors() const;
  std::string label(std::uint32_t slot) const;

  shm::Segment& segment_;
  const config::Config& config_;
  std::vector<KindCount> kinds_;
  BudgetKeeper keeper_;
  Entries entries_;
  std::vector<SlotMachine> slots_;
  std::vector<pid_t> hosts_;  // of each slot's present life: the master's own word, shared memory is the children's to read
  std::list<Process> processes_;
  HangWatch watch_{1s};
  Rollout rollout_;
  std::mt19937_64 random_{std::random_device{}()};
  Descriptor signals_;
  bool all_were_ready_ = false;
  bool stopping_ = false;
  bool stopped_ = false;
  bool fast_ = false;
  bool ended_clean_ = false;
  int exit_code_ = 0;
  TimePoint linger_until_{};  // while stopping: how long rows may wait for their confirmation
  std::uint64_t janitor_generation_ = 0;
  TimePoint next_admin_start_{}, next_janitor_start_{};
};

}  // namespace sluice::supervise
