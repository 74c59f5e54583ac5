#include <sluice/core/error.hpp>
#include <sluice/pool/event_stream.hpp>

#include <algorithm>

namespace sluice::pool {

struct EventStream::Queue {
  Queue(asio::io_context& l, std::size_t c) : loop(l), capacity(std::max<std::size_t>(c, 1)) {}
  void push(const Event& event) {
    if (events.size() == capacity) {
      dropped += 1 + events.front().dropped;
      events.pop_front();
      // Whatever is first now tells of all that is missing before it.
      if (!events.empty()) events.front().dropped += std::exchange(dropped, 0);
    }
    StreamedEvent& added = events.emplace_back(event, Clock::now());
    added.event.detail = {};
    added.dropped = std::exchange(dropped, 0);
    wake();
  }
  void wake() {
    if (reader) reader->cancel();
  }

  asio::io_context& loop;
  std::size_t capacity;
  std::deque<StreamedEvent> events;
  std::uint64_t dropped = 0;
  bool over = false;
  asio::steady_timer* reader = nullptr;  // in the frame of the one who waits: it ends with the loop
};

namespace {

struct Reading {
  Reading(asio::steady_timer*& slot, asio::steady_timer& timer) noexcept : slot_(slot) { slot_ = &timer; }
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;
  ~Reading() { slot_ = nullptr; }

 private:
  asio::steady_timer*& slot_;
};

}  // namespace

awaitable<std::optional<StreamedEvent>> EventStream::next() { return next(queue_); }

awaitable<std::optional<StreamedEvent>> EventStream::next(std::shared_ptr<Queue> queue) {
  if (queue->reader) throw Error("an event stream has one reader: somebody waits for the next event already");
  while (queue->events.empty() && !queue->over) {
    asio::steady_timer news(queue->loop, TimePoint::max());
    const Reading reading(queue->reader, news);
    error_code woken;
    co_await news.async_wait(asio::redirect_error(use_awaitable, woken));
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) throw boost::system::system_error(asio::error::operation_aborted);
  }
  std::optional<StreamedEvent> event;
  if (!queue->events.empty()) {
    event = std::move(queue->events.front());
    queue->events.pop_front();
  }
  co_return event;
}

EventStream EventHub::stream(std::size_t capacity) {
  auto queue = std::make_shared<EventStream::Queue>(loop_, capacity);
  streams_.push_back(queue);
  return EventStream(std::move(queue));
}

void EventHub::tell(const Event& event) {
  if (observer_) observer_(event);
  bool gone = false;
  for (const auto& stream : streams_) {
    if (const auto queue = stream.lock())
      queue->push(event);
    else
      gone = true;
  }
  if (gone) std::erase_if(streams_, [](const auto& stream) { return stream.expired(); });
}

void EventHub::end() {
  observer_ = nullptr;
  for (const auto& stream : streams_) {
    if (const auto queue = stream.lock()) {
      queue->over = true;
      queue->wake();
    }
  }
  streams_.clear();
}

}  // namespace sluice::pool
