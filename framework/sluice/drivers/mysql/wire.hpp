// A MYSQL handle and its socket on the event loop, through the library's _start/_cont calls. One loop's own.
//
// A call of the library that would block is suspended inside it and goes on when the socket is ready. While one is
// suspended no other may start (the library answers 0 and does nothing); a suspended one that nobody waits for any more is
// abandoned: the socket is shut down, so that it ends at once with an error. The library closes its socket by itself when a
// connection is lost, so the loop watches a duplicate (close-on-exec).
#pragma once

#include <sluice/core/watched_socket.hpp>

struct st_mysql;

namespace sluice::mysql {

class Wire {
 public:
  // Owns `connection`, which is connected with MYSQL_OPT_NONBLOCK and between two calls.
  Wire(const asio::any_io_executor& executor, st_mysql* connection);
  ~Wire();  // closes without waiting
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  st_mysql* get() const noexcept { return connection_; }
  bool busy() const noexcept { return busy_; }
  // Whoever waits looks again.
  void wake() noexcept { watched_.wake(); }

  // From now on what is sent waits for more of it; until it is told otherwise, which lets all of it go.
  void hold_back(bool on) noexcept;
  // Ends the stream in both directions: calls of the library fail from now on instead of waiting.
  void shut_down() noexcept;
  // Says goodbye, frees the handle, and waits for the server's end of stream. True: seen. The server's slot is taken a little
  // longer.
  awaitable<bool> farewell(Deadline deadline);

 private:
  friend class Call;
  // `status`: MYSQL_WAIT_… bits. May wake early.
  awaitable<Wake> wait(int status, Deadline deadline);

  st_mysql* connection_;
  WatchedSocket watched_;
  const bool tls_;
  bool busy_ = false;
};

// One call of the library that may be suspended. `step(0)` starts it, `step(ready)` continues it; both answer what it waits
// for, 0 when it is done. `step` and what it refers to must outlive the Call: name them before it.
//
//   int failed = 0;
//   auto step = [&](int ready) { return ready ? mysql_ping_cont(&failed, m, ready) : mysql_ping_start(&failed, m); };
//   Call call(wire, step);
//   const Wake wake = co_await call.finish(deadline);
class Call {
 public:
  template <class Step>
  Call(Wire& wire, Step& step) : wire_(wire), step_([](void* s, int ready) { return (*static_cast<Step*>(s))(ready); }), state_(&step) {
    start();
  }
  ~Call() { abandon(); }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  bool done() const noexcept { return status_ == 0; }
  // Until it may go on, which it does by go_on(). REQUIRES: !done().
  awaitable<Wake> wait(Deadline deadline);
  void go_on();
  // Both, until it is done. `ready`: it is. Otherwise the call is still suspended: finish it, or let it be abandoned.
  awaitable<Wake> finish(Deadline deadline);
  // Shuts the connection down if the call is not done.
  void abandon() noexcept;

 private:
  void start();
  void advance(int ready);

  Wire& wire_;
  int (*step_)(void* step, int ready);
  void* state_;
  int status_ = 0;
};

}  // namespace sluice::mysql
