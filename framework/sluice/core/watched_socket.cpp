#include <sluice/core/watched_socket.hpp>

#include <boost/asio/deferred.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/system/system_error.hpp>

#include <utility>

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

  asio::posix::stream_descriptor socket;
  asio::steady_timer alarm;
  TimePoint rings = TimePoint::max();  // max: it is not set
  TimePoint until = TimePoint::max();  // of the wait under way; max: none, or one without a deadline
  bool writes_watched = false;
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

awaitable<Wake> WatchedSocket::wait(bool read, bool write, Deadline deadline) {
  using Socket = asio::posix::stream_descriptor;
  const std::shared_ptr<State> state = state_;
  if (!write && state->writes_watched) state->forget_writes();
  state->writes_watched = write || state->writes_watched;
  state->until = deadline.at;
  if (deadline.at < state->rings) state->set_alarm(deadline.at);
  const bool both = read && write;
  if (both) {
    const auto end_the_read = [weak = std::weak_ptr<State>(state)](const error_code& error) {
      const std::shared_ptr<State> self = weak.lock();
      if (!error && self) self->wake();
    };
    state->socket.async_wait(Socket::wait_write, end_the_read);
  }
  bool ended = false;  // by somebody
  try {
    auto readiness = state->socket.async_wait(read ? Socket::wait_read : Socket::wait_write, asio::deferred);
    co_await std::move(readiness);  // in this frame: use_awaitable would take another
  } catch (const boost::system::system_error&) {
    ended = true;
  }
  state->until = TimePoint::max();
  if (both) state->wake();
  const asio::cancellation_state cancellation = co_await asio::this_coro::cancellation_state;
  if (cancellation.cancelled() != asio::cancellation_type::none) co_return Wake::cancelled;
  if (ended && deadline.passed(Clock::now())) co_return Wake::expired;
  co_return Wake::ready;
}

}  // namespace sluice
