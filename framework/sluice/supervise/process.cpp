#include <sluice/supervise/process.hpp>

#include <sluice/core/child.hpp>
#include <sluice/core/error.hpp>
#include <sluice/core/log.hpp>
#include <sluice/core/text.hpp>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <exception>

namespace sluice::supervise {

Process fork_child(Role role, const std::vector<int>& close_in_child, const std::function<int(int channel)>& entry) {
  auto [ours, theirs] = message_socket_pair();
  const pid_t master = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) throw_errno("fork");
  if (pid == 0) {
    int code = to_int(ExitCode::software);
    try {
      child::prelude(master, true);
      ours.reset();
      for (int fd : close_in_child) ::close(fd);
      code = entry(theirs.get());
    } catch (const ExitError& e) {
      log::error(e.what());
      code = to_int(e.code());
    } catch (const std::exception& e) {
      log::error(text("unexpected error: ", e.what()));
    }
    ::_exit(code);
  }
  ::setpgid(pid, pid);  // also here: whoever comes first
  Process process;
  process.pid = pid;
  process.role = role;
  process.channel = std::move(ours);
  return process;
}

std::optional<Exit> reap(const std::function<bool(pid_t)>& ours) {
  siginfo_t info = {};
  if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return std::nullopt;
  // Still a zombie, so its pid and group cannot be anybody else's: end what it left behind.
  if (ours(info.si_pid)) ::kill(-info.si_pid, SIGKILL);
  int status = 0;
  if (::waitpid(info.si_pid, &status, 0) != info.si_pid) return std::nullopt;
  Exit exit;
  exit.pid = info.si_pid;
  exit.signalled = WIFSIGNALED(status);
  exit.status = exit.signalled ? WTERMSIG(status) : WEXITSTATUS(status);
  return exit;
}

void kill_group(const Process& process, int signal) noexcept {
  if (process.pid > 0) ::kill(-process.pid, signal);
}

}  // namespace sluice::supervise
