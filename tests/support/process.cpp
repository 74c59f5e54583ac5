#include "support/process.hpp"

#include <sluice/core/descriptor.hpp>

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <random>
#include <sstream>
#include <stdexcept>

#include "support/eventually.hpp"

extern char** environ;

namespace sluice::test {
namespace {

int exit_code_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

std::vector<std::string> environment_with(const Environment& additions) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry; ++entry) {
    const std::string text = *entry;
    const std::string name = text.substr(0, text.find('='));
    if (name.starts_with("APP_") || name == "DATABASE_URL" || additions.contains(name)) continue;
    out.push_back(text);
  }
  for (const auto& [name, value] : additions) out.push_back(name + "=" + value);
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

std::size_t sum_of_lines(const std::string& text, const std::vector<std::string>& keys) {
  std::istringstream lines(text);
  std::string line;
  std::size_t sum = 0;
  while (std::getline(lines, line))
    for (const std::string& key : keys)
      if (line.starts_with(key)) sum += std::stoul(line.substr(key.size()));
  return sum;
}

}  // namespace

TemporaryDirectory::TemporaryDirectory() {
  char name[] = "/tmp/sluice-test-XXXXXX";
  if (!::mkdtemp(name)) throw std::runtime_error("mkdtemp failed");
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

pid_t launch_session(const std::vector<std::string>& command, const Environment& additions, const std::string& out_file, const std::string& err_file) {
  static const int subreaper = ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  if (subreaper != 0) throw std::runtime_error("prctl(PR_SET_CHILD_SUBREAPER) failed");
  // Everything is prepared before the fork: this process has threads.
  std::vector<std::string> arguments = command;
  std::vector<std::string> variables = environment_with(additions);
  const std::vector<char*> argv = pointers(arguments);
  const std::vector<char*> envp = pointers(variables);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("fork failed");
  if (child > 0) return child;
  ::setsid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  const int null = ::open("/dev/null", O_RDONLY);
  const int out = ::open(out_file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  const int err = ::open(err_file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (null < 0 || out < 0 || err < 0) ::_exit(127);
  ::dup2(null, 0);
  ::dup2(out, 1);
  ::dup2(err, 2);
  ::close_range(3, ~0u, 0);
  ::execve(argv[0], argv.data(), envp.data());
  ::_exit(127);
}

nlohmann::json Finished::json() const {
  auto parsed = nlohmann::json::parse(out, nullptr, false);
  if (parsed.is_discarded()) throw std::runtime_error("no JSON (exit code " + std::to_string(exit_code) + "): " + out + err);
  return parsed;
}

Finished execute(const std::vector<std::string>& command, const Environment& environment, Duration limit) {
  TemporaryDirectory directory;
  const pid_t pid = launch_session(command, environment, directory / "out", directory / "err");
  Finished finished;
  finished.exit_code = wait_for_exit(pid, limit);
  if (finished.exit_code < 0) {
    ::kill(pid, SIGKILL);
    finished.exit_code = wait_for_exit(pid, 5s);
  }
  finished.out = read_file(directory / "out");
  finished.err = read_file(directory / "err");
  return finished;
}

int wait_for_exit(pid_t pid, Duration limit) {
  int code = -1;
  eventually(limit, [&] {
    int status = 0;
    const pid_t got = ::waitpid(pid, &status, WNOHANG);
    if (got == 0) return false;
    if (got == pid) code = exit_code_of(status);
    return true;
  });
  return code;
}

ProcessInfo process(pid_t pid) {
  const std::string text = read_file("/proc/" + std::to_string(pid) + "/stat");
  const auto open = text.find('(');
  const auto close = text.rfind(')');
  if (open == std::string::npos || close == std::string::npos) return {};
  ProcessInfo info;
  info.command = text.substr(open + 1, close - open - 1);
  std::istringstream rest(text.substr(close + 1));
  rest >> info.state >> info.parent >> info.group >> info.session;
  info.pid = pid;
  return info;
}

std::vector<ProcessInfo> processes_of_session(pid_t session) {
  std::vector<ProcessInfo> out;
  DIR* directory = ::opendir("/proc");
  if (!directory) throw std::runtime_error("cannot read /proc");
  while (const dirent* entry = ::readdir(directory)) {
    const pid_t pid = std::atoi(entry->d_name);
    if (pid <= 0) continue;
    const ProcessInfo info = process(pid);
    if (info.pid == 0 || info.session != session) continue;
    // The leader's verdict belongs to whoever waits for it; strays that fell to us as the subreaper are reaped here.
    if (info.state == 'Z' && info.parent == ::getpid() && pid != session && ::waitpid(pid, nullptr, WNOHANG) == pid) continue;
    out.push_back(info);
  }
  ::closedir(directory);
  return out;
}

std::string command_line(pid_t pid) {
  std::string text = read_file("/proc/" + std::to_string(pid) + "/cmdline");
  while (!text.empty() && text.back() == '\0') text.pop_back();
  for (char& c : text)
    if (c == '\0') c = ' ';
  return text;
}

std::size_t resident_kib(pid_t pid) { return sum_of_lines(read_file("/proc/" + std::to_string(pid) + "/status"), {"VmRSS:"}); }

std::size_t private_kib(pid_t pid) {
  return sum_of_lines(read_file("/proc/" + std::to_string(pid) + "/smaps_rollup"), {"Private_Clean:", "Private_Dirty:"});
}

// Not by a stream: what is read in /proc may vanish meanwhile, and then what was there is enough.
std::string read_file(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string out;
  char buffer[16384];
  for (ssize_t n; file && (n = ::read(file.get(), buffer, sizeof buffer)) > 0;) out.append(buffer, static_cast<std::size_t>(n));
  return out;
}

std::string executable(const std::string& name) { return std::string(SLUICE_BINARY_DIR) + "/bin/" + name; }

bool port_is_free(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool free = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 && ::listen(fd, 1) == 0;
  ::close(fd);
  return free;
}

std::uint16_t unused_port() {
  // Clients get ports from 32768 on; a counter from a random start keeps one run's clusters apart.
  static std::atomic<unsigned> next{std::random_device{}()};
  for (int attempt = 0; attempt < 1000; ++attempt) {
    const auto port = static_cast<std::uint16_t>(12000 + next.fetch_add(1) % 18000);
    if (port_is_free(port)) return port;
  }
  throw std::runtime_error("no free port");
}

}  // namespace sluice::test
