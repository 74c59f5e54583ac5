// What the pool told about itself, in the words of the connection-monitoring-and-pooling specification.
#pragma once

#include "match.hpp"

#include <sluice/core/asio.hpp>
#include <sluice/core/clock.hpp>
#include <sluice/pool/pool.hpp>

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace sluice::conformance {

inline constexpr const char* address = "mock:27017";

class Recorder {
 public:
  explicit Recorder(asio::io_context& loop, Json options) : loop_(loop), options_(std::move(options)) {}
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  // Something that the pool does not tell.
  void note(Json told);
  // The pool's observer.
  void record(const pool::Event& event);
  // Told with the next "cleared": the pool does not keep what it was asked.
  void clearing(bool interrupt) { interrupting_ = interrupt; }

  const std::vector<Json>& events() const noexcept { return events_; }
  std::size_t count(const std::string& type) const;
  // True as soon as `type` was seen `times` times since the beginning; false at the deadline.
  awaitable<bool> seen(std::string type, std::size_t times, Deadline deadline);

 private:
  std::int64_t since_checkout();

  asio::io_context& loop_;
  Json options_;
  bool interrupting_ = false;
  std::vector<Json> events_;
  std::deque<TimePoint> checkouts_;  // that are not answered yet; the pool answers in order
  std::map<std::uint64_t, TimePoint> created_;
  std::set<asio::steady_timer*> watchers_;
};

}  // namespace sluice::conformance
