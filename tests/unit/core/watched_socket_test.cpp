#include <sluice/core/watched_socket.hpp>

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "support/eventually.hpp"

using namespace sluice;
using sluice::test::scaled;

namespace {

// Both ends of a stream; ours is watched, theirs is written to.
struct Ends {
  Ends() {
    int both[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, both) == 0);
    ours = Descriptor(both[0]);
    theirs = Descriptor(both[1]);
  }
  void say(const std::string& words) const { CHECK(::write(theirs.get(), words.data(), words.size()) == static_cast<ssize_t>(words.size())); }
  std::string hear() const {
    char room[64];
    const ssize_t n = ::read(ours.get(), room, sizeof room);
    return n > 0 ? std::string(room, static_cast<std::size_t>(n)) : std::string();
  }
  // What we write goes no further.
  void fill() const {
    const std::string block(65536, 'x');
    while (::write(ours.get(), block.data(), block.size()) > 0) {
    }
  }
  Descriptor ours, theirs;
};

class Watch {
 public:
  Watch() { socket->watch(duplicate(ends.ours.get())); }

  // Begins to wait; the outcome stands in `woken` when it has come.
  void wait(bool read, bool write, Deadline deadline) {
    woken.reset();
    asio::co_spawn(loop, socket->wait(read, write, deadline), asio::bind_cancellation_slot(cancel.slot(), [this](std::exception_ptr failed, Wake how) {
                     CHECK_FALSE(failed);
                     woken = how;
                   }));
    loop.restart();
    loop.poll();
  }
  std::optional<Wake> outcome() {
    const Deadline limit = Deadline::after(scaled(10s));
    loop.restart();
    while (!woken && !limit.passed(Clock::now())) loop.run_one_for(10ms);
    return woken;
  }

  Ends ends;
  asio::io_context loop{1};
  asio::cancellation_signal cancel;
  std::optional<WatchedSocket> socket{std::in_place, loop.get_executor()};
  std::optional<Wake> woken;
};

}  // namespace

TEST_CASE("a socket is ready when there is something to read, and again for what comes later") {
  Watch w;
  for (const char* words : {"first", "second", "third"}) {
    w.wait(true, false, Deadline::never());
    CHECK_FALSE(w.woken);
    w.ends.say(words);
    CHECK(w.outcome() == Wake::ready);
    CHECK(w.ends.hear() == words);
  }
  w.ends.say("there before anybody waits");
  w.wait(true, false, Deadline::never());
  CHECK(w.outcome() == Wake::ready);
}

TEST_CASE("the end of the stream is something to read") {
  Watch w;
  w.wait(true, false, Deadline::never());
  w.ends.theirs.reset();
  CHECK(w.outcome() == Wake::ready);
}

TEST_CASE("each wait ends at its own deadline, whichever the alarm was set for before") {
  Watch w;
  const auto expires_after = [&](Duration limit) {
    const TimePoint began = Clock::now();
    w.wait(true, false, Deadline::after(limit));
    CHECK(w.outcome() == Wake::expired);
    CHECK(Clock::now() - began >= limit);
  };
  expires_after(20ms);
  w.wait(true, false, Deadline::after(1h));  // the alarm is set far away …
  w.ends.say("x");
  CHECK(w.outcome() == Wake::ready);
  CHECK(w.ends.hear() == "x");
  expires_after(20ms);                       // … and comes nearer
  w.wait(true, false, Deadline::after(30ms));
  w.ends.say("x");
  CHECK(w.outcome() == Wake::ready);
  CHECK(w.ends.hear() == "x");
  expires_after(60ms);                       // it rings for the wait before, half-way through this one
  w.wait(true, false, Deadline::after(30ms));
  w.ends.say("x");
  CHECK(w.outcome() == Wake::ready);
  CHECK(w.ends.hear() == "x");
  w.wait(true, false, Deadline::never());    // it rings while a wait without a deadline is under way
  w.loop.restart();
  w.loop.run_for(50ms);
  CHECK_FALSE(w.woken);
  w.ends.say("x");
  CHECK(w.outcome() == Wake::ready);
}

TEST_CASE("a deadline that has passed ends the wait, unless the socket is ready") {
  Watch w;
  w.wait(true, false, Deadline{Clock::now() - 1s});
  CHECK(w.outcome() == Wake::expired);
}

TEST_CASE("who waits to write is woken when there is room, by either of both when both are asked for, and later waits for an answer are not woken by room") {
  Watch w;
  w.wait(false, true, Deadline::never());
  CHECK(w.outcome() == Wake::ready);
  w.ends.fill();
  w.wait(true, true, Deadline::after(20ms));
  CHECK(w.outcome() == Wake::expired);
  w.wait(true, true, Deadline::never());
  w.ends.say("answer");
  CHECK(w.outcome() == Wake::ready);
  CHECK(w.ends.hear() == "answer");
  std::vector<char> room(1 << 20);
  w.wait(true, true, Deadline::never());
  while (::read(w.ends.theirs.get(), room.data(), room.size()) > 0) {
  }
  CHECK(w.outcome() == Wake::ready);
  w.wait(true, false, Deadline::after(20ms));
  CHECK(w.outcome() == Wake::expired);
}

TEST_CASE("a wait can be cancelled, and woken from outside") {
  Watch w;
  w.wait(true, false, Deadline::after(1h));
  w.cancel.emit(asio::cancellation_type::terminal);
  CHECK(w.outcome() == Wake::cancelled);
  w.wait(true, false, Deadline::after(1h));
  w.socket->wake();
  CHECK(w.outcome() == Wake::ready);
  w.socket->wake();  // nobody waits
  w.wait(true, false, Deadline::after(20ms));
  CHECK(w.outcome() == Wake::expired);
}

TEST_CASE("another socket may take the place of the one that is watched") {
  Watch w;
  w.wait(false, true, Deadline::never());
  CHECK(w.outcome() == Wake::ready);
  Ends others;
  w.socket->watch(duplicate(others.ours.get()));
  w.ends.say("nobody looks here any more");
  w.wait(true, false, Deadline::after(20ms));
  CHECK(w.outcome() == Wake::expired);
  others.say("here");
  w.wait(true, false, Deadline::never());
  CHECK(w.outcome() == Wake::ready);
}

TEST_CASE("who waits wakes when the watched socket goes, and a loop may end with a wait and an alarm under way") {
  {
    Watch w;
    w.wait(true, false, Deadline::after(1h));
    w.socket.reset();
    CHECK(w.outcome() == Wake::ready);
    w.loop.restart();
    CHECK(w.loop.run_for(1s) <= 1);  // the alarm does not keep it
    CHECK(w.loop.stopped());
  }
  Watch w;
  w.wait(true, false, Deadline::after(1h));
  CHECK_FALSE(w.woken);
}
