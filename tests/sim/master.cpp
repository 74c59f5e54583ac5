#include <sim/master.hpp>
#include <sim/world.hpp>

#include <algorithm>

namespace sluice::sim {
namespace {

using supervise::Command;
using supervise::SlotState;

constexpr Duration tick_interval = 50ms;
constexpr Duration janitor_retry = 500ms;

supervise::SlotOptions options_of(const Scenario& s) {
  supervise::SlotOptions o;
  o.graceful_timeout = 300ms;
  o.stop_grace = 100ms;
  o.abort_grace = 50ms;
  o.hang_timeout = 400ms;
  o.boot_timeout = 2s;
  o.restart = s.restart;
  return o;
}

}  // namespace

Master::Master(World& world, std::uint32_t instance, ProcessId self, bool unclean)
    : world_(world), instance_(instance), self_(self), segment_(*world.instance(instance).segment), keeper_(segment_, {world.scenario().server}, {false}, unclean) {
  slots_.assign(segment_.header().max_workers, supervise::SlotMachine(options_of(world.scenario())));
  hosts_.assign(slots_.size(), 0);
}

void Master::handle(const Message& m) {
  const TimePoint now = world_.now();
  switch (m.to) {
    case To::boot: scale(world_.scenario().workers); break;
    case To::exited:
      if (m.a == janitor_host_) janitor_host_ = 0;
      for (std::uint32_t i = 0; i < slots_.size(); ++i) {
        if (slots_[i].alive() && hosts_[i] == m.a) life_ended(i, m.b != 0 ? supervise::ExitReason::signal : supervise::ExitReason::done);
      }
      break;
    case To::ended:
      if (slots_[m.a].alive() && slots_[m.a].generation() == m.b) life_ended(static_cast<std::uint32_t>(m.a), supervise::ExitReason::done);
      break;
    case To::ready: slots_[m.a].ready(now, m.b); break;
    case To::scale: scale(static_cast<std::uint32_t>(m.a)); break;
    case To::restart:
      if (!stopping_ && !rollout_.running()) static_cast<void>(rollout_.begin({}, slots_));
      break;
    case To::wish: static_cast<void>(keeper_.wish(0, static_cast<std::uint32_t>(m.a), wanted())); break;
    case To::finish:
      stopping_ = true;
      rollout_.abandon();
      for (auto& slot : slots_) slot.unwant();
      break;
    default: break;
  }
  tick();
}

std::uint32_t Master::wanted() const {
  return static_cast<std::uint32_t>(std::count_if(slots_.begin(), slots_.end(), [](const auto& slot) { return slot.wanted(); }));
}

void Master::scale(std::uint32_t workers) {
  if (stopping_ || (workers > wanted() && !keeper_.refusal(workers).empty())) return;
  for (std::uint32_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].surge() && slots_[i].wanted()) continue;
    if (i < workers && !slots_[i].wanted()) slots_[i].want(0);
    if (i >= workers && slots_[i].wanted()) slots_[i].unwant();
  }
}

void Master::tick() {
  rollout_.step(slots_, [this](std::uint32_t workers) { return keeper_.decided() && keeper_.refusal(workers).empty(); });
  step_slots();
  keep_budget();
  keep_janitor();
  publish();
  if (stopping_ && finished()) return world_.leave();
  const TimePoint now = world_.now();
  if (now < next_tick_) return;  // one is under way
  next_tick_ = now + tick_interval;
  world_.send(self_, tick_interval, {To::tick});
}

void Master::step_slots() {
  const TimePoint now = world_.now();
  std::vector<std::uint32_t> start;
  for (std::uint32_t i = 0; i < slots_.size(); ++i) {
    const ProcessId process = world_.instance(instance_).workers[i];
    const Command command = slots_[i].step(now, slots_[i].alive() ? world_.stopped_for(process) : Duration::zero());
    switch (command) {
      case Command::start:
        if (!stopping_) start.push_back(i);
        break;
      case Command::drain: world_.send(process, 50us, {To::drain}); break;
      case Command::stop: world_.send(process, 50us, {To::stop}); break;
      case Command::abort:
      case Command::kill: world_.kill_host(instance_, hosts_[i]); break;
      case Command::none: break;
    }
  }
  if (!start.empty()) start_lives(start);
}

void Master::start_lives(const std::vector<std::uint32_t>& slots) {
  const std::uint32_t threads = world_.scenario().threads;
  for (const std::uint32_t slot : slots) {
    slots_[slot].started(world_.now());
    shm::Slot& shared = segment_.slots()[slot];
    shared.state.set(static_cast<std::uint64_t>(SlotState::starting));  // before the generation
    shared.generation.set(slots_[slot].generation());
    std::uint32_t host = 0;
    for (std::uint32_t i = slot / threads * threads; i < (slot / threads + 1) * threads && i < slots_.size(); ++i) {
      if (i != slot && slots_[i].alive() && hosts_[i] != 0) host = hosts_[i];
    }
    hosts_[slot] = host != 0 ? host : world_.new_host();
    world_.spawn_worker(instance_, slot, slots_[slot].generation(), hosts_[slot]);
    shared.pid.set(hosts_[slot]);
  }
}

void Master::life_ended(std::uint32_t slot, supervise::ExitReason reason) {
  if (slots_[slot].sentence() != supervise::ExitReason::none) reason = slots_[slot].sentence();
  slots_[slot].ended(world_.now(), slots_[slot].generation(), reason, supervise::Blame::own, world_.random().unit());
  segment_.slots()[slot].pid.set(0);
  hosts_[slot] = 0;
}

bool Master::life_is_over(budget::Life life) const {
  if (life.slot == budget::janitor_slot) return life.generation != janitor_generation_ || janitor_host_ == 0;
  if (life.slot >= slots_.size()) return false;
  return life.generation != slots_[life.slot].generation() || !slots_[life.slot].alive();
}

void Master::keep_budget() {
  const std::size_t n = slots_.size();
  const auto active = std::make_unique<bool[]>(n);
  const auto draining = std::make_unique<bool[]>(n);
  for (std::size_t i = 0; i < n; ++i) {
    active[i] = slots_[i].wanted() && slots_[i].state() != SlotState::failed;
    draining[i] = !active[i] && slots_[i].alive();
  }
  const auto change = keeper_.tick(to_nanos(world_.now()), {active.get(), n}, {draining.get(), n}, [this](budget::Life life) { return life_is_over(life); });
  if (!change.refused.empty()) world_.fail(text("the master refuses what the scenario gave it: ", change.refused));

  // The parts of those who count are never more than the whole.
  const shm::Server& server = segment_.servers()[0];
  std::uint64_t sum = 0;
  for (std::uint32_t i = 0; i < n; ++i) {
    if (active[i]) sum += segment_.limits(0)[i].load();
  }
  if (sum > 0 && sum + server.confirm > server.budget.get()) world_.fail(text("the limits make ", sum, " where the budget is ", server.budget.get()));
}

void Master::keep_janitor() {
  const TimePoint now = world_.now();
  if (janitor_host_ != 0 || now < next_janitor_start_ || !keeper_.needs_janitor()) return;
  next_janitor_start_ = now + janitor_retry;
  ++janitor_generation_;
  const ProcessId janitor = world_.spawn_janitor(instance_, janitor_generation_);
  janitor_host_ = world_.host_of(janitor);
}

void Master::publish() {
  for (std::uint32_t i = 0; i < slots_.size(); ++i) segment_.slots()[i].state.set(static_cast<std::uint64_t>(slots_[i].state()));
}

// Workers first, then what they left; then the janitor gives its own permit back.
bool Master::finished() {
  if (std::any_of(slots_.begin(), slots_.end(), [](const auto& slot) { return slot.alive(); })) return false;
  if (keeper_.awaiting_proof() > 0) return false;
  if (janitor_host_ != 0) {
    world_.send(world_.instance(instance_).janitor, 50us, {To::end});
    return false;
  }
  return keeper_.all_free();
}

}  // namespace sluice::sim
