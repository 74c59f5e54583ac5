// Everything that an instance needs before its first worker, and the one place where the modules are wired together.
#pragma once

#include <sluice/config/config.hpp>
#include <sluice/launch.hpp>
#include <sluice/runtime/host.hpp>
#include <sluice/runtime/janitor.hpp>
#include <sluice/shm/segment.hpp>
#include <sluice/supervise/budget_keeper.hpp>
#include <sluice/supervise/fleet.hpp>

#include <string>
#include <utility>
#include <vector>

namespace sluice::launching {

// How many workers each kind starts with. Throws config::ConfigError-like ExitError(config) if max_workers is exceeded.
std::vector<supervise::KindCount> count_workers(const config::Config& config, const std::vector<Kind>& kinds);

// The parts that process mode, thread mode and --foreground have in common.
class Instance {
 public:
  // Checks drivers and the budget's arithmetic; creates the segment. Throws ExitError(config).
  Instance(const config::Config& config, const std::vector<Kind>& kinds);

  const config::Config& config() const noexcept { return config_; }
  shm::Segment& segment() noexcept { return segment_; }
  const std::vector<std::string>& pool_order() const noexcept { return pool_order_; }
  supervise::BudgetKeeper make_keeper(bool unclean);

  // Binds the listeners of the kinds that need one ("http"). Throws ExitError(unavailable).
  void bind_listeners();
  const std::vector<std::pair<std::string, int>>& listeners() const noexcept { return listener_fds_; }
  void close_listeners();

  runtime::HostInputs host_inputs(int channel);
  runtime::JanitorInputs janitor_inputs(int channel, std::uint64_t generation);

 private:
  const config::Config& config_;
  const std::vector<Kind>& kinds_;
  std::vector<std::string> pool_order_;
  std::vector<config::Server> server_order_;
  std::vector<bool> local_;
  shm::Segment segment_;
  runtime::Bells bells_;
  std::vector<Descriptor> listeners_;
  std::vector<std::pair<std::string, int>> listener_fds_;
};

// Each returns the exit code.
int run_cluster(const config::Config& config, const std::vector<Kind>& kinds);
int run_foreground(const config::Config& config, const std::vector<Kind>& kinds);

}  // namespace sluice::launching
