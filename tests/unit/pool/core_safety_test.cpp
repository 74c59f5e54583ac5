// Leaks, deadlocks, double returns, and connections that leave the pool.
#include "core_fixture.hpp"

#include <sys/wait.h>
#include <unistd.h>
#include <array>
#include <csignal>

using namespace sluice;
using namespace sluice::pool;
using namespace sluice::test;
using budget::RowState;

namespace {

config::Pool sized(std::uint32_t max) {
  config::Pool o;
  o.max = max;
  return o;
}

std::size_t count(const Strings& events, const std::string& event) { return static_cast<std::size_t>(std::count(events.begin(), events.end(), event)); }

}  // namespace

TEST_CASE("option leak.after: a lease that is held that long is told once, with its age and its place") {
  config::Pool o = sized(2);
  o.leak_after = 1s;
  CoreTest t(o);
  t.core->ready(t.now);
  PoolEntry& e = t.leased();
  e.call_site = 5;
  t.pass(900ms);
  CHECK(t.effects.suspicions.empty());
  t.pass(500ms);
  REQUIRE(t.effects.suspicions.size() == 1);
  CHECK(t.effects.suspicions[0].call_site == 5);
  CHECK(t.effects.suspicions[0].age >= 1s);
  CHECK(t.stats.leaks.get() == 1);
  t.pass(5s);
  CHECK(count(t.events, "leak_suspected 1") == 1);
  t.give_back(e);
  REQUIRE(t.leased().id == e.id);
  t.pass(2s);
  CHECK(t.core->numbers().suspected_leaks == 2);
}

TEST_CASE("leak.after 0 suspects nobody") {
  config::Pool o = sized(1);
  o.leak_after = 0s;
  CoreTest t(o);
  t.core->ready(t.now);
  t.leased();
  t.pass(1h);
  CHECK(t.effects.suspicions.empty());
}

TEST_CASE("option leak.reclaim: the connection of a leak is taken away and closed, its permit comes back, its lease is empty") {
  config::Pool o = sized(1);
  o.leak_after = 1s;
  o.leak_reclaim = true;
  CoreTest t(o);
  t.effects.reclaimable = true;
  t.core->ready(t.now);
  PoolEntry& leaked = t.leased();
  TestWaiter& next = t.acquire(60s);
  t.pass(1300ms);
  CHECK(count(t.events, "closed 1 leaked") == 1);
  CHECK_FALSE(leaked.connection);
  t.finish_close();
  CHECK(t.effects.connects.size() == 1);
  t.finish_connect();
  CHECK(next.entry);
  t.give_back(leaked);  // far too late: nothing happens
  CHECK(t.core->numbers().leased == 1);
  t.give_back(*next.entry);
  t.core->close(t.now);
  t.finish_close();
  CHECK(t.core->empty());
  CHECK(t.table->free() == 16);
}

TEST_CASE("a leak is not taken away where the driver says that something runs on it") {
  config::Pool o = sized(1);
  o.leak_after = 1s;
  o.leak_reclaim = true;
  CoreTest t(o);
  t.core->ready(t.now);
  PoolEntry& leaked = t.leased();
  t.pass(5s);
  CHECK(t.effects.suspicions.size() == 1);
  CHECK(leaked.connection);
  t.give_back(leaked);
  CHECK(t.core->numbers().idle == 1);
}

TEST_CASE("a task that waits for a connection of the exhausted pool while it holds one is suspected, with both places") {
  CoreTest t(sized(1));
  t.core->ready(t.now);
  TestWaiter& outer = t.waiter();
  outer.task = 7;
  outer.call_site = 3;
  t.acquire(outer);
  t.finish_connect();
  REQUIRE(outer.entry);
  TestWaiter& other = t.waiter();
  other.task = 8;
  t.acquire(other);
  CHECK(t.effects.suspicions.empty());
  TestWaiter& nested = t.waiter();
  nested.task = 7;
  nested.call_site = 4;
  t.acquire(nested);
  REQUIRE(t.effects.suspicions.size() == 1);
  CHECK(t.effects.suspicions[0].type == EventType::deadlock_suspected);
  CHECK(t.effects.suspicions[0].call_site == 4);
  CHECK(t.effects.suspicions[0].held_call_site == 3);
  CHECK(nested.held == 3 + 1);
  CHECK(t.core->numbers().suspected_deadlocks == 1);
  CHECK(t.stats.deadlocks.get() == 1);
  CHECK_FALSE(nested.error);
}

TEST_CASE("no deadlock is suspected where a connection is on its way") {
  CoreTest t(sized(2));
  t.core->ready(t.now);
  for (int i = 0; i < 2; ++i) {
    TestWaiter& w = t.waiter();
    w.task = 7;
    t.acquire(w);
    t.finish_connect();
    REQUIRE(w.entry);
  }
  CHECK(t.effects.suspicions.empty());
}

TEST_CASE("tasks that began to wait while connections were on their way are told, too, once nothing is left to come") {
  CoreTest t(sized(2));
  t.core->ready(t.now);
  const auto nest = [&](std::uint32_t task) -> TestWaiter& {
    TestWaiter& w = t.waiter(60s);
    w.task = task;
    return t.acquire(w);
  };
  nest(7);
  nest(8);
  t.finish_connect();
  TestWaiter& first = nest(7);
  TestWaiter& stranger = nest(9);
  t.finish_connect();
  CHECK(t.effects.suspicions.empty());
  TestWaiter& second = nest(8);
  CHECK(second.held != 0);
  CHECK(first.held == 0);
  t.pass(200ms);
  CHECK(first.held != 0);
  CHECK(stranger.held == 0);
  t.pass(10s);
  CHECK(t.core->numbers().suspected_deadlocks == 2);
}

TEST_CASE("a pool that lacks the server and not connections is not exhausted") {
  CoreTest t(sized(2));
  t.core->ready(t.now);
  TestWaiter& outer = t.waiter();
  outer.task = 7;
  t.acquire(outer);
  t.finish_connect();
  TestWaiter& nested = t.waiter(60s);
  nested.task = 7;
  t.acquire(nested);
  t.fail_connect();
  t.pass(50ms);
  TestWaiter& another = t.waiter(60s);
  another.task = 7;
  t.acquire(another);
  CHECK(t.effects.suspicions.empty());
}

TEST_CASE("who collects several connections, or was served at once, does not wait for itself") {
  CoreTest t(sized(3));
  t.core->ready(t.now);
  t.with_idle(2);
  for (const std::uint16_t wants : {2, 1}) {
    TestWaiter& w = t.waiter();
    w.task = 7u + wants;
    w.collected.wants = wants;
    t.acquire(w);
  }
  t.finish_connect();
  CHECK(t.core->numbers().leased == 3);
  CHECK(t.effects.suspicions.empty());
}

TEST_CASE("who collects several while it holds one is suspected, and only for the one that it holds") {
  CoreTest t(sized(2));
  t.core->ready(t.now);
  for (const std::uint16_t wants : {1, 2}) {
    TestWaiter& w = t.waiter();
    w.task = 7;
    w.collected.wants = wants;
    t.acquire(w);
    t.finish_connect();
    if (wants == 1) REQUIRE(w.entry);
  }
  CHECK(t.effects.suspicions.empty());  // one was on its way when it began to wait
  TestWaiter& third = t.waiter();
  third.task = 7;
  t.acquire(third);
  REQUIRE(t.effects.suspicions.size() == 1);
  CHECK(t.effects.suspicions[0].connection == 1);
}

TEST_CASE("option deadlock_detection: switched off, nobody is suspected") {
  config::Pool o = sized(1);
  o.deadlock_detection = false;
  CoreTest t(o);
  t.core->ready(t.now);
  for (int i = 0; i < 2; ++i) {
    TestWaiter& w = t.waiter();
    w.task = 7;
    t.acquire(w);
    if (i == 0) t.finish_connect();
  }
  CHECK(t.effects.suspicions.empty());
}

namespace {

// Runs it in a child, which must be aborted, and gives what that said.
template <class Misdeed>
std::string last_words(Misdeed misdeed) {
  std::array<int, 2> words{};
  REQUIRE(::pipe(words.data()) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::signal(SIGABRT, SIG_DFL);
    ::dup2(words[1], STDERR_FILENO);
    misdeed();
    ::_exit(0);
  }
  ::close(words[1]);
  std::string said;
  std::array<char, 256> buffer{};
  for (ssize_t n = 0; (n = ::read(words[0], buffer.data(), buffer.size())) > 0;) said.append(buffer.data(), static_cast<std::size_t>(n));
  ::close(words[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGABRT);
  return said;
}

}  // namespace

TEST_CASE("a connection that is returned twice ends the process with a sentence") {
  const std::string said = last_words([] {
    CoreTest t(sized(1));
    t.core->ready(t.now);
    PoolEntry& e = t.leased();
    t.give_back(e);
    t.give_back(e);
  });
  CHECK(said.find("connection 1 is idle and was returned a second time") != std::string::npos);
}

TEST_CASE("a request that ends once more than requests began ends the process, too") {
  const std::string said = last_words([] {
    CoreTest t(sized(1), 16, nullptr, nullptr, false, 2);
    t.core->ready(t.now);
    TestWaiter& w = t.waiter();
    w.shared = true;
    t.acquire(w);
    PoolEntry& e = t.finish_connect();
    for (int i = 0; i < 2; ++i) t.core->end_request(e, t.now, false, t.now);
  });
  CHECK(said.find("connection 1 is idle and was returned a second time") != std::string::npos);
}

TEST_CASE("a detached connection leaves the pool and keeps its permit until it is let go") {
  CoreTest t(sized(1));
  t.core->ready(t.now);
  PoolEntry& e = t.leased();
  TestWaiter& next = t.acquire();
  CHECK(t.effects.connects.empty());
  t.core->detach(e, t.now);
  CHECK(t.core->numbers().detached == 1);
  CHECK(t.core->numbers().leased == 0);
  CHECK(t.rows(RowState::leased) == 1);
  REQUIRE(t.effects.connects.size() == 1);
  t.finish_connect();
  CHECK(next.entry);
  CHECK(t.table->share->held() == 2);
  t.core->close(t.now);
  t.give_back(*next.entry);
  t.finish_close();
  CHECK_FALSE(t.core->empty());
  t.core->end_detached(e, t.now);
  CHECK(t.events.back() == "closed 1 detached");
  t.finish_close();
  CHECK(t.core->empty());
  CHECK(t.table->free() == 16);
}

TEST_CASE("a detached connection is not aged, suspected or interrupted") {
  config::Pool o = sized(1);
  o.leak_after = 1s;
  o.max_lifetime = 1s;
  CoreTest t(o);
  t.core->ready(t.now);
  t.core->detach(t.leased(), t.now);
  t.pass(1h);
  t.core->clear(t.now, Pending::interrupt);
  CHECK(t.effects.suspicions.empty());
  CHECK(t.effects.closes.empty());
  CHECK(t.effects.interrupted.empty());
}
