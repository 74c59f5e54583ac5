#include "server_sockets.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <sstream>
#include <string>

#include "support/process.hpp"

namespace stepkill {
namespace {

struct Entry {
  unsigned local_port = 0;
  unsigned remote_port = 0;
  unsigned state = 0;
  unsigned long inode = 0;
};

// Calls `each(entry)` for every IPv4 socket of this network namespace.
template <class Each>
void for_each_socket(Each each) {
  std::istringstream lines(sluice::test::read_file("/proc/net/tcp"));
  std::string line;
  std::getline(lines, line);  // the heading
  while (std::getline(lines, line)) {
    Entry entry;
    // sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode
    if (std::sscanf(line.c_str(), " %*d: %*x:%x %*x:%x %x %*x:%*x %*x:%*x %*x %*u %*u %lu", &entry.local_port, &entry.remote_port, &entry.state,
                    &entry.inode) == 4)
      each(entry);
  }
}

}  // namespace

ServerSockets::ServerSockets(int server_port) {
  constexpr unsigned established = 1, close_wait = 8;  // in every other state the server has closed its end
  for_each_socket([&](const Entry& entry) {
    if (entry.local_port == static_cast<unsigned>(server_port) && (entry.state == established || entry.state == close_wait))
      clients_.insert(static_cast<int>(entry.remote_port));
  });
}

int ServerSockets::held(const std::set<int>& client_ports) const {
  return static_cast<int>(std::count_if(client_ports.begin(), client_ports.end(), [this](int port) { return clients_.contains(port); }));
}

int local_port_of(pid_t pid, int fd) {
  char target[64] = {};
  const std::string link = "/proc/" + std::to_string(pid) + "/fd/" + std::to_string(fd);
  if (::readlink(link.c_str(), target, sizeof target - 1) <= 0) return 0;
  unsigned long inode = 0;
  if (std::sscanf(target, "socket:[%lu]", &inode) != 1) return 0;
  int port = 0;
  for_each_socket([&](const Entry& entry) {
    if (entry.inode == inode) port = static_cast<int>(entry.local_port);
  });
  return port;
}

}  // namespace stepkill
