#include "traced_child.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <stdexcept>

#include "marks.hpp"
#include "server_sockets.hpp"

namespace stepkill {
namespace {

// System calls that take a socket, and which argument it is.
struct SocketCall {
  long number;
  const char* name;
  int argument;
};
constexpr SocketCall socket_calls[] = {
    {SYS_connect, "connect", 0},
    {SYS_sendto, "sendto", 0},
    {SYS_recvfrom, "recvfrom", 0},
    {SYS_sendmsg, "sendmsg", 0},
    {SYS_recvmsg, "recvmsg", 0},
    {SYS_read, "read", 0},
    {SYS_write, "write", 0},
    {SYS_shutdown, "shutdown", 0},
    {SYS_setsockopt, "setsockopt", 0},
    {SYS_getsockopt, "getsockopt", 0},
    {SYS_fcntl, "fcntl", 0},
    {SYS_dup, "dup", 0},
    {SYS_getsockname, "getsockname", 0},
    {SYS_getpeername, "getpeername", 0},
    {SYS_ioctl, "ioctl", 0},
    {SYS_close, "close", 0},
    {SYS_epoll_ctl, "epoll_ctl", 2},
};

const SocketCall* find(long number) {
  for (const SocketCall& call : socket_calls)
    if (call.number == number) return &call;
  return nullptr;
}

void check(long result, const char* what) {
  if (result < 0) throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
}

const char* literal(unsigned long address) { return reinterpret_cast<const char*>(address); }

}  // namespace

TracedChild::TracedChild(const std::function<void()>& body) {
  std::fflush(nullptr);
  pid_ = ::fork();
  check(pid_, "fork");
  if (pid_ == 0) {
    ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    ::raise(SIGSTOP);
    int code = 0;
    try {
      body();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "the traced child: %s\n", error.what());
      code = 1;
    }
    ::_exit(code);
  }
  int status = 0;
  check(::waitpid(pid_, &status, 0), "waitpid");
  if (!WIFSTOPPED(status)) throw std::runtime_error("the child cannot be traced");
  check(::ptrace(PTRACE_SETOPTIONS, pid_, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL), "PTRACE_SETOPTIONS");
}

void TracedChild::kill() {
  if (pid_ == 0) return;
  ::kill(pid_, SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) == pid_ && !WIFEXITED(status) && !WIFSIGNALED(status)) {
  }
  exit_code_ = 128 + SIGKILL;
  pid_ = 0;
}

std::optional<std::string> TracedChild::next() {
  while (pid_ != 0) {
    check(::ptrace(PTRACE_SYSCALL, pid_, nullptr, signal_), "PTRACE_SYSCALL");
    signal_ = 0;
    int status = 0;
    check(::waitpid(pid_, &status, 0), "waitpid");
    if (WIFEXITED(status) || WIFSIGNALED(status)) {
      exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      pid_ = 0;
      break;
    }
    if (WSTOPSIG(status) != (SIGTRAP | 0x80)) {
      signal_ = WSTOPSIG(status);
      continue;
    }
    if (std::optional<std::string> found = look()) return found;
  }
  return std::nullopt;
}

// What the stop is: nothing, if it is none of ours.
std::optional<std::string> TracedChild::look() {
  __ptrace_syscall_info info{};
  check(::ptrace(PTRACE_GET_SYSCALL_INFO, pid_, sizeof info, &info), "PTRACE_GET_SYSCALL_INFO");
  if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
    number_ = static_cast<long>(info.entry.nr);
    call_ = nullptr;
    argument_ = info.entry.args[1];
    if (number_ == phase_mark) {
      phase_ = literal(info.entry.args[0]);
    } else if (number_ == step_mark) {
      return point("\"" + std::string(literal(info.entry.args[0])) + "\"", info.entry.args[1] != 0);
    } else if (number_ == SYS_socket && info.entry.args[0] == AF_INET) {
      call_ = "socket";
      return point(call_, false);
    } else if (const SocketCall* call = find(number_); call && sockets_.contains(static_cast<int>(info.entry.args[call->argument]))) {
      call_ = call->name;
      descriptor_ = static_cast<int>(info.entry.args[call->argument]);
      return point(call_, false);
    }
    return std::nullopt;
  }
  if (info.op != PTRACE_SYSCALL_INFO_EXIT || !call_) return std::nullopt;
  const auto result = static_cast<int>(info.exit.rval);
  const bool makes_one =
      number_ == SYS_socket || number_ == SYS_dup || (number_ == SYS_fcntl && (argument_ == F_DUPFD || argument_ == F_DUPFD_CLOEXEC));
  if (makes_one && !info.exit.is_error) sockets_.insert(result);
  if (number_ == SYS_connect) note_port(descriptor_);
  if (number_ == SYS_close) sockets_.erase(descriptor_);
  const std::string name = point(call_, true);
  call_ = nullptr;
  return name;
}

std::string TracedChild::point(const std::string& what, bool after) {
  const std::string key = phase_ + " · " + what;
  const int count = after ? seen_[key] : ++seen_[key];
  return key + " " + std::to_string(count) + (after ? ", after" : ", before");
}

void TracedChild::note_port(int fd) {
  if (const int port = local_port_of(pid_, fd); port > 0) ports_.insert(port);
}

}  // namespace stepkill
