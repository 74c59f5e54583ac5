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

#include <memory>

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
  // Wakes who waits.
  void wake() noexcept;

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with who waits
};

}  // namespace sluice
