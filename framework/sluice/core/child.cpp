#include <sluice/core/child.hpp>

#include <execinfo.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

namespace sluice::child {
namespace {

char* title_begin = nullptr;
std::size_t title_room = 0;

void write_text(const char* s) {
  const auto ignored = ::write(STDERR_FILENO, s, std::strlen(s));
  static_cast<void>(ignored);
}

void (*crash_hook)() = nullptr;

void crash_handler(int signal) {
  if (crash_hook) crash_hook();
  void* frames[64];
  write_text("sluice: fatal signal, backtrace of the thread that it hit:\n");
  const int depth = ::backtrace(frames, 64);
  ::backtrace_symbols_fd(frames, depth, STDERR_FILENO);
  ::signal(signal, SIG_DFL);
  ::raise(signal);
}

}  // namespace

void remember_arguments(int argc, char** argv) {
  if (argc < 1) return;
  char* end = argv[0];
  for (int i = 0; i < argc; ++i) {
    if (argv[i] == end) end = argv[i] + std::strlen(argv[i]) + 1;
  }
  // The environment lies behind the arguments: move it to the heap so that its room can be used too.
  std::size_t count = 0;
  while (environ[count]) ++count;
  char** copy = static_cast<char**>(std::malloc((count + 1) * sizeof(char*)));
  if (!copy) return;
  for (std::size_t i = 0; i < count; ++i) {
    if (environ[i] == end) end = environ[i] + std::strlen(environ[i]) + 1;
    copy[i] = ::strdup(environ[i]);
  }
  copy[count] = nullptr;
  environ = copy;
  title_begin = argv[0];
  title_room = static_cast<std::size_t>(end - argv[0]);
}

void set_title(std::string_view title) {
  if (title_room > 1) {
    const std::size_t n = std::min(title.size(), title_room - 1);
    std::memcpy(title_begin, title.data(), n);
    std::memset(title_begin + n, 0, title_room - n);
  }
  char name[16] = {};
  std::memcpy(name, title.data(), std::min<std::size_t>(title.size(), 15));
  ::prctl(PR_SET_NAME, name);
}

void prelude(pid_t parent, bool lead_group) {
  if (lead_group) ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(70);
  for (int s = 1; s < NSIG; ++s) {
    if (s != SIGKILL && s != SIGSTOP) ::signal(s, SIG_DFL);
  }
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

void install_crash_backtrace(void (*also)()) {
  crash_hook = also;
  void* warm_up[1];
  ::backtrace(warm_up, 1);  // loads libgcc now, not inside the handler
  struct sigaction action = {};
  action.sa_handler = crash_handler;
  action.sa_flags = static_cast<int>(SA_NODEFER);
  for (int s : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) ::sigaction(s, &action, nullptr);
}

}  // namespace sluice::child
