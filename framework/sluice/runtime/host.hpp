// A process that hosts workers: one life on the main thread (process mode), or several lives on threads of their own that
// come and go as the master says (thread mode). Runs in a child of the master, or in --foreground without one.
#pragma once

#include <sluice/runtime/worker_life.hpp>

#include <functional>
#include <string>
#include <vector>

namespace sluice::runtime {

struct HostInputs {
  int channel = -1;  // to the master; -1: none (--foreground)
  std::string title_prefix;  // "orders: "
  // Fills everything but on_ready for (slot, generation, kind).
  std::function<LifeInputs(std::uint32_t slot, std::uint64_t generation, std::uint32_t kind)> make_life;
};

struct HostedLife {
  std::uint32_t slot = 0;
  std::uint64_t generation = 0;
  std::uint32_t kind = 0;
};

// One life; returns its exit code. Ends when the channel does (the master is gone).
int host_one(const HostInputs& inputs, const HostedLife& life);

// Several; returns when the channel ends and all lives have ended.
int host_threads(const HostInputs& inputs, const std::vector<HostedLife>& lives);

// One life without a master: SIGINT and SIGTERM drain it, a second one stops it.
int host_foreground(const HostInputs& inputs, const HostedLife& life);

}  // namespace sluice::runtime
