// A child process that stops at every point where a kill could matter: before and after every owner word that it writes, and
// before and after every system call on a socket to the server, duplicates included. One thread on both sides; the thread that
// made the object is the tracer and makes all calls.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

namespace stepkill {

class TracedChild {
 public:
  // Forks; `body` runs in the child, which exits with 0 when it returns and with 1 when it throws.
  explicit TracedChild(const std::function<void()>& body);
  ~TracedChild() { kill(); }
  TracedChild(const TracedChild&) = delete;
  TracedChild& operator=(const TracedChild&) = delete;

  // Runs to the next point, where the child stands still; its name is unique within a life and the same in every life:
  // "lend · sendto 2, before". Nothing: the child has ended.
  std::optional<std::string> next();
  // SIGKILL, and waits until nothing is left.
  void kill();
  int exit_code() const noexcept { return exit_code_; }  // after its end

  // Local ports of its connections so far.
  const std::set<int>& ports() const noexcept { return ports_; }

 private:
  std::optional<std::string> look();
  std::string point(const std::string& what, bool after);
  void note_port(int fd);

  pid_t pid_ = 0;
  int exit_code_ = -1;
  int signal_ = 0;  // to be passed on
  std::string phase_ = "start";
  std::map<std::string, int> seen_;
  std::set<int> sockets_;  // the child's descriptors
  std::set<int> ports_;
  // of the system call it is in
  const char* call_ = nullptr;
  long number_ = -1;
  int descriptor_ = -1;
  unsigned long argument_ = 0;
};

}  // namespace stepkill
