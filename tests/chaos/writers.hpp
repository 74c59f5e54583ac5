// Clients that write and remember what they were told. Each write has an id of its own and is asked for once, whatever comes
// of it: what was acknowledged must be there exactly once, what was given up never, everything else at most once.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace chaos {

class Writers {
 public:
  Writers(std::uint16_t http_port, int clients, std::uint64_t seed);
  ~Writers();

  std::uint64_t acknowledged() const noexcept { return acknowledged_count_.load(); }
  // The last answer that was none of 2xx, with its words.
  std::string last_refusal();
  // Waits for the answers in flight and ends. Once.
  void stop();

  std::uint64_t asked() const noexcept { return next_.load() - 1; }
  // After stop(): "" or what contradicts the database's content, one finding a line.
  std::string contradictions(const std::map<std::int64_t, int>& there) const;
  // After stop(): how many answers of which kind, e.g. "2xx 1200, 503 30, none 7".
  std::string answers() const;

 private:
  void write(std::uint64_t seed);

  const std::uint16_t http_port_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::int64_t> next_{1};
  std::atomic<std::uint64_t> acknowledged_count_{0};
  std::mutex mutex_;
  std::vector<std::int64_t> acknowledged_;
  std::vector<std::int64_t> given_up_;
  std::map<int, std::uint64_t> statuses_;  // 0: no answer
  std::string last_refusal_;
  std::vector<std::thread> threads_;
};

}  // namespace chaos
