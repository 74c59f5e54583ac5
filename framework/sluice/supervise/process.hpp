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
  TimePoint asked_to_end{};           // when our end of the channel was closed
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

// A child that has ended. If it is `ours`, everything in its process group is killed before it is reaped; strangers that
// were adopted (as pid 1) are only reaped. Nothing: none has ended.
std::optional<Exit> reap(const std::function<bool(pid_t)>& ours);

// Signals the child's whole group.
void kill_group(const Process& process, int signal) noexcept;

}  // namespace sluice::supervise
