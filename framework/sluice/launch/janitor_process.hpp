// The janitor as a program of its own: the same executable again, which the kernel keeps for us even if its file was replaced. What it
// needs comes as four descriptors and nothing else: channel, configuration (sealed memory, so that no secret is on a command line),
// segment, and the instance lock, which must be held by every process of a fleet.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sluice::launching {

struct JanitorDescriptors {
  int channel = -1;
  int configuration = -1;
  int segment = -1;
  int lock = -1;
};

// In a forked child of the master: becomes the janitor's program. Returns an exit code only if that fails.
int execute_janitor(const std::string& application, const JanitorDescriptors& descriptors, std::uint64_t generation);

// Is this process such a program? Then it runs to its end here; the result is its exit code.
std::optional<int> run_executed_janitor(const std::vector<std::string>& arguments);

}  // namespace sluice::launching
