// Asks servers on behalf of the whole instance, over the confirm permit of each: how many connections they accept, which
// sessions of this instance they show; frees rows whose sessions are proven gone, ends sessions that nobody owns any more.
// Runs in a process of its own while there is something to ask; may be killed at any time without harm.
#pragma once

#include <sluice/config/config.hpp>
#include <sluice/shm/segment.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace sluice::runtime {

struct JanitorInputs {
  const shm::Segment* segment = nullptr;
  const config::Config* config = nullptr;
  std::vector<std::string> pool_order;
  int channel = -1;  // its end of stream asks the janitor to end; -1: none
  std::uint64_t generation = 1;
  bool stay = false;  // do not end when there is nothing to do (--foreground)
};

// Returns the exit code.
int run_janitor(const JanitorInputs& inputs);

}  // namespace sluice::runtime
