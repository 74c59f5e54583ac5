#include "support/command.hpp"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <system_error>

namespace sluice::test {

pid_t spawn(const std::vector<std::string>& arguments, const std::string& log, RunAs who, const std::string& input, int death_signal) {
  // Everything that allocates happens before the fork: other threads may hold the allocator's lock.
  std::vector<char*> argv;
  for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  const int in = ::open(input.empty() ? "/dev/null" : input.c_str(), O_RDONLY | O_CLOEXEC);
  const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) {
    ::setpgid(0, 0);  // a Ctrl-C at the terminal is for the tests, not for their servers
    if (who.uid != 0 && (::setgroups(0, nullptr) != 0 || ::setgid(who.gid) != 0 || ::setuid(who.uid) != 0)) ::_exit(126);
    ::prctl(PR_SET_PDEATHSIG, death_signal);
    if (::getppid() != parent) ::_exit(126);
    for (int s = 1; s < NSIG; ++s) {
      if (s != SIGKILL && s != SIGSTOP) ::signal(s, SIG_DFL);
    }
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::dup2(in, STDIN_FILENO);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(out, STDERR_FILENO);
    ::execvp(argv[0], argv.data());
    ::_exit(127);
  }
  const int error = errno;
  ::close(in);
  ::close(out);
  if (child < 0) throw std::system_error(error, std::system_category(), "fork");
  return child;
}

void run(const std::vector<std::string>& arguments, const std::string& log, RunAs who, const std::string& input) {
  const pid_t child = spawn(arguments, log, who, input);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
  std::string text = read_text(log);
  if (text.size() > 2000) text.erase(0, text.size() - 2000);
  throw std::runtime_error(arguments[0] + " failed:\n" + text);
}

bool wait_end(pid_t child, int milliseconds) {
  const int descriptor = static_cast<int>(::syscall(SYS_pidfd_open, child, 0));
  if (descriptor >= 0) {
    pollfd ready{descriptor, POLLIN, 0};
    while (::poll(&ready, 1, milliseconds) < 0 && errno == EINTR) {
    }
    ::close(descriptor);
  }
  const pid_t reaped = ::waitpid(child, nullptr, WNOHANG);
  return reaped == child || (reaped < 0 && errno == ECHILD);
}

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream out;
  out << file.rdbuf();
  return out.str();
}

}  // namespace sluice::test
