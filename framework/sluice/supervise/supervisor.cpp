#include <sluice/supervise/supervisor.hpp>

#include <sluice/core/error.hpp>
#include <sluice/core/log.hpp>
#include <sluice/core/text.hpp>
#include <sluice/supervise/aggregation.hpp>

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <system_error>

namespace sluice::supervise {
namespace {

constexpr Duration tick_interval = 50ms;
constexpr Duration helper_retry = 500ms;        // admin or janitor died: not before this long after its start
constexpr Duration confirmation_patience = 5s;  // at the end, for rows that wait for their server's word

SlotOptions slot_options(const config::Config& config) {
  SlotOptions o;
  o.boot_timeout = config.boot_timeout;
  o.graceful_timeout = config.graceful_timeout;
  o.hang_timeout = config.heartbeat.hang_timeout;
  o.restart = config.restart;
  return o;
}

Descriptor block_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int s : {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2, SIGCHLD}) sigaddset(&set, s);
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) throw_errno("sigprocmask");
  ::signal(SIGPIPE, SIG_IGN);
  Descriptor fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) throw_errno("signalfd");
  return fd;
}

}  // namespace

Supervisor::Supervisor(shm::Segment& segment, const config::Config& config, std::vector<KindCount> kinds, BudgetKeeper keeper, Entries entries)
    : segment_(segment), config_(config), kinds_(std::move(kinds)), keeper_(std::move(keeper)), entries_(std::move(entries)) {
  slots_.assign(segment_.header().max_workers, SlotMachine(slot_options(config)));
  hosts_.assign(slots_.size(), 0);
}

int Supervisor::run() {
  signals_ = block_signals();
  begin();
  for (;;) {
    std::vector<pollfd> fds;
    std::vector<pid_t> owners;
    fds.push_back({signals_.get(), POLLIN, 0});
    owners.push_back(0);
    for (const Process& p : processes_) {
      if (!p.channel) continue;
      fds.push_back({p.channel.get(), POLLIN, 0});
      owners.push_back(p.pid);
    }
    ::poll(fds.data(), fds.size(), static_cast<int>(to_millis(tick_interval)));
    const TimePoint now = Clock::now();
    watch_.tick(now);
    for (std::size_t i = 1; i < fds.size(); ++i) {
      if (fds[i].revents == 0) continue;
      shm::Message message;
      for (int n = 0; n < 64; ++n) {  // a flooding child must not starve the others
        Process* from = find(owners[i]);
        if (!from || !from->channel) break;
        const shm::Received got = shm::receive(from->channel.get(), message);
        if (got == shm::Received::message)
          on_message(*from, message, now);
        else if (got == shm::Received::closed)
          from->channel.reset();  // its end is noticed by SIGCHLD
        if (got == shm::Received::none || got == shm::Received::closed) break;
      }
    }
    if (fds[0].revents != 0) on_signals(now);
    while (const auto exit = reap([this](pid_t pid) { return find(pid) != nullptr; })) on_child_exit(*exit, now);
    tick(now);
    if (stopping_ && stop_finished(now)) break;
  }
  stopped_ = true;
  publish_state(Clock::now());
  return exit_code_;
}

void Supervisor::begin() {
  std::uint32_t slot = 0;
  for (std::uint32_t kind = 0; kind < kinds_.size(); ++kind) {
    for (std::uint32_t n = 0; n < kinds_[kind].workers; ++n) slots_[slot++].want(kind);
  }
  log::info(text("instance ", segment_.instance(), " starts ", slot, slot == 1 ? " worker" : " workers", " (max_workers ", slots_.size(), ")"));
}

void Supervisor::tick(TimePoint now) {
  step_rollout();
  step_slots(now);
  keep_budget(now);
  keep_helpers(now);
  publish_state(now);
}

void Supervisor::step_rollout() {
  if (!rollout_.running()) return;
  if (stopping_) rollout_.abandon();
  const std::uint32_t before = rollout_.replaced();
  rollout_.step(slots_, [this](std::uint32_t workers) { return keeper_.decided() && keeper_.refusal(workers).empty(); });
  std::string line = text("rolling restart ", rollout_.number(), rollout_.state() == Rollout::State::done ? " done: " : ": ", rollout_.text());
  if (const auto culprit = rollout_.culprit()) {
    if (const std::string why = segment_.slots()[*culprit].reason.get(); !why.empty()) line += text(": ", why);
    log::warning(line);
  } else if (rollout_.replaced() != before || !rollout_.running()) {
    log::info(line);
  }
  segment_.published().rollout_text.set(rollout_.text());
}

void Supervisor::step_slots(TimePoint now) {
  std::vector<std::uint32_t> start;
  std::uint32_t wanted = 0, failed = 0;
  for (std::uint32_t i = 0; i < slots_.size(); ++i) {
    const shm::Slot& shared = segment_.slots()[i];
    Duration age = Duration::zero();
    if (slots_[i].alive() && shared.alive_generation.acquire() == slots_[i].generation())
      age = watch_.age(now, from_nanos(shared.heartbeat_nanos.get_signed()));
    const Command command = slots_[i].step(now, age, waits_for_server(i));
    if (command == Command::start) {
      if (!stopping_) start.push_back(i);
    } else if (command != Command::none) {
      perform(command, i);
    }
    wanted += slots_[i].wanted();
    failed += slots_[i].wanted() && slots_[i].state() == SlotState::failed;
  }
  if (!start.empty()) start_lives(now, start);
  if (!stopping_ && wanted > 0 && failed == wanted) {
    exit_code_ = to_int(ExitCode::software);
    request_stop(false, "every worker failed too often (restart.breaker_deaths); see their errors above", now);
  }
}

bool Supervisor::waits_for_server(std::uint32_t slot) const {
  for (std::uint32_t p = 0; p < segment_.header().pools; ++p) {
    if (segment_.pool_stats(slot, p).waiting.get() > 0) return true;
  }
  return false;
}

void Supervisor::start_lives(TimePoint now, const std::vector<std::uint32_t>& slots) {
  const bool thread_host = config_.mode == config::Mode::thread || config_.threads > 1;
  for (std::size_t i = 0; i < slots.size();) {
    const std::uint32_t group = group_of(slots[i]);
    std::vector<Assignment> lives;
    for (; i < slots.size() && group_of(slots[i]) == group; ++i) {
      const std::uint32_t slot = slots[i];
      slots_[slot].started(now);
      shm::Slot& shared = segment_.slots()[slot];
      shared.kind.set(slots_[slot].kind());
      shared.state.set(static_cast<std::uint64_t>(SlotState::starting));  // before the generation: nobody may take the new life for an ended one
      shared.generation.set(slots_[slot].generation());
      if (slots_[slot].generation() > 1) shared.restarts.add();
      shared.started_nanos.set_signed(to_nanos(now));
      lives.push_back({slot, slots_[slot].generation(), slots_[slot].kind()});
    }
    Process* host = open_host(lives.front().slot);
    if (host) {
      for (const Assignment& life : lives) {
        shm::Message message;
        message.type = shm::MessageType::start_worker;
        message.slot = life.slot;
        message.generation = life.generation;
        message.value = life.kind;
        // A full queue: the host does not read. The life counts as one of it all the same, and its boot timeout finds out.
        shm::send(host->channel.get(), message);
      }
    } else {
      try {
        Process process = fork_child(Role::workers, private_descriptors(),
                                     [this, &lives, thread_host](int channel) { return entries_.workers(channel, lives, thread_host); });
        process.group = group;
        processes_.push_back(std::move(process));
        host = &processes_.back();
      } catch (const std::system_error& e) {
        log::warning(text("cannot start a worker process: ", e.what(), "; trying again in 1 s"));
        for (const Assignment& life : lives) slots_[life.slot].start_failed(now, 1s);
        continue;
      }
    }
    for (const Assignment& life : lives) {
      hosts_[life.slot] = host->pid;
      segment_.slots()[life.slot].pid.set(static_cast<std::uint64_t>(host->pid));
    }
  }
}

void Supervisor::perform(Command command, std::uint32_t slot) {
  Process* host = host_of(slot);
  if (!host) return;
  shm::Message message;
  message.slot = slot;
  message.generation = slots_[slot].generation();
  switch (command) {
    case Command::drain:
    case Command::stop:
      message.type = command == Command::drain ? shm::MessageType::drain_worker : shm::MessageType::stop_worker;
      if (host->channel) shm::send(host->channel.get(), message);
      break;
    case Command::abort: {
      log::error(text(label(slot), slots_[slot].sentence() == ExitReason::hang ? ": its event loop does not move (heartbeat.hang_timeout)" : ": not ready in time (boot_timeout)",
                      "; ending process ", host->pid));
      const shm::Slot& shared = segment_.slots()[slot];
      const bool its_own = shared.alive_generation.acquire() == slots_[slot].generation();
      const auto tid = its_own ? static_cast<pid_t>(shared.tid.get()) : 0;
      if (tid <= 0 || ::syscall(SYS_tgkill, host->pid, tid, SIGABRT) != 0) ::kill(host->pid, SIGABRT);
      break;
    }
    case Command::kill: kill_group(*host, SIGKILL); break;
    case Command::none:
    case Command::start: break;
  }
}

void Supervisor::keep_budget(TimePoint now) {
  const std::size_t n = slots_.size();
  const auto active = std::make_unique<bool[]>(n);
  const auto draining = std::make_unique<bool[]>(n);
  for (std::size_t i = 0; i < n; ++i) {
    active[i] = slots_[i].wanted() && slots_[i].state() != SlotState::failed;
    draining[i] = !active[i] && slots_[i].alive();
  }
  const auto ended = [this](budget::Life life) {
    if (life.slot == budget::janitor_slot)
      return life.generation != janitor_generation_ || std::none_of(processes_.begin(), processes_.end(), [](const Process& p) { return p.role == Role::janitor; });
    if (life.slot >= slots_.size()) return false;
    return life.generation != slots_[life.slot].generation() || !slots_[life.slot].alive();
  };
  const BudgetKeeper::Change change = keeper_.tick(to_nanos(now), {active.get(), n}, {draining.get(), n}, ended);
  if (change.answered && entries_.remember) entries_.remember(keeper_.start_times());
  for (const auto& line : change.lines) log::info(line);
  for (const auto& line : change.warnings) log::warning(line);
  if (!change.refused.empty() && !stopping_) {
    exit_code_ = to_int(ExitCode::config);
    request_stop(false, change.refused, now);
  }
}

void Supervisor::keep_helpers(TimePoint now) {
  const auto running = [this](Role role) { return std::any_of(processes_.begin(), processes_.end(), [role](const Process& p) { return p.role == role; }); };
  try {
    if (!stopping_ && entries_.admin && now >= next_admin_start_ && !running(Role::admin)) {
      next_admin_start_ = now + helper_retry;
      processes_.push_back(fork_child(Role::admin, private_descriptors(), entries_.admin));
    }
    const bool no_more_questions = stopping_ && (fast_ || (linger_until_ != TimePoint{} && now >= linger_until_));
    if (!no_more_questions && entries_.janitor && now >= next_janitor_start_ && !running(Role::janitor) && keeper_.needs_janitor()) {
      next_janitor_start_ = now + helper_retry;
      const std::uint64_t generation = ++janitor_generation_;
      processes_.push_back(fork_child(Role::janitor, private_descriptors(), [this, generation](int channel) { return entries_.janitor(channel, generation); }));
    }
  } catch (const std::system_error& e) {
    log::warning(text("cannot start a helper process: ", e.what(), "; trying again"));
  }
  // A thread host without lives and without wanted slots has nothing left to do: end of stream tells it.
  for (Process& p : processes_) {
    if (p.role != Role::workers || !p.channel) continue;
    bool needed = false;
    for (std::uint32_t i = 0; i < slots_.size() && !needed; ++i) needed = group_of(i) == p.group && (slots_[i].alive() || slots_[i].wanted());
    if (!needed) p.channel.reset();
  }
}

void Supervisor::publish_state(TimePoint now) {
  Summary summary;
  for (std::uint32_t i = 0; i < slots_.size(); ++i) {
    const SlotMachine& slot = slots_[i];
    shm::Slot& shared = segment_.slots()[i];
    shared.state.set(static_cast<std::uint64_t>(slot.state()));
    shared.ready_nanos.set_signed(slot.ready_at() == TimePoint{} ? 0 : to_nanos(slot.ready_at()));
    shared.retry_at_nanos.set_signed(slot.state() == SlotState::backoff ? to_nanos(slot.retry_at()) : 0);
    summary.workers_wanted += slot.wanted() && !slot.surge();
    summary.workers_ready += slot.wanted() && slot.state() == SlotState::ready;
  }
  if (!stopping_ && !all_were_ready_ && summary.workers_ready >= summary.workers_wanted) {
    all_were_ready_ = true;
    log::info(text("ready: ", summary.workers_ready, " of ", summary.workers_wanted, " workers"));
  }
  summary.rollout = rollout_.number();
  summary.rollout_state = rollout_.state();
  summary.rollout_workers = rollout_.workers();
  summary.rollout_replaced = rollout_.replaced();
  summary.state = stopped_ ? shm::InstanceState::stopped : stopping_ ? shm::InstanceState::stopping : all_were_ready_ ? shm::InstanceState::running : shm::InstanceState::starting;
  publish(segment_, summary, to_nanos(now));
}

bool Supervisor::stop_finished(TimePoint now) {
  const bool workers_left = std::any_of(processes_.begin(), processes_.end(), [](const Process& p) { return p.role == Role::workers; });
  if (workers_left) return false;
  if (fast_) linger_until_ = now;
  if (linger_until_ == TimePoint{}) linger_until_ = now + confirmation_patience;
  if (now < linger_until_ && keeper_.awaiting_proof() > 0) return false;
  linger_until_ = now;
  // End of stream asks the helpers to end; the janitor gives its own permit back first.
  for (Process& p : processes_) {
    if (p.channel) {
      p.channel.reset();
      p.asked_to_end = now;
    } else if (now - p.asked_to_end > 2s) {
      kill_group(p, SIGKILL);
    }
  }
  if (!processes_.empty()) return false;
  ended_clean_ = keeper_.all_free();
  log::info(text("stopped, exit code ", exit_code_, ended_clean_ ? "" : "; some sessions may still be open on a server: the next start will look for them"));
  return true;
}

Process* Supervisor::find(pid_t pid) {
  const auto it = std::find_if(processes_.begin(), processes_.end(), [pid](const Process& p) { return p.pid == pid; });
  return it == processes_.end() ? nullptr : &*it;
}

Process* Supervisor::open_host(std::uint32_t slot) {
  const std::uint32_t group = group_of(slot);
  const auto it = std::find_if(processes_.begin(), processes_.end(),
                               [group](const Process& p) { return p.role == Role::workers && p.group == group && p.channel; });
  return it == processes_.end() ? nullptr : &*it;
}

std::uint32_t Supervisor::group_of(std::uint32_t slot) const {
  if (config_.threads > 1) return slot / config_.threads;
  return config_.mode == config::Mode::thread ? 0 : slot;
}

std::vector<int> Supervisor::private_descriptors() const {
  std::vector<int> fds{signals_.get()};
  for (const Process& p : processes_) {
    if (p.channel) fds.push_back(p.channel.get());
  }
  return fds;
}

std::string Supervisor::label(std::uint32_t slot) const { return text(kinds_[slots_[slot].kind()].name, ' ', slot); }

}  // namespace sluice::supervise
