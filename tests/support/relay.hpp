// A TCP relay between clients and one server of 127.0.0.1, which misbehaves on demand as networks do: it stalls, resets,
// half-closes toward the server and loses everything. Runs on a thread of its own; every function may be called by any thread.
//
// It forwards what a server says in full, an orderly end of stream included, and never invents one: a client whose stream ends
// in good order has heard it from the server. Whatever else ends a client's connection here ends it with a reset.
// It also looks at the first packets of each connection: MySQL's and MariaDB's "too many connections" (error 1040, instead of a
// greeting or after the login), which those servers log nowhere, is counted. Without TLS only, of course.
#pragma once

#include <sluice/core/clock.hpp>
#include <sluice/core/descriptor.hpp>

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <list>
#include <mutex>
#include <random>
#include <string>
#include <thread>

struct pollfd;

namespace sluice::test {

class Relay {
 public:
  // Listens on a free port at once. The server need not run: a client that comes meanwhile is reset.
  explicit Relay(std::uint16_t server_port, std::uint64_t seed = 1);
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  std::uint16_t port() const noexcept { return port_; }

  // Nothing moves in either direction and new clients wait, until resume(); then everything moves on, nothing is lost.
  void stall();
  void resume();
  // A share (0…1) of the connections is reset toward the client. The server hears of it `late` later.
  std::size_t reset(double share, Duration late);
  // A share of the connections: the server sees the end of its client's stream, the client sees what the server makes of it.
  std::size_t half_close(double share);
  // Nothing arrives any more, for nobody and for ever, and neither side is told; clients that come meanwhile are met by silence.
  void cut();
  // The network is back. What was cut is reset on both sides, as by hosts that know of no such connection.
  void heal();

  struct Totals {
    std::uint64_t connects = 0;     // clients accepted
    std::uint64_t unreachable = 0;  // of these, reset because the server did not accept
    std::uint64_t to_server = 0;    // bytes
    std::uint64_t to_client = 0;
    std::uint64_t too_many = 0;    // connections answered with error 1040
    std::size_t most_at_once = 0;  // connections to the server
  };
  Totals totals() const;
  // "" or why the relay itself broke, which ends it.
  std::string broken() const;

 private:
  struct Link;
  void run();
  void work();
  void accept_all();
  void advance(Link& link, const pollfd* client, const pollfd* server);
  void look_for_refusal(Link& link, const char* data, std::size_t size);
  bool picked(double share);
  void wake() const;

  const std::uint16_t server_port_;
  std::uint16_t port_ = 0;
  Descriptor listener_;
  Descriptor wakeup_;
  mutable std::mutex mutex_;  // over everything below
  std::list<Link> links_;
  std::mt19937_64 random_;
  bool stalled_ = false;
  bool cut_ = false;
  Totals totals_;
  std::string broken_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace sluice::test
