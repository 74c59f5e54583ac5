// Real processes for tests: start with captured output, run to the end, and what /proc says about them.
#pragma once

#include <sluice/core/clock.hpp>

#include <sys/types.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace sluice::test {

// A directory under /tmp, removed with all it holds. Short, because Unix socket paths are.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory();
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

using Environment = std::map<std::string, std::string>;

// Starts a program as the leader of a new session; it dies with this process. Output is appended to the two files. The
// environment is ours without APP_* and DATABASE_URL, plus `environment`. The strays of its session become our children.
pid_t launch_session(const std::vector<std::string>& command, const Environment& environment, const std::string& out_file, const std::string& err_file);

struct Finished {
  int exit_code = -1;  // 128 + signal if it was killed
  std::string out;
  std::string err;
  nlohmann::json json() const;  // `out` parsed; throws with the text if it is no JSON
};
// Runs to the end; killed past the (scaled) limit, which then shows as exit code 137.
Finished execute(const std::vector<std::string>& command, const Environment& environment = {}, Duration limit = 20s);

// Exit code, or 128 + signal; -1 if it still runs after the (scaled) limit.
int wait_for_exit(pid_t pid, Duration limit);

struct ProcessInfo {
  pid_t pid = 0;
  pid_t parent = 0;
  pid_t group = 0;
  pid_t session = 0;
  char state = '?';  // R S D T Z …
  std::string command;
};
// All processes of a session; zombies that are ours to reap are reaped first and not listed.
std::vector<ProcessInfo> processes_of_session(pid_t session);
ProcessInfo process(pid_t pid);  // pid 0: no such process
std::string command_line(pid_t pid);  // arguments joined by spaces; "" if there is none

// Kibibytes: resident set, and private pages (Private_Clean + Private_Dirty). 0 if the process is gone.
std::size_t resident_kib(pid_t pid);
std::size_t private_kib(pid_t pid);

std::string read_file(const std::string& path);
std::string executable(const std::string& name);  // in the build tree's bin

// A port of 127.0.0.1 that nobody listens on, outside the range that the kernel gives to clients.
std::uint16_t unused_port();
bool port_is_free(std::uint16_t port);

}  // namespace sluice::test
