// A real HTTP client that never looks away: keep-alive connections, each sending its next request when the last one was
// answered; no retries. Whatever is not a 2xx answer is a failure that names the worker which served the connection before.
// An orderly "Connection: close" on a complete answer is no failure: the client connects anew.
#pragma once

#include <sluice/core/clock.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace sluice::test {

struct LoadOptions {
  int connections = 32;
  double writes = 0.2;                      // share of POST /orders; the rest is GET /users/{1..users}
  int users = 1000;
  std::uint64_t requests_per_connection = 0;  // then the client closes between two requests and connects anew; 0: never
  std::vector<std::string> targets = {};      // instead: GET these in turn
};

struct LoadFailure {
  int worker = -1;  // slot that answered last on this connection; -1: it had answered nothing yet
  TimePoint at{};
  std::string what;  // "GET /users/7: status 503: {…}", "… the connection was reset"
};

struct LoadResult {
  std::uint64_t requests = 0;  // answered with 2xx
  std::uint64_t orders = 0;    // of these, POST /orders
  std::uint64_t reconnects = 0;
  std::map<int, std::uint64_t> by_worker;
  std::vector<LoadFailure> failures;
  std::vector<Duration> slowest_per_second;  // latency
  Duration slowest() const;

  // Failures on connections that this worker had served, no earlier than `from`: what a kill may cost.
  std::size_t failures_of(int worker, TimePoint from) const;
  // All failures except those; one a line, at most ten. Empty: none.
  std::string unexpected(int worker = -2, TimePoint from = TimePoint::max()) const;
};

class Load {
 public:
  explicit Load(std::uint16_t port, LoadOptions options = {});
  ~Load();

  // 2xx answers so far; any thread.
  std::uint64_t answered() const noexcept { return answered_.load(std::memory_order_relaxed); }
  std::uint64_t answered_by(int worker) const noexcept { return by_worker_.at(static_cast<std::size_t>(worker)).load(std::memory_order_relaxed); }
  // Waits for `more` further answers; false after the (scaled) limit.
  bool wait_answers(std::uint64_t more, Duration limit = std::chrono::seconds(20)) const;

  // From now on the server may go away: a client that cannot connect, or whose new connection nobody answers, just ends.
  void expect_end() noexcept { expecting_end_ = true; }

  // Lets every request in flight be answered, then ends. Once.
  LoadResult stop();

 private:
  class Client;
  void run();
  void note_latency(Duration latency, TimePoint now);

  LoadOptions options_;
  const unsigned serial_;  // makes idempotency keys unique among the loads of a process, which may share a database
  std::uint16_t port_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> expecting_end_{false};
  std::atomic<std::uint64_t> answered_{0};
  std::array<std::atomic<std::uint64_t>, 256> by_worker_{};
  LoadResult result_;
  TimePoint started_{};
  std::string broken_;  // the client itself failed
  std::thread thread_;
};

}  // namespace sluice::test
