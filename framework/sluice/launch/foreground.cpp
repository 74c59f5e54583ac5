// --foreground: one worker in this process, for a debugger. No fork, no admin process; the budget is kept and the servers
// are asked by two threads that touch nothing but the segment.
#include <sluice/core/child.hpp>
#include <sluice/core/error.hpp>
#include <sluice/core/log.hpp>
#include <sluice/core/text.hpp>
#include <sluice/http/server.hpp>
#include <sluice/launch/instance.hpp>
#include <sluice/supervise/aggregation.hpp>
#include <sluice/supervise/instance_lock.hpp>

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <thread>

namespace sluice::launching {
namespace {

// What the master's tick does, as far as one worker needs it.
void keep(Instance& instance, supervise::BudgetKeeper& keeper, const std::atomic<bool>& end, std::atomic<bool>& refused) {
  log::set_name("keeper");
  const std::size_t n = instance.segment().header().max_workers;
  const auto active = std::make_unique<bool[]>(n);
  const auto draining = std::make_unique<bool[]>(n);
  active[0] = true;
  const auto ended = [](budget::Life life) { return life.slot != budget::janitor_slot && !(life.slot == 0 && life.generation == 1); };
  bool told = false;
  while (!end.load()) {
    const auto change = keeper.tick(now_nanos(), {active.get(), n}, {draining.get(), n}, ended);
    for (const auto& line : change.lines) log::info(line);
    for (const auto& line : change.warnings) log::warning(line);
    if (!change.refused.empty() && !refused.exchange(true)) log::error(change.refused);
    if (refused.load() && !told && instance.segment().slots()[0].alive_generation.acquire() == 1) {
      told = true;
      ::kill(::getpid(), SIGTERM);  // the worker drains as if a user had asked
    }
    supervise::Summary summary;
    summary.state = shm::InstanceState::running;
    summary.workers_wanted = 1;
    summary.workers_ready = static_cast<std::uint32_t>(instance.segment().slots()[0].ready.get());
    supervise::publish(instance.segment(), summary, now_nanos());
    std::this_thread::sleep_for(50ms);  // the tick itself
  }
}

// The keeper and the janitor as threads, ended and joined however the worker ends.
class Helpers {
 public:
  Helpers(Instance& instance, supervise::BudgetKeeper& keeper, std::atomic<bool>& refused) : channel_(message_socket_pair()) {
    keeper_ = std::thread([&, this] { keep(instance, keeper, end_, refused); });
    janitor_ = std::thread([&instance, channel = channel_.second.get()] {
      log::set_name("janitor");
      runtime::JanitorInputs inputs = instance.janitor_inputs(channel, 1);
      inputs.stay = true;
      runtime::run_janitor(inputs);
    });
  }
  Helpers(const Helpers&) = delete;
  ~Helpers() {
    ::shutdown(channel_.first.get(), SHUT_RDWR);  // end of stream: the janitor gives its permit back
    janitor_.join();
    end_.store(true);
    keeper_.join();
  }

 private:
  std::pair<Descriptor, Descriptor> channel_;
  std::atomic<bool> end_{false};
  std::thread keeper_;
  std::thread janitor_;
};

}  // namespace

int run_foreground(const config::Config& config, const std::vector<Kind>& kinds) {
  child::set_title(config.name + ": foreground");  // arguments may hold a password
  ::signal(SIGPIPE, SIG_IGN);
  Instance instance(config, kinds);
  const std::string refusal = instance.make_keeper(false).refusal(1);
  if (!refusal.empty()) throw ExitError(ExitCode::config, refusal);
  supervise::InstanceLock lock(config.lock_path(), config.instance, 0s);
  supervise::BudgetKeeper keeper = instance.make_keeper(!lock.last_end_was_clean());
  keeper.recall(lock.remembered());
  instance.bind_listeners();
  for (const auto& [name, fd] : instance.listeners()) log::info(text(name, " on ", http::local_address(fd), " (foreground: one worker, no admin process, no ctl)"));

  shm::Slot& slot = instance.segment().slots()[0];
  slot.generation.set(1);
  slot.state.set(static_cast<std::uint64_t>(shm::SlotState::ready));
  slot.pid.set(static_cast<std::uint64_t>(instance.segment().header().master_pid));

  lock.mark_running();
  int code = 0;
  std::atomic<bool> refused{false};
  {
    const Helpers helpers(instance, keeper, refused);
    code = runtime::host_foreground(instance.host_inputs(-1), {0, 1, 0});
  }
  lock.remember(keeper.start_times());
  if (keeper.all_free()) lock.mark_clean();
  return refused.load() ? to_int(ExitCode::config) : code;
}

}  // namespace sluice::launching
