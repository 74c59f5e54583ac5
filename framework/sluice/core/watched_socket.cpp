#include <sluice/core/watched_socket.hpp>

namespace sluice {

struct WatchedSocket::State : std::enable_shared_from_this<State> {
  explicit State(const asio::any_io_executor& executor) : socket(executor), alarm(executor) {}

  void set_alarm(TimePoint at) {
    rings = at;
    alarm.expires_at(at);
    alarm.async_wait([weak = weak_from_this()](const error_code& error) {
      const std::shared_ptr<State> self = weak.lock();
      if (!error && self) self->ring();
    });
  }
  void ring() {
    rings = TimePoint::max();
    if (until == TimePoint::max()) return;
    if (Clock::now() < until) return set_alarm(until);
    wake();
  }
  void wake() noexcept {
    error_code ignored;
    socket.cancel(ignored);
  }
  // Once asked for, the reactor has writability in its set for good, and every later wait for an answer would wake for it first.
  void forget_writes() {
    Descriptor same(socket.release());
    socket.assign(same.get());
    same.release();
    writes_watched = false;
  }

  Readiness begin(bool read, bool write, Deadline deadline) {
    if (!write && writes_watched) forget_writes();
    writes_watched = write || writes_watched;
    until = deadline.at;
    if (deadline.at < rings) set_alarm(deadline.at);
    both = read && write;
    if (both) {
      socket.async_wait(Socket::wait_write, [weak = weak_from_this()](const error_code& error) {
        const std::shared_ptr<State> self = weak.lock();
        if (!error && self) self->wake();
      });
    }
    return socket.async_wait(read ? Socket::wait_read : Socket::wait_write, asio::as_tuple(asio::deferred));
  }
  Wake end(const Woken& woken, const asio::cancellation_state& cancellation, Deadline deadline) noexcept {
    until = TimePoint::max();
    if (both) wake();
    if (cancellation.cancelled() != asio::cancellation_type::none) return Wake::cancelled;
    const bool ended = static_cast<bool>(std::get<0>(woken));  // by somebody
    return ended && deadline.passed(Clock::now()) ? Wake::expired : Wake::ready;
  }

  Socket socket;
  asio::steady_timer alarm;
  TimePoint rings = TimePoint::max();  // max: it is not set
  TimePoint until = TimePoint::max();  // of the wait under way; max: none, or one without a deadline
  bool writes_watched = false;
  bool both = false;  // the wait under way is for either
};

WatchedSocket::WatchedSocket(const asio::any_io_executor& executor) : state_(std::make_shared<State>(executor)) {}

WatchedSocket::~WatchedSocket() { close(); }

void WatchedSocket::watch(Descriptor duplicate) {
  close();
  state_->socket.assign(duplicate.get());
  duplicate.release();
}

void WatchedSocket::close() noexcept {
  error_code ignored;
  state_->socket.close(ignored);
  state_->writes_watched = false;
}

bool WatchedSocket::is_open() const noexcept { return state_->socket.is_open(); }

int WatchedSocket::native() const noexcept { return state_->socket.native_handle(); }

void WatchedSocket::wake() noexcept { state_->wake(); }

WatchedSocket::Readiness WatchedSocket::begin_wait(bool read, bool write, Deadline deadline) { return state_->begin(read, write, deadline); }

Wake WatchedSocket::end_wait(const Woken& woken, const asio::cancellation_state& cancellation, Deadline deadline) noexcept {
  return state_->end(woken, cancellation, deadline);
}

awaitable<Wake> WatchedSocket::wait(bool read, bool write, Deadline deadline) {
  const std::shared_ptr<State> state = state_;
  auto readiness = state->begin(read, write, deadline);
  const Woken woken = co_await std::move(readiness);
  const asio::cancellation_state cancellation = co_await asio::this_coro::cancellation_state;
  co_return state->end(woken, cancellation, deadline);
}

}  // namespace sluice
