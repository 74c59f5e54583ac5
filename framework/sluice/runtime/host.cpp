#include <sluice/runtime/host.hpp>

#include <sluice/core/child.hpp>
#include <sluice/core/error.hpp>
#include <sluice/core/log.hpp>
#include <sluice/core/text.hpp>
#include <sluice/runtime/channel.hpp>

#include <boost/asio/signal_set.hpp>
#include <unistd.h>

#include <map>
#include <thread>

namespace sluice::runtime {
namespace {

// For the crash handler: which slot's life runs on this thread. Plain pointers to shared memory: async-signal-safe.
thread_local shm::Slot* current_slot = nullptr;          // NOLINT
thread_local std::uint64_t current_generation = 0;       // NOLINT

void confess() {
  if (current_slot) current_slot->crashed_generation.set(current_generation);
}

LifeOutcome run_life(WorkerLife& life, const LifeInputs& names) {
  current_slot = &names.segment->slots()[names.slot];
  current_generation = names.generation;
  const LifeOutcome outcome = life.run();
  current_slot = nullptr;
  return outcome;
}

std::string label_of(const LifeInputs& inputs) { return text(inputs.kind_name, ' ', inputs.slot); }

// The master's wishes for a life, wherever it runs.
void obey(WorkerLife& life, const shm::Message& message) {
  if (message.type == shm::MessageType::drain_worker) life.request_drain();
  if (message.type == shm::MessageType::stop_worker) life.request_stop();
}

// SIGTERM and SIGINT as sent to a whole control group or by hand: the end is as graceful as the master's own.
class TerminationSignals {
 public:
  TerminationSignals(asio::io_context& loop, std::function<void(bool first)> on_signal)
      : signals_(loop, SIGINT, SIGTERM), on_signal_(std::move(on_signal)) {
    wait();
  }

 private:
  void wait() {
    signals_.async_wait([this](const error_code& error, int) {
      if (error) return;
      on_signal_(std::exchange(first_, false));
      wait();
    });
  }

  asio::signal_set signals_;
  std::function<void(bool)> on_signal_;
  bool first_ = true;
};

shm::Message about(shm::MessageType type, const HostedLife& life) {
  shm::Message message;
  message.type = type;
  message.slot = life.slot;
  message.generation = life.generation;
  return message;
}

}  // namespace

int host_one(const HostInputs& inputs, const HostedLife& assigned) {
  child::install_crash_backtrace(confess);
  LifeInputs life_inputs = inputs.make_life(assigned.slot, assigned.generation, assigned.kind);
  const std::string label = label_of(life_inputs);
  log::set_name(label);
  child::set_title(inputs.title_prefix + label);
  life_inputs.on_ready = [&inputs, &assigned] { shm::send(inputs.channel, about(shm::MessageType::worker_ready, assigned)); };
  const LifeInputs names = life_inputs;
  WorkerLife life(std::move(life_inputs));
  Channel channel(life.loop(), inputs.channel);
  channel.start(
      [&life](const shm::Message& message) {
        if (message.type == shm::MessageType::reopen_logs) log::reopen();
        obey(life, message);
      },
      [] { ::_exit(to_int(ExitCode::unavailable)); });  // nobody supervises us any more
  const TerminationSignals signals(life.loop(), [&life](bool) { life.request_drain(); });
  return run_life(life, names).code;
}

int host_foreground(const HostInputs& inputs, const HostedLife& assigned) {
  LifeInputs life_inputs = inputs.make_life(assigned.slot, assigned.generation, assigned.kind);
  log::set_name(label_of(life_inputs));
  const LifeInputs names = life_inputs;
  WorkerLife life(std::move(life_inputs));
  const TerminationSignals signals(life.loop(), [&life](bool first) { first ? life.request_drain() : life.request_stop(); });
  return run_life(life, names).code;
}

namespace {

// The main thread of a process in thread mode: starts, ends and joins threads; the master decides.
class ThreadHost {
 public:
  explicit ThreadHost(const HostInputs& inputs) : inputs_(inputs), channel_(loop_, inputs.channel), signals_(loop_, [this](bool) { drain_all(); }) {}

  int run(const std::vector<HostedLife>& lives) {
    for (const HostedLife& life : lives) start(life);
    channel_.start([this](const shm::Message& m) { on_message(m); }, [this] { on_closed(); });
    loop_.run();
    return to_int(ExitCode::done);
  }

 private:
  struct Running {
    std::unique_ptr<WorkerLife> life;
    std::thread thread;
    HostedLife assigned;
  };

  void start(const HostedLife& assigned) {
    try {
      run_on_thread(assigned);
    } catch (const std::exception& e) {  // no thread to be had, for example: this life has ended, the others go on
      lives_.erase(assigned.slot);
      report_end(assigned, {to_int(ExitCode::temporary), e.what()});
    }
  }

  void run_on_thread(const HostedLife& assigned) {
    LifeInputs inputs = inputs_.make_life(assigned.slot, assigned.generation, assigned.kind);
    inputs.on_ready = [this, assigned] { shm::send(inputs_.channel, about(shm::MessageType::worker_ready, assigned)); };
    Running& running = lives_[assigned.slot];
    running.assigned = assigned;
    const LifeInputs names = inputs;
    running.life = std::make_unique<WorkerLife>(std::move(inputs));
    running.thread = std::thread([this, assigned, names, life = running.life.get()] {
      log::set_name(label_of(names));
      const LifeOutcome outcome = run_life(*life, names);
      asio::post(loop_, [this, assigned, outcome] { ended(assigned, outcome); });
    });
  }

  // Reported only after the life's loop and everything on it are gone.
  void ended(const HostedLife& assigned, const LifeOutcome& outcome) {
    const auto it = lives_.find(assigned.slot);
    it->second.thread.join();
    lives_.erase(it);
    report_end(assigned, outcome);
    if (closed_ && lives_.empty()) loop_.stop();
  }

  void report_end(const HostedLife& assigned, const LifeOutcome& outcome) {
    shm::Message message = about(shm::MessageType::worker_ended, assigned);
    message.value = outcome.code;
    message.set_text(outcome.message);
    shm::send(inputs_.channel, message);
  }

  void drain_all() {
    for (auto& [slot, running] : lives_) running.life->request_drain();
  }

  void on_message(const shm::Message& message) {
    if (message.type == shm::MessageType::reopen_logs) log::reopen();
    if (message.type == shm::MessageType::start_worker && !lives_.contains(message.slot)) {
      start(HostedLife{message.slot, message.generation, static_cast<std::uint32_t>(message.value)});
      return;
    }
    const auto it = lives_.find(message.slot);
    if (it != lives_.end() && it->second.assigned.generation == message.generation) obey(*it->second.life, message);
  }

  void on_closed() {
    closed_ = true;
    if (lives_.empty()) loop_.stop();
    for (auto& [slot, running] : lives_) running.life->request_stop();
  }

  const HostInputs& inputs_;
  asio::io_context loop_{1};
  Channel channel_;
  TerminationSignals signals_;
  std::map<std::uint32_t, Running> lives_;
  bool closed_ = false;
};

}  // namespace

int host_threads(const HostInputs& inputs, const std::vector<HostedLife>& lives) {
  child::install_crash_backtrace(confess);
  child::set_title(inputs.title_prefix + "workers");
  ThreadHost host(inputs);
  return host.run(lives);
}

}  // namespace sluice::runtime
