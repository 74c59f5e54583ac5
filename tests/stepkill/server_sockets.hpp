// What the server holds of its clients, from outside and without asking it: its ends of their TCP connections. An end exists
// from the client's connect on, before the server has accepted it, until the backend process is gone, because only then does the
// kernel close it. So nothing that occupies a place on the server is missed, a session that is still starting included.
#pragma once

#include <sys/types.h>

#include <set>

namespace stepkill {

// One look at all of them.
class ServerSockets {
 public:
  explicit ServerSockets(int server_port);
  // How many of the clients with these local ports the server holds.
  int held(const std::set<int>& client_ports) const;

 private:
  std::set<int> clients_;
};

// The local port of another process' connected TCP socket; 0 if it is none.
int local_port_of(pid_t pid, int fd);

}  // namespace stepkill
