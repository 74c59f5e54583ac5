// Child processes of the master: forked with a channel, ended by group, reaped without losing grandchildren.
#pragma once

#include <sluice/core/clock.hpp>
#include <sluice/core/descriptor.hpp>
#include <sluice/shm/message.hpp>

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace sluice::supervise {

enum class Role { admin, janitor, workers };

struct Process {
  pid_t pid = 0;
  Role role = Role::workers;
  Descriptor channel;                 // our end
  std::uint32_t group = 0;            // which slots it hosts (role workers)
  TimePoint started{};
};

struct Exit {
  pid_t pid = 0;
  bool signalled = false;
  int status = 0;  // exit code or signal number
};

// Forks; the child runs `prelude` parts (own group, parent-death signal), keeps only its end of the channel and what `entry`
// uses, runs entry(channel) and ends with its result. `close_in_child` are descriptors that only the master may hold.
// Throws std::system_error if fork fails (EAGAIN: try again later).
Process fork_child(Role role, const std::vector<int>& close_in_child, const std::function<int(int channel)>& entry);

// A child that has ended, with everything in its process group killed before it is reaped. Nothing: none has.
std::optional<Exit> reap();

// Signals the child's whole group.
void kill_group(const Process& process, int signal) noexcept;

}  // namespace sluice::supervise
