// A pool's events as a stream: `while (auto event = co_await events.next()) …`. Bounded: when the reader is too slow the oldest are
// dropped, and the next one says how many. One loop's own, one reader.
#pragma once

#include <sluice/core/asio.hpp>
#include <sluice/core/clock.hpp>
#include <sluice/pool/events.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sluice::pool {

// An event that owns its text.
struct StreamedEvent {
  explicit StreamedEvent(const Event& e, TimePoint when) : event(e), detail(e.detail), at(when) {}
  Event event;  // event.detail is empty: see below
  std::string detail;
  TimePoint at;
  std::uint64_t dropped = 0;  // events that were lost before this one, since the last that was read
};

class EventStream {
 public:
  struct Queue;
  explicit EventStream(std::shared_ptr<Queue> queue) noexcept : queue_(std::move(queue)) {}

  // Waits for the next event; nothing once the pool is gone and all were read. Cancelling loses no event.
  awaitable<std::optional<StreamedEvent>> next();

 private:
  static awaitable<std::optional<StreamedEvent>> next(std::shared_ptr<Queue> queue);
  std::shared_ptr<Queue> queue_;
};

// Where a pool's events go: to its observer and to every stream that still has a reader.
class EventHub {
 public:
  explicit EventHub(asio::io_context& loop) noexcept : loop_(loop) {}
  void observe(std::function<void(const Event&)> observer) { observer_ = std::move(observer); }
  EventStream stream(std::size_t capacity);
  bool wanted() const noexcept { return observer_ || !streams_.empty(); }
  void tell(const Event& event);
  // Nothing will follow.
  void end();

 private:
  asio::io_context& loop_;
  std::function<void(const Event&)> observer_;
  std::vector<std::weak_ptr<EventStream::Queue>> streams_;
};

}  // namespace sluice::pool
