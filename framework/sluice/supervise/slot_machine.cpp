#include <sluice/supervise/slot_machine.hpp>

#include <algorithm>

namespace sluice::supervise {

void SlotMachine::want(std::uint32_t kind, bool surge) {
  wanted_ = true;
  surge_ = surge;
  kind_ = kind;
}

void SlotMachine::unwant() {
  wanted_ = false;
  policy_.forgive();  // whoever wants the slot again starts anew
  if (!alive()) state_ = SlotState::empty;
}

void SlotMachine::replace() { replace_ = alive(); }

void SlotMachine::started(TimePoint now) {
  ++generation_;
  state_ = SlotState::starting;
  started_at_ = last_step_ = now;
  boot_time_ = Duration::zero();
  ready_at_ = {};
  sentence_ = ExitReason::none;
  ending_ = Ending::none;
  replace_ = false;
}

void SlotMachine::start_failed(TimePoint now, Duration retry) {
  state_ = SlotState::backoff;
  retry_at_ = now + retry;
}

void SlotMachine::ready(TimePoint now, std::uint64_t generation) {
  if (generation != generation_ || state_ != SlotState::starting) return;
  state_ = SlotState::ready;
  ready_at_ = now;
}

void SlotMachine::ended(TimePoint now, std::uint64_t generation, ExitReason reason, Blame blame, double random) {
  if (generation != generation_ || !alive()) return;
  state_ = SlotState::exited;
  if (!wanted_) {
    state_ = SlotState::empty;
    return;
  }
  if (blame == Blame::other_slot || reason == ExitReason::stopped) return;  // starts again at once
  const auto delay = policy_.died(now, now - started_at_, random, blame == Blame::own);
  if (!delay) {
    state_ = SlotState::failed;
  } else if (*delay > Duration::zero()) {
    state_ = SlotState::backoff;
    retry_at_ = now + *delay;
  }
}

void SlotMachine::hurry(TimePoint now) {
  wanted_ = false;
  if (!alive()) {
    state_ = SlotState::empty;
  } else if (ending_ == Ending::none || ending_ == Ending::drained) {
    state_ = SlotState::draining;
    ending_ = Ending::drained;
    next_escalation_ = now;
  }
}

Command SlotMachine::step(TimePoint now, Duration heartbeat_age, bool waiting) {
  const Duration since = now - last_step_;
  last_step_ = now;
  if (state_ == SlotState::starting && !waiting) boot_time_ += std::min<Duration>(since, 1s);
  switch (state_) {
    case SlotState::empty:
    case SlotState::exited:
      return wanted_ ? Command::start : Command::none;
    case SlotState::backoff:
      return wanted_ && now >= retry_at_ ? Command::start : Command::none;
    case SlotState::failed:
      return Command::none;
    case SlotState::starting:
    case SlotState::ready:
    case SlotState::draining:
      break;
  }
  switch (ending_) {
    case Ending::none:
      if (!wanted_ || replace_) {
        state_ = SlotState::draining;
        sentence_ = ExitReason::stopped;
        ending_ = Ending::drained;
        next_escalation_ = now + options_.graceful_timeout;
        return Command::drain;
      }
      if (state_ == SlotState::starting && boot_time_ > options_.boot_timeout) {
        sentence_ = ExitReason::boot_timeout;
        ending_ = Ending::aborted;
        next_escalation_ = now + options_.abort_grace;
        return Command::abort;
      }
      break;
    case Ending::drained:
      if (now < next_escalation_) break;
      if (sentence_ == ExitReason::none) sentence_ = ExitReason::stopped;
      ending_ = Ending::stopped;
      next_escalation_ = now + options_.stop_grace;
      return Command::stop;
    case Ending::stopped:
    case Ending::aborted:
      if (now < next_escalation_) return Command::none;
      ending_ = Ending::killed;
      return Command::kill;
    case Ending::killed:
      return Command::none;
  }
  if (heartbeat_age > options_.hang_timeout) {
    sentence_ = ExitReason::hang;
    ending_ = Ending::aborted;
    next_escalation_ = now + options_.abort_grace;
    return Command::abort;
  }
  return Command::none;
}

}  // namespace sluice::supervise
