// What the supervisor does when something happens: signals, ended children, messages, commands.
#include <sluice/core/log.hpp>
#include <sluice/core/text.hpp>
#include <sluice/supervise/supervisor.hpp>

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>

namespace sluice::supervise {
namespace {

ExitReason reason_of_code(int code) {
  if (code == 0) return ExitReason::done;
  return code == to_int(ExitCode::config) ? ExitReason::config : ExitReason::error;
}

}  // namespace

void Supervisor::on_signals(TimePoint now) {
  signalfd_siginfo info;
  while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    ExitCode code = ExitCode::done;
    switch (info.ssi_signo) {
      case SIGTERM:
      case SIGINT: request_stop(stopping_, info.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT", now); break;
      case SIGQUIT: request_stop(true, "SIGQUIT", now); break;
      case SIGTTIN:
      case SIGTTOU:
        if (const std::string answer = scale_to(0, info.ssi_signo == SIGTTIN ? 1 : -1, true, code); code != ExitCode::done) log::warning(answer);
        break;
      case SIGUSR1:
        log::reopen();
        for (const Process& p : processes_) {
          shm::Message message;
          message.type = shm::MessageType::reopen_logs;
          if (p.channel) shm::send(p.channel.get(), message);
        }
        break;
      case SIGHUP: log::warning("SIGHUP: reading the configuration anew is not available yet, nothing was changed; `ctl restart` replaces the workers one by one"); break;
      case SIGUSR2: log::warning("SIGUSR2: binary upgrade is not available yet; nothing was changed"); break;
      default: break;  // SIGCHLD: reaped after every wake-up
    }
  }
}

void Supervisor::on_child_exit(const Exit& exit, TimePoint now) {
  const auto it = std::find_if(processes_.begin(), processes_.end(), [&exit](const Process& p) { return p.pid == exit.pid; });
  if (it == processes_.end()) return;  // a stranger, adopted
  if (it->channel) {  // what it said before it died still counts
    shm::Message message;
    while (shm::receive(it->channel.get(), message) == shm::Received::message) on_message(*it, message, now);
  }
  const Process process = std::move(*it);
  processes_.erase(it);
  if (process.role != Role::workers) {
    if (!stopping_ && (exit.signalled || exit.status != 0))
      log::warning(text(process.role == Role::admin ? "admin" : "janitor", " process ", exit.pid, " ended by ", exit.signalled ? "signal " : "exit code ", exit.status,
                        "; a new one follows"));
    return;
  }
  const int status = exit.signalled ? 128 + exit.status : exit.status;
  const ExitReason reason = exit.signalled ? ExitReason::signal : reason_of_code(exit.status);
  std::vector<std::uint32_t> hosted;
  bool confessed = false;
  const auto guilty = [this](std::uint32_t i) {
    return slots_[i].sentence() != ExitReason::none || segment_.slots()[i].crashed_generation.get() == slots_[i].generation();
  };
  for (std::uint32_t i = 0; i < slots_.size(); ++i) {
    if (!slots_[i].alive() || hosts_[i] != exit.pid) continue;
    hosted.push_back(i);
    confessed = confessed || guilty(i);
  }
  for (std::uint32_t i : hosted) life_ended(i, slots_[i].generation(), reason, status, confessed && !guilty(i) ? Blame::other_slot : Blame::own, now);
}

void Supervisor::on_message(Process& from, const shm::Message& message, TimePoint now) {
  using shm::MessageType;
  if (from.role == Role::workers) {
    if (message.slot >= slots_.size() || hosts_[message.slot] != from.pid || message.generation != slots_[message.slot].generation()) return;
    if (message.type == MessageType::worker_ready) {
      slots_[message.slot].ready(now, message.generation);
      log::debug(text(label(message.slot), ": ready in process ", from.pid));
    } else if (message.type == MessageType::worker_ended) {
      const int code = static_cast<int>(message.value);
      life_ended(message.slot, message.generation, reason_of_code(code), code, Blame::own, now);
    }
    return;
  }
  if (from.role != Role::admin) return;
  shm::Message reply;
  switch (message.type) {
    case MessageType::scale: reply = scale(message); break;
    case MessageType::set_budget: reply = set_budget(message); break;
    case MessageType::restart: reply = restart(message); break;
    case MessageType::stop_instance:
      request_stop(message.flag == 1, "ctl stop", now);
      reply.set_text(message.flag == 1 ? "stopping fast" : "stopping gracefully");
      break;
    default:
      reply.value = to_int(ExitCode::usage);
      reply.set_text("the master does not know this command");
      break;
  }
  reply.type = MessageType::reply;
  reply.id = message.id;
  if (from.channel) shm::send(from.channel.get(), reply);
}

void Supervisor::life_ended(std::uint32_t slot, std::uint64_t generation, ExitReason reason, int status, Blame blame, TimePoint now) {
  SlotMachine& machine = slots_[slot];
  if (machine.generation() != generation || !machine.alive()) return;
  if (machine.sentence() != ExitReason::none) reason = machine.sentence();
  if (reason == ExitReason::config && !stopping_) {
    exit_code_ = to_int(ExitCode::config);
    request_stop(false, text(label(slot), " ended with exit code 78: its configuration is wrong, a restart would not help"), now);
  }
  const Duration lived = now - machine.started_at();
  if (blame == Blame::own && reason == ExitReason::error && status == to_int(ExitCode::temporary)) blame = Blame::outside;
  machine.ended(now, generation, reason, blame, std::uniform_real_distribution<double>(0, 1)(random_));

  shm::Slot& shared = segment_.slots()[slot];
  shared.pid.set(0);
  hosts_[slot] = 0;
  shared.last_exit.set(static_cast<std::uint64_t>(reason));
  shared.last_exit_status.set(static_cast<std::uint64_t>(status));
  shared.exits[static_cast<unsigned>(reason) % shm::exit_reasons].add();
  shared.ready.set(0);
  shared.requests_in_flight.set(0);
  shared.client_connections.set(0);
  for (std::uint32_t p = 0; p < segment_.header().pools; ++p) {
    shm::PoolStats& stats = segment_.pool_stats(slot, p);
    for (shm::Cell* gauge : {&stats.idle, &stats.leased, &stats.multiplexed, &stats.connecting, &stats.closing, &stats.waiting, &stats.limit}) gauge->set(0);
  }

  if (reason == ExitReason::stopped) {
    log::debug(text(label(slot), ": ended as asked"));
    return;
  }
  std::string next;
  if (machine.state() == SlotState::failed)
    next = "its breaker is open: not restarted (restart.breaker_deaths within restart.breaker_window)";
  else if (machine.state() == SlotState::backoff)
    next = text("restarting in ", to_millis(machine.retry_at() - now), " ms");
  else if (machine.wanted())
    next = "restarting at once";
  log::warning(text(label(slot), ": life ", generation, " ended after ", to_millis(lived), " ms: ", to_text(reason), " (", status, ")", next.empty() ? "" : "; ", next));
}

void Supervisor::request_stop(bool fast, const std::string& why, TimePoint now) {
  if (!stopping_) log::info(text("stopping ", fast ? "fast" : "gracefully", ": ", why));
  else if (fast && !fast_) log::info(text("hurrying: ", why));
  stopping_ = true;
  fast_ = fast_ || fast;
  for (SlotMachine& slot : slots_) {
    if (fast_)
      slot.hurry(now);
    else
      slot.unwant();
  }
}

shm::Message Supervisor::scale(const shm::Message& request) {
  shm::Message reply;
  ExitCode code = ExitCode::done;
  reply.set_text(scale_to(request.slot, request.value, request.flag == 1, code));
  reply.value = to_int(code);
  return reply;
}

shm::Message Supervisor::set_budget(const shm::Message& request) {
  shm::Message reply;
  constexpr std::int64_t most = 1'000'000;
  if (request.slot >= segment_.header().servers || request.value < 0 || request.value > most) {
    reply.value = to_int(ExitCode::usage);
    reply.set_text("budget set: no such server or number");
    return reply;
  }
  if (stopping_) {
    reply.value = to_int(ExitCode::temporary);
    reply.set_text("the instance is stopping");
    return reply;
  }
  const auto workers = static_cast<std::uint32_t>(std::count_if(slots_.begin(), slots_.end(), [](const SlotMachine& slot) { return slot.wanted(); }));
  const BudgetKeeper::Answer answer = keeper_.wish(request.slot, static_cast<std::uint32_t>(request.value), workers);
  reply.value = to_int(answer.refused ? ExitCode::config : ExitCode::done);
  reply.set_text(answer.text);
  if (!answer.refused) log::info(text("budget set ", segment_.servers()[request.slot].name, ": ", answer.text));
  return reply;
}

shm::Message Supervisor::restart(const shm::Message& request) {
  shm::Message reply;
  const auto refuse = [&reply](ExitCode code, const std::string& why) {
    reply.value = to_int(code);
    reply.set_text(why);
    return reply;
  };
  if (stopping_) return refuse(ExitCode::temporary, "the instance is stopping");
  if (rollout_.running()) return refuse(ExitCode::temporary, text("a rolling restart is under way, ", rollout_.text(), "; try again when it is done"));
  if (request.flag > 2) return refuse(ExitCode::usage, "restart: every worker, a kind or a slot");
  Rollout::Whom whom;
  if (request.flag == 1) whom.kind = request.slot;
  if (request.flag == 2) whom.slot = request.slot;
  if (const std::string refusal = rollout_.begin(whom, slots_); !refusal.empty()) return refuse(ExitCode::usage, refusal);
  reply.generation = rollout_.number();
  reply.set_text(text("rolling restart ", rollout_.number(), " of ", rollout_.workers(), rollout_.workers() == 1 ? " worker" : " workers", " begins"));
  log::info(reply.get_text());
  return reply;
}

std::string Supervisor::scale_to(std::uint32_t kind, std::int64_t value, bool relative, ExitCode& code) {
  if (kind >= kinds_.size() || value > 100000 || value < -100000) {
    code = ExitCode::usage;
    return "scale: no such kind or number";
  }
  if (stopping_) {
    code = ExitCode::temporary;
    return "the instance is stopping";
  }
  const ScalePlan plan = plan_scale(slots_, kind, kinds_[kind].name, value, relative);
  if (!plan.refusal.empty()) {
    code = ExitCode::usage;
    return plan.refusal;
  }
  std::uint32_t total = 0;
  for (const SlotMachine& slot : slots_) total += slot.wanted();
  total = total + static_cast<std::uint32_t>(plan.add.size()) - static_cast<std::uint32_t>(plan.remove.size());
  const std::string refusal = plan.after > plan.before ? keeper_.refusal(total) : std::string();
  if (!refusal.empty()) {
    code = ExitCode::config;
    const bool surge = std::any_of(slots_.begin(), slots_.end(), [](const SlotMachine& slot) { return slot.surge() && slot.wanted(); });
    return surge ? refusal + "; one of these workers is there only until the rolling restart is done" : refusal;
  }
  for (std::uint32_t slot : plan.add) slots_[slot].want(kind);
  for (std::uint32_t slot : plan.remove) slots_[slot].unwant();
  const std::string line = text(kinds_[kind].name, ": ", plan.before, " → ", plan.after, plan.after == 1 ? " worker" : " workers");
  log::info(text("scale ", line));
  return line;
}

}  // namespace sluice::supervise
