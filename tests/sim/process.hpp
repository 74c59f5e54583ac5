// One simulated process (or thread of a thread host): the program that it runs, its memory, and where it stands.
#pragma once

#include <sim/arena.hpp>
#include <sim/stacks.hpp>
#include <sim/transitions.hpp>

#include <sluice/core/clock.hpp>

#include <cstdint>
#include <deque>

namespace sluice::sim {

// Unique for ever; serial 0: nobody.
struct ProcessId {
  std::uint32_t index = 0;
  std::uint32_t serial = 0;
  friend constexpr bool operator==(ProcessId, ProcessId) = default;
  explicit operator bool() const noexcept { return serial != 0; }
};

enum class To : std::uint8_t {
  boot,
  // a worker
  client, timer, ring, drain, stop,
  // whoever waits for the server: `a` is the operation, `b` an Answer
  answer,
  // the master
  tick, exited, ended, ready, scale, restart, wish, finish,
  // the janitor
  look, view, end,
};

enum class Answer : std::uint8_t { connected, refused, denied, ended, reset, alive, dead, deadline, last_deadline, cancelled, late };

struct Message {
  To to = To::boot;
  std::uint64_t a = 0, b = 0;
};

// What runs in a process. Lives in the process's arena; its destructor runs only if it leaves by itself.
class Program {
 public:
  virtual ~Program() = default;
  virtual void handle(const Message& message) = 0;
};

struct Process {
  ProcessId id;
  Actor actor = Actor::worker;
  std::uint32_t instance = 0;
  std::uint32_t host = 0;  // processes of one host die together
  budget::Life life;
  Arena arena;
  Program* program = nullptr;
  Stacks::Stack* stack = nullptr;  // where it stopped in the middle of handling a message
  bool stopped = false;            // by a pause: messages wait in the inbox
  TimePoint stopped_since{};
  bool leaving = false;            // ends by itself when it has handled this message
  bool doomed = false;             // killed in place of its next write of an owner word
  std::deque<Message> inbox;
};

}  // namespace sluice::sim
