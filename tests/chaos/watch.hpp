// Two things that must hold at every moment, watched from threads of their own: the application never has more sessions than
// permits, and the totals of one master's life never go back.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <thread>

#include "database.hpp"

namespace chaos {

class SessionPeak {
 public:
  explicit SessionPeak(Database& database);
  ~SessionPeak() { stop(); }
  void stop();
  int most() const noexcept { return most_.load(); }
  int samples() const noexcept { return samples_.load(); }

 private:
  std::atomic<bool> stopping_{false};
  std::atomic<int> most_{0};
  std::atomic<int> samples_{0};
  std::thread thread_;
};

class TotalsWatch {
 public:
  explicit TotalsWatch(std::string control);  // path of the control socket
  ~TotalsWatch() { stop(); }
  void stop();
  int samples() const noexcept { return samples_.load(); }
  int masters() const noexcept { return masters_; }                     // after stop()
  const std::string& went_back() const noexcept { return went_back_; }  // after stop(): "" or what did

 private:
  void look();

  const std::string control_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> samples_{0};
  int masters_ = 0;
  std::int64_t master_ = 0;
  std::map<std::string, std::uint64_t> last_;
  std::string went_back_;
  std::thread thread_;
};

}  // namespace chaos
