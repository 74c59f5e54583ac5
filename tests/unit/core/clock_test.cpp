#include <sluice/core/clock.hpp>

#include <doctest/doctest.h>

#include <thread>
#include <vector>

using namespace sluice;

TEST_SUITE_BEGIN("core");

TEST_CASE("the clock never goes back and stays within microseconds of steady_clock, whether it counts cycles or asks the kernel") {
  const auto until = std::chrono::steady_clock::now() + 150ms;
  TimePoint last = Clock::now();
  std::int64_t most_ahead = 0, most_behind = 0;
  bool back = false;
  for (TimePoint before = std::chrono::steady_clock::now(); before < until;) {
    const TimePoint now = Clock::now();
    const TimePoint after = std::chrono::steady_clock::now();
    back = back || now < last;
    most_ahead = std::max(most_ahead, to_nanos(now) - to_nanos(after));
    most_behind = std::max(most_behind, to_nanos(before) - to_nanos(now));
    last = now;
    before = after;
  }
  CHECK_FALSE(back);
  CHECK(most_ahead < 2'000);
  CHECK(most_behind < 2'000);
}

TEST_CASE("an instant of one thread is not before the instant that another thread read earlier, microseconds apart") {
  for (int i = 0; i < 20; ++i) {
    TimePoint theirs;
    std::thread thread([&] { theirs = Clock::now(); });
    thread.join();
    CHECK(Clock::now() >= theirs - 2us);
  }
}

#if defined(__x86_64__)
namespace {

// A machine: true time in nanoseconds, and a counter of `rate` cycles for each.
struct Machine {
  CycleClock clock;
  std::int64_t nanos = 1'000'000'000;
  std::uint64_t cycles = 5'000'000'000;
  double rate = 2.5;
  std::int64_t last = 0;
  bool back = false;
  std::uint64_t asked = 0;  // of the kernel

  void pass(std::int64_t n) {
    nanos += n;
    cycles += static_cast<std::uint64_t>(static_cast<double>(n) * rate);
  }
  // What a thread reads now, as an error against the true time.
  std::int64_t error() {
    std::int64_t now = 0;
    if (clock.knows(cycles)) {
      now = clock.nanos(cycles);
    } else {
      ++asked;
      now = clock.join(cycles, nanos);
    }
    back = back || now < last;
    last = now;
    return now - nanos;
  }
  void learn() {
    for (int i = 0; i < 40; ++i) {
      pass(1'000'000);
      error();
    }
  }
};

}  // namespace

TEST_CASE("a cycle clock that has measured its counter twice asks the kernel once in a millisecond and is never ahead") {
  Machine machine;
  machine.learn();
  machine.asked = 0;
  for (int i = 0; i < 100'000; ++i) {
    machine.pass(1'000);
    const std::int64_t error = machine.error();
    REQUIRE(error <= 0);
    REQUIRE(error > -1'000);
  }
  CHECK(machine.asked >= 95);
  CHECK(machine.asked <= 110);
  CHECK_FALSE(machine.back);
}

TEST_CASE("when the counter runs faster than measured, the clock is ahead by less than a millisecond, never back, and soon right again") {
  Machine machine;
  machine.learn();
  machine.rate = 5;
  std::int64_t ahead = 0;
  for (int i = 0; i < 100'000; ++i) {
    machine.pass(1'000);
    ahead = std::max(ahead, machine.error());
  }
  CHECK(ahead > 0);
  CHECK(ahead < CycleClock::trusted_nanos);
  CHECK_FALSE(machine.back);
  machine.asked = 0;
  machine.pass(1'000);
  CHECK(machine.error() <= 0);
  CHECK(machine.asked <= 1);
}

TEST_CASE("a counter that jumps moves the clock by less than a millisecond, for less than a millisecond") {
  for (const std::int64_t jump : {-3'000'000'000ll, 3'000'000'000ll, 1'000'000ll}) {
    Machine machine;
    machine.learn();
    machine.cycles = static_cast<std::uint64_t>(static_cast<std::int64_t>(machine.cycles) + jump);
    for (int i = 0; i < 100'000; ++i) {
      machine.pass(1'000);
      const std::int64_t error = machine.error();
      REQUIRE(error <= (i < 1'000 ? CycleClock::trusted_nanos : 0));
      REQUIRE(error > -1'000);
    }
    CHECK_FALSE(machine.back);
    machine.asked = 0;
    machine.pass(1'000);
    machine.error();
    CHECK(machine.asked <= 1);
  }
}
#endif

TEST_SUITE_END();
