// The master's sweep and the janitor's work on the tables of lives that were killed, with real looks at the real server, until
// every row is free again. One loop, one thread.
#pragma once

#include <sluice/core/asio.hpp>
#include <sluice/pool/registry.hpp>
#include <sluice/shm/segment.hpp>

#include <cstdint>
#include <list>
#include <memory>
#include <set>
#include <string>

namespace stepkill {

class Recovery {
 public:
  // Opens the inspector's connection.
  Recovery(const std::string& url, int server_port, sluice::Duration authentication_timeout);
  ~Recovery();

  // This life was killed at `point`; these were its clients' ports.
  void take(sluice::shm::Segment segment, std::uint64_t generation, std::string point, std::set<int> ports);
  // One look at the server, and what follows from it for all tables.
  void look();
  bool empty() const noexcept { return ruins_.empty(); }
  sluice::Duration longest() const noexcept { return longest_; }
  // "" or what went wrong, one finding a line: more sessions than rows, or a row that is still not free after `limit`.
  std::string findings(sluice::Duration limit) const;
  std::size_t ended_sessions() const noexcept { return ended_sessions_; }

 private:
  struct Ruin {
    sluice::shm::Segment segment;
    std::uint64_t generation;
    std::string point;
    std::set<int> ports;
    sluice::TimePoint killed;
  };
  template <class T>
  T complete(sluice::awaitable<T> work);
  void count();

  const int server_port_;
  const sluice::Duration authentication_timeout_;
  sluice::asio::io_context loop_{1};
  std::unique_ptr<sluice::pool::Inspector> inspector_;
  std::list<Ruin> ruins_;
  sluice::Duration longest_{};
  std::size_t ended_sessions_ = 0;
  std::string findings_;
};

}  // namespace stepkill
