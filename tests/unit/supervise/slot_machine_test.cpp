#include <sluice/supervise/slot_machine.hpp>

#include <doctest/doctest.h>

using namespace sluice;
using namespace sluice::supervise;

namespace {

constexpr TimePoint t0 = TimePoint(1h);

SlotOptions options() {
  SlotOptions o;
  o.boot_timeout = 60s;
  o.graceful_timeout = 30s;
  o.hang_timeout = 10s;
  o.restart.backoff_min = 100ms;
  o.restart.healthy_after = 10s;
  o.restart.breaker_deaths = 3;
  return o;
}

SlotMachine ready_machine() {
  SlotMachine m(options());
  m.want(1);
  m.started(t0);
  m.ready(t0 + 1s, 1);
  return m;
}

}  // namespace

TEST_CASE("a wanted slot starts, becomes ready and keeps its number while lives are counted") {
  SlotMachine m(options());
  CHECK(m.step(t0, 0s) == Command::none);
  m.want(1);
  CHECK(m.step(t0, 0s) == Command::start);
  m.started(t0);
  CHECK(m.state() == SlotState::starting);
  CHECK(m.generation() == 1);
  m.ready(t0 + 1s, 1);
  CHECK(m.state() == SlotState::ready);
  CHECK(m.step(t0 + 2s, 1s) == Command::none);
}

TEST_CASE("messages of an earlier life change nothing") {
  SlotMachine m = ready_machine();
  m.ended(t0 + 20s, 1, ExitReason::signal, Blame::own, 0.5);
  m.started(t0 + 20s);
  m.ready(t0 + 21s, 1);
  CHECK(m.state() == SlotState::starting);
  m.ended(t0 + 21s, 1, ExitReason::error, Blame::own, 0.5);
  CHECK(m.state() == SlotState::starting);
}

TEST_CASE("the first restart after a healthy life is immediate, later ones back off") {
  SlotMachine m = ready_machine();
  m.ended(t0 + 20s, 1, ExitReason::signal, Blame::own, 0.5);
  CHECK(m.step(t0 + 20s, 0s) == Command::start);
  m.started(t0 + 20s);
  m.ended(t0 + 21s, 2, ExitReason::signal, Blame::own, 0.0);
  CHECK(m.state() == SlotState::backoff);
  CHECK(m.step(t0 + 21s + 49ms, 0s) == Command::none);
  CHECK(m.step(t0 + 21s + 50ms, 0s) == Command::start);
}

TEST_CASE("a slot that dies too often fails and stays failed until it is wanted anew") {
  SlotMachine m(options());
  m.want(0);
  for (std::uint64_t generation = 1; generation <= 3; ++generation) {
    m.started(t0);
    m.ended(t0, generation, ExitReason::error, Blame::own, 0.5);
  }
  CHECK(m.state() == SlotState::failed);
  CHECK(m.step(t0 + 24h, 0s) == Command::none);
  m.unwant();
  CHECK(m.state() == SlotState::empty);
  m.want(0);
  CHECK(m.step(t0 + 24h, 0s) == Command::start);
  m.started(t0 + 24h);
  m.ended(t0 + 24h, 4, ExitReason::error, Blame::own, 0.5);
  CHECK(m.state() == SlotState::backoff);
}

TEST_CASE("a life that ended through another slot's fault starts again at once and is not charged") {
  SlotMachine m(options());
  m.want(0);
  for (std::uint64_t generation = 1; generation <= 10; ++generation) {
    m.started(t0);
    m.ended(t0, generation, ExitReason::signal, Blame::other_slot, 0.5);
    REQUIRE(m.step(t0, 0s) == Command::start);
  }
}

TEST_CASE("a silent loop is aborted for its backtrace, then killed") {
  SlotMachine m = ready_machine();
  CHECK(m.step(t0 + 20s, 10s) == Command::none);
  CHECK(m.step(t0 + 21s, 11s) == Command::abort);
  CHECK(m.sentence() == ExitReason::hang);
  CHECK(m.step(t0 + 22s, 12s) == Command::none);
  CHECK(m.step(t0 + 23s, 13s) == Command::kill);
  CHECK(m.step(t0 + 24s, 14s) == Command::none);
}

TEST_CASE("a worker that is not ready in time is ended by the boot timeout") {
  SlotMachine m(options());
  m.want(0);
  m.started(t0);
  for (int s = 1; s <= 60; ++s) REQUIRE(m.step(t0 + s * 1s, 0s) == Command::none);
  CHECK(m.step(t0 + 61s, 0s) == Command::abort);
  CHECK(m.sentence() == ExitReason::boot_timeout);
}

TEST_CASE("waiting for a server and time in which nobody looked are no boot time") {
  SlotMachine m(options());
  m.want(0);
  m.started(t0);
  for (int s = 1; s <= 600; ++s) REQUIRE(m.step(t0 + s * 1s, 0s, true) == Command::none);
  REQUIRE(m.step(t0 + 10h, 0s) == Command::none);  // the machine was suspended
  for (int s = 1; s <= 59; ++s) REQUIRE(m.step(t0 + 10h + s * 1s, 0s) == Command::none);
  CHECK(m.step(t0 + 10h + 60s, 0s) == Command::abort);
}

TEST_CASE("a life that ended for reasons outside backs off but never opens the breaker") {
  SlotMachine m(options());
  m.want(0);
  for (std::uint64_t generation = 1; generation <= 20; ++generation) {
    m.started(t0);
    m.ended(t0, generation, ExitReason::error, Blame::outside, 0.5);
    REQUIRE(m.state() == SlotState::backoff);
  }
}

TEST_CASE("an unwanted slot drains, is stopped after the graceful time and killed at last") {
  SlotMachine m = ready_machine();
  m.unwant();
  CHECK(m.step(t0 + 2s, 0s) == Command::drain);
  CHECK(m.state() == SlotState::draining);
  CHECK(m.step(t0 + 31s, 0s) == Command::none);
  CHECK(m.step(t0 + 32s, 0s) == Command::stop);
  CHECK(m.step(t0 + 34s, 0s) == Command::none);
  CHECK(m.step(t0 + 35s, 0s) == Command::kill);
  m.ended(t0 + 35s, 1, ExitReason::signal, Blame::own, 0.5);
  CHECK(m.state() == SlotState::empty);
  CHECK(m.step(t0 + 36s, 0s) == Command::none);
}

TEST_CASE("a draining loop that hangs is not waited for") {
  SlotMachine m = ready_machine();
  m.unwant();
  m.step(t0 + 2s, 0s);
  CHECK(m.step(t0 + 14s, 11s) == Command::abort);
}

TEST_CASE("hurry stops a draining or ready slot at once") {
  SlotMachine draining = ready_machine();
  draining.unwant();
  draining.step(t0 + 2s, 0s);
  draining.hurry(t0 + 3s);
  CHECK(draining.step(t0 + 3s, 0s) == Command::stop);
  SlotMachine ready = ready_machine();
  ready.hurry(t0 + 3s);
  CHECK(ready.step(t0 + 3s, 0s) == Command::stop);
  CHECK(ready.step(t0 + 7s, 0s) == Command::kill);
  SlotMachine waiting(options());
  waiting.want(0);
  waiting.hurry(t0);
  CHECK(waiting.step(t0, 0s) == Command::none);
}

TEST_CASE("a fork that fails is retried without being charged to the slot") {
  SlotMachine m(options());
  m.want(0);
  for (std::uint64_t generation = 1; generation <= 10; ++generation) {
    m.started(t0);
    m.start_failed(t0, 1s);
    REQUIRE(m.state() == SlotState::backoff);
    REQUIRE(m.step(t0 + 1s, 0s) == Command::start);
  }
}
