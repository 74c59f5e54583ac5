// The normal way to run: a master with forked children.
#include <sluice/admin/admin.hpp>
#include <sluice/config/transfer.hpp>
#include <sluice/core/child.hpp>
#include <sluice/core/error.hpp>
#include <sluice/core/log.hpp>
#include <sluice/core/memory.hpp>
#include <sluice/core/text.hpp>
#include <sluice/http/server.hpp>
#include <sluice/launch/instance.hpp>
#include <sluice/launch/janitor_process.hpp>
#include <sluice/supervise/instance_lock.hpp>
#include <sluice/supervise/supervisor.hpp>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <utility>

namespace sluice::launching {
namespace {

// Who answers on the control socket is a running instance, or the last child of a fleet that was just killed: it holds the lock a moment longer.
bool somebody_answers(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return false;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return socket && ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

Descriptor bind_admin(const std::string& address) {
  if (address == "off") return {};
  try {
    return http::bind_listener(address, "admin.listen");
  } catch (const ExitError& e) {
    throw ExitError(e.code(), text(e.what(), ", or do without it: --admin off"));
  }
}

}  // namespace

int run_cluster(const config::Config& config, const std::vector<Kind>& kinds) {
  child::set_title(config.name + ": master");
  log::set_name("master");
  const std::vector<supervise::KindCount> counts = count_workers(config, kinds);
  std::uint32_t workers = 0;
  for (const auto& count : counts) workers += count.workers;

  Instance instance(config, kinds);
  // The arithmetic before anything visible happens.
  const std::string refusal = instance.make_keeper(false).refusal(workers);
  if (!refusal.empty()) throw ExitError(ExitCode::config, refusal);

  const std::string control_path = config.control_path();
  supervise::InstanceLock lock(config.lock_path(), config.instance, somebody_answers(control_path) ? 2s : 5s);
  supervise::BudgetKeeper keeper = instance.make_keeper(!lock.last_end_was_clean());
  keeper.recall(lock.remembered());
  instance.bind_listeners();
  Descriptor control = http::bind_listener("unix:" + control_path, "control", 0600);
  Descriptor admin_listener = bind_admin(config.admin.listen);

  for (const auto& [name, fd] : instance.listeners()) log::info(text(name, " on ", http::local_address(fd)));
  if (admin_listener) log::info(text("admin on ", http::local_address(admin_listener.get())));
  log::info(text("control socket ", control_path, lock.last_end_was_clean() ? "" : "; no clean end before this start: servers are asked for sessions of an earlier fleet first"));

  supervise::Entries entries;
  entries.workers = [&](int channel, const std::vector<supervise::Assignment>& assigned, bool thread_host) {
    control.reset();
    admin_listener.reset();
    const runtime::HostInputs inputs = instance.host_inputs(channel);
    std::vector<runtime::HostedLife> lives;
    for (const auto& a : assigned) lives.push_back({a.slot, a.generation, a.kind});
    return thread_host ? runtime::host_threads(inputs, lives) : runtime::host_one(inputs, lives.front());
  };
  entries.admin = [&](int channel) {
    instance.close_listeners();
    log::set_name("admin");
    child::set_title(config.name + ": admin");
    instance.segment().make_read_only();
    admin::Inputs inputs;
    inputs.segment = &instance.segment();
    inputs.config = &config;
    inputs.channel = channel;
    inputs.control_listener = control.get();
    inputs.admin_listener = admin_listener ? admin_listener.get() : -1;
    return admin::run(inputs);
  };
  const Descriptor configuration = config::to_memory(config);
  entries.janitor = [&](int channel, std::uint64_t generation) {
    return execute_janitor(config.name, {channel, configuration.get(), instance.segment().file(), lock.file()}, generation);
  };

  entries.remember = [&lock](std::string start_times) {
    try {
      lock.remember(std::move(start_times));
    } catch (const ExitError& e) {  // it only shortens a wait after an unclean end
      log::warning(e.what());
    }
  };

  lock.mark_running();
  release_startup_memory();
  supervise::Supervisor supervisor(instance.segment(), config, counts, std::move(keeper), std::move(entries));
  const int code = supervisor.run();
  ::unlink(control_path.c_str());
  if (supervisor.ended_clean()) lock.mark_clean();
  return code;
}

}  // namespace sluice::launching
