// Runs a program to its end, for tests.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace sluice::test {

// Who the program runs as; uid 0 means: as we are.
struct RunAs {
  uid_t uid = 0;
  gid_t gid = 0;
};

// Starts `arguments[0]` (searched in PATH) with stdout and stderr appended to `log`, stdin from `input` (a file; empty: /dev/null).
// It gets `death_signal` when the calling thread dies.
pid_t spawn(const std::vector<std::string>& arguments, const std::string& log, RunAs who = {}, const std::string& input = {}, int death_signal = 9);

// spawn() and wait. Throws std::runtime_error with the end of the log unless it exits with 0.
void run(const std::vector<std::string>& arguments, const std::string& log, RunAs who = {}, const std::string& input = {});

// Waits at most `milliseconds` for a child's end and reaps it. True: it is gone (also if somebody else reaped it).
bool wait_end(pid_t child, int milliseconds);

std::string read_text(const std::string& path);

}  // namespace sluice::test
