// --foreground: one worker in this process, for a debugger. No fork, no admin process; the budget is kept and the servers
// are asked by two threads that touch nothing but the segment.
#include <sluice/core/error.hpp>
#include <sluice/core/log.hpp>
#include <sluice/core/text.hpp>
#include <sluice/http/server.hpp>
#include <sluice/launch/instance.hpp>
#include <sluice/supervise/aggregation.hpp>
#include <sluice/supervise/instance_lock.hpp>

#include <sys/socket.h>

#include <atomic>
#include <memory>
#include <thread>

namespace sluice::launching {
namespace {

// What the master's tick does, as far as one worker needs it.
void keep(Instance& instance, supervise::BudgetKeeper& keeper, const std::atomic<bool>& end) {
  log::set_name("keeper");
  const std::size_t n = instance.segment().header().max_workers;
  const auto active = std::make_unique<bool[]>(n);
  const auto draining = std::make_unique<bool[]>(n);
  active[0] = true;
  const auto ended = [](budget::Life life) { return life.slot != budget::janitor_slot && !(life.slot == 0 && life.generation == 1); };
  std::string last_refusal;
  while (!end.load()) {
    const auto change = keeper.tick(now_nanos(), {active.get(), n}, {draining.get(), n}, ended);
    for (const auto& line : change.lines) log::info(line);
    for (const auto& line : change.warnings) log::warning(line);
    if (!change.refused.empty() && change.refused != last_refusal) log::error(last_refusal = change.refused);
    supervise::Summary summary;
    summary.state = shm::InstanceState::running;
    summary.workers_wanted = 1;
    summary.workers_ready = static_cast<std::uint32_t>(instance.segment().slots()[0].ready.get());
    supervise::publish(instance.segment(), summary, now_nanos());
    std::this_thread::sleep_for(50ms);  // the tick itself
  }
}

}  // namespace

int run_foreground(const config::Config& config, const std::vector<Kind>& kinds) {
  Instance instance(config, kinds);
  const std::string refusal = instance.make_keeper(false).refusal(1);
  if (!refusal.empty()) throw ExitError(ExitCode::config, refusal);
  supervise::InstanceLock lock(config.lock_path(), config.instance, 0s);
  supervise::BudgetKeeper keeper = instance.make_keeper(!lock.last_end_was_clean());
  instance.bind_listeners();
  for (const auto& [name, fd] : instance.listeners()) log::info(text(name, " on ", http::local_address(fd), " (foreground: one worker, no admin process, no ctl)"));

  shm::Slot& slot = instance.segment().slots()[0];
  slot.generation.set(1);
  slot.state.set(static_cast<std::uint64_t>(shm::SlotState::ready));
  slot.pid.set(static_cast<std::uint64_t>(instance.segment().header().master_pid));

  std::atomic<bool> end{false};
  auto [ours, theirs] = message_socket_pair();
  std::thread keeper_thread([&] { keep(instance, keeper, end); });
  std::thread janitor_thread([&, channel = theirs.get()] {
    log::set_name("janitor");
    runtime::JanitorInputs inputs = instance.janitor_inputs(channel, 1);
    inputs.stay = true;
    runtime::run_janitor(inputs);
  });
  const int code = runtime::host_foreground(instance.host_inputs(-1), {0, 1, 0});
  ::shutdown(ours.get(), SHUT_RDWR);  // end of stream: the janitor gives its permit back
  janitor_thread.join();
  end.store(true);
  keeper_thread.join();
  if (keeper.all_free()) lock.mark_clean();
  return code;
}

}  // namespace sluice::launching
