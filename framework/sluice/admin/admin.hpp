// The admin process: answers the control socket (all verbs) and the admin address (read-only unless a token is set).
// Runs in a child of the master that maps the segment read-only; reads statistics, asks the master by fixed-size messages.
#pragma once

#include <sluice/config/config.hpp>
#include <sluice/core/descriptor.hpp>
#include <sluice/shm/segment.hpp>

namespace sluice::admin {

struct Inputs {
  const shm::Segment* segment = nullptr;  // read-only
  const config::Config* config = nullptr;
  int channel = -1;  // to the master (shm/message.hpp); its end of stream ends the process
  int control_listener = -1;
  int admin_listener = -1;  // -1: off
};

// Runs until the channel is closed or SIGTERM. Returns the exit code.
int run(const Inputs& inputs);

}  // namespace sluice::admin
