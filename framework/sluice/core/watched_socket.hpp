// A socket of a library's own on the event loop: it is waited for, the library reads and writes. One loop's own.
//
// Such libraries close and replace their sockets by themselves, so what is watched is a duplicate (close-on-exec).
//
// A wait costs the loop one operation, however many deadlines there are: the alarm is set for the earliest deadline that it knows of, and
// when it rings, for the one of the wait that is then under way. So of deadlines that lie at the same distance it meets one in a while.
#pragma once

#include <sluice/core/asio.hpp>
#include <sluice/core/clock.hpp>
#include <sluice/core/descriptor.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <memory>
#include <tuple>
#include <utility>

namespace sluice {

enum class Wake { ready, expired, cancelled };

class WatchedSocket {
 public:
  explicit WatchedSocket(const asio::any_io_executor& executor);
  ~WatchedSocket();  // who still waits wakes
  WatchedSocket(const WatchedSocket&) = delete;
  WatchedSocket& operator=(const WatchedSocket&) = delete;

  // Watches this one from now on, and closes the one before.
  void watch(Descriptor duplicate);
  void close() noexcept;
  bool is_open() const noexcept;
  int native() const noexcept;

  // Until the socket is readable or writable as asked (one of them at least), the deadline passes, or the coroutine is cancelled. May
  // wake early. One at a time.
  awaitable<Wake> wait(bool read, bool write, Deadline deadline);
  // The same in the caller's own frame: it awaits what begin_wait() gives, asks for its cancellation state, and end_wait() says what it was.
  // REQUIRES: this object outlives the wait.
  using Socket = asio::posix::stream_descriptor;
  using Readiness = decltype(std::declval<Socket&>().async_wait(Socket::wait_read, asio::as_tuple(asio::deferred)));
  using Woken = std::tuple<error_code>;
  Readiness begin_wait(bool read, bool write, Deadline deadline);
  Wake end_wait(const Woken& woken, const asio::cancellation_state& cancellation, Deadline deadline) noexcept;
  // Wakes who waits.
  void wake() noexcept;

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with who waits
};

}  // namespace sluice
