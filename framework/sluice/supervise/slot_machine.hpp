// The life cycle of one slot: empty → starting → ready → draining → exited → backoff → starting, and failed when its
// breaker opens. Pure: it is told what happened and answers what to do; the supervisor does it.
#pragma once

#include <sluice/config/config.hpp>
#include <sluice/core/clock.hpp>
#include <sluice/shm/layout.hpp>
#include <sluice/supervise/restart_policy.hpp>

#include <cstdint>

namespace sluice::supervise {

using shm::ExitReason;
using shm::SlotState;

enum class Command {
  none,
  start,  // begin the next life: the caller calls started()
  drain,  // ask for a graceful end
  stop,   // the graceful time is over: ask for a fast end
  abort,  // it hangs: SIGABRT for a backtrace
  kill,   // SIGKILL
};

struct SlotOptions {
  Duration boot_timeout = 60s;
  Duration graceful_timeout = 30s;
  Duration stop_grace = 3s;   // between `stop` and `kill`
  Duration abort_grace = 2s;  // between `abort` and `kill`
  Duration hang_timeout = 30s;
  config::Restart restart;
};

// Whose fault the end of a life was.
enum class Blame {
  own,         // backs off and counts for the breaker
  outside,     // exit code 75, such as a server that start() needs and that is down: backs off, never opens the breaker
  other_slot,  // another slot of the same process: starts again at once
};

class SlotMachine {
 public:
  explicit SlotMachine(const SlotOptions& options) : options_(options), policy_(options.restart) {}

  // ---- what happened
  // This slot shall have a worker of this kind. `surge`: for as long as a rolling restart needs one more; scaling does not count it.
  void want(std::uint32_t kind, bool surge = false);
  void unwant();                  // this slot shall become empty
  void replace();                 // its life shall end gracefully and the next begin; nothing if none lives
  void started(TimePoint now);    // a life begins
  void start_failed(TimePoint now, Duration retry);  // fork said EAGAIN or the like: nobody's fault, tried again
  void ready(TimePoint now, std::uint64_t generation);
  // The life is over for good: its process was reaped, or its host reported the thread's end.
  void ended(TimePoint now, std::uint64_t generation, ExitReason reason, Blame blame, double random);
  void hurry(TimePoint now);  // fast stop of the whole instance

  // ---- what to do at `now`; each command is given once. `heartbeat_age`: since the loop last moved (zero before the
  // first heartbeat, and after the master itself had been suspended). `waiting`: the worker waits for a server or for permits,
  // which is no boot time; neither is time in which nobody called step().
  Command step(TimePoint now, Duration heartbeat_age, bool waiting = false);

  SlotState state() const noexcept { return state_; }
  std::uint64_t generation() const noexcept { return generation_; }
  std::uint32_t kind() const noexcept { return kind_; }
  bool wanted() const noexcept { return wanted_; }
  bool surge() const noexcept { return surge_; }
  bool alive() const noexcept { return state_ == SlotState::starting || state_ == SlotState::ready || state_ == SlotState::draining; }
  // The reason why the supervisor is ending this life, if it is; wins over what the exit status says.
  ExitReason sentence() const noexcept { return sentence_; }
  TimePoint started_at() const noexcept { return started_at_; }
  TimePoint ready_at() const noexcept { return ready_at_; }
  TimePoint retry_at() const noexcept { return retry_at_; }

 private:
  SlotOptions options_;
  RestartPolicy policy_;
  SlotState state_ = SlotState::empty;
  bool wanted_ = false;
  bool surge_ = false;
  bool replace_ = false;
  std::uint32_t kind_ = 0;
  std::uint64_t generation_ = 0;
  ExitReason sentence_ = ExitReason::none;
  TimePoint started_at_{}, ready_at_{}, retry_at_{};
  TimePoint last_step_{};
  Duration boot_time_{};
  TimePoint next_escalation_{};  // drain → stop → kill, abort → kill
  enum class Ending { none, drained, stopped, aborted, killed } ending_ = Ending::none;
};

}  // namespace sluice::supervise
