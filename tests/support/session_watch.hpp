// Counts, over and over, the sessions that a role has on a PostgreSQL server, as a superuser whose own connection does not
// count: the most ever seen is what a connection budget must bound. Runs on a thread of its own from construction on.
#pragma once

#include <atomic>
#include <string>
#include <thread>

namespace sluice::test {

class SessionWatch {
 public:
  SessionWatch(const std::string& superuser_url, std::string role = "app");
  ~SessionWatch();

  int most() const noexcept { return most_; }
  int samples() const noexcept { return samples_; }
  // Ends the watch; throws if it had to stop early, because then it proves nothing.
  int stop();

 private:
  void watch(const std::string& url);

  std::string role_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> most_{0};
  std::atomic<int> samples_{0};
  std::string broken_;
  std::thread thread_;
};

}  // namespace sluice::test
