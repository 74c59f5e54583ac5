// A pool core with a manual clock and effects that only write down what they were asked.
#pragma once

#include <support/permit_rows.hpp>

#include <sluice/pool/core.hpp>

#include <doctest/doctest.h>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace sluice::test {

struct TestWaiter : pool::Waiter {
  pool::PoolEntry* entry = nullptr;
  pool::Several collected;
  std::vector<pool::PoolEntry*> entries;  // of one that wants several
  std::optional<pool::PoolError> error;
  bool answered() const { return entry || error || !entries.empty(); }
};

struct Effects final : pool::PoolEffects {
  struct Step {
    pool::PoolEntry* entry;
    Deadline deadline;
  };
  std::deque<Step> connects, pings, resets, closes;
  std::deque<TestWaiter*> served;  // in order
  std::vector<std::uint64_t> interrupted;
  std::vector<pool::Event> suspicions;
  bool reclaimable = false;
  int changes = 0;
  TimePoint wake = TimePoint::max();

  void start_connect(pool::PoolEntry& e, Deadline d) override { connects.push_back({&e, d}); }
  void start_ping(pool::PoolEntry& e, Deadline d) override { pings.push_back({&e, d}); }
  void start_reset(pool::PoolEntry& e, Deadline d) override { resets.push_back({&e, d}); }
  void start_close(pool::PoolEntry& e, Deadline d) override { closes.push_back({&e, d}); }
  void serve(pool::Waiter& w, pool::PoolEntry& e) override {
    static_cast<TestWaiter&>(w).entry = &e;
    served.push_back(&static_cast<TestWaiter&>(w));
  }
  void serve_all(pool::Waiter& w) override {
    auto& served_now = static_cast<TestWaiter&>(w);
    for (pool::PoolEntry& e : w.several->gathered) served_now.entries.push_back(&e);
    w.several->gathered.clear();
    served.push_back(&served_now);
  }
  void interrupt(pool::PoolEntry& e) noexcept override { interrupted.push_back(e.id); }
  bool may_reclaim(const pool::PoolEntry&) noexcept override { return reclaimable; }
  void suspect(const pool::Event& e) override { suspicions.push_back(e); }
  void refuse(pool::Waiter& w, pool::PoolError error) override { static_cast<TestWaiter&>(w).error = std::move(error); }
  void changed() noexcept override { ++changes; }
  void wake_at(TimePoint when) override { wake = std::min(wake, when); }
};

class CoreTest {
 public:
  explicit CoreTest(config::Pool options = {}, std::uint32_t rows = 16, std::shared_ptr<PermitRows> permits = nullptr, std::shared_ptr<pool::Siblings> siblings = nullptr,
                    bool fail_fast = false, std::uint32_t capacity = 1)
      : table(permits ? std::move(permits) : std::make_shared<PermitRows>(rows)) {
    options.name = "main";
    pool::CoreSettings settings;
    settings.options = options;
    settings.fail_fast = fail_fast;
    settings.capacity = capacity;
    core = std::make_unique<pool::PoolCore>(settings, effects, table->share, siblings ? std::move(siblings) : std::make_shared<pool::Siblings>(), stats);
    core->on_event([this](const pool::Event& e) { events.push_back(describe(e)); });
    events.clear();
  }

  // Acts as the shell does: fast path, refusal, or the queue.
  TestWaiter& acquire(Duration limit = 5s) { return acquire(waiter(limit)); }
  TestWaiter& waiter(Duration limit = 5s) {
    TestWaiter& w = waiters.emplace_back();
    w.since = now;
    w.deadline = now + limit;
    w.several = &w.collected;
    return w;
  }
  TestWaiter& acquire(TestWaiter& w) {
    core->start_checkout();
    if (auto* e = w.wants() > 1 ? nullptr : w.shared ? core->try_share(now, 1) : core->try_lease(now, 1)) {
      w.entry = e;
      e->task = w.task;
    } else if (auto refused = core->refusal(w.wants())) {
      w.error = *refused;
    } else {
      core->enqueue(w, now);
    }
    return w;
  }
  pool::PoolEntry& leased(Duration limit = 5s) {
    TestWaiter& w = acquire(limit);
    if (!w.entry) finish_connect();
    REQUIRE(w.entry);
    return *w.entry;
  }
  void give_back(pool::PoolEntry& e) { core->give_back(e, now); }
  pool::PoolEntry& finish_connect() {
    REQUIRE_FALSE(effects.connects.empty());
    auto* e = effects.connects.front().entry;
    effects.connects.pop_front();
    auto c = std::make_unique<pool::Connection>();
    c->session = ++sessions;
    c->session_birth = 7;
    core->connected(*e, std::move(c), now);
    return *e;
  }
  void fail_connect(bool released = true, const char* why = "connection refused") {
    REQUIRE_FALSE(effects.connects.empty());
    auto* e = effects.connects.front().entry;
    effects.connects.pop_front();
    core->connect_failed(*e, why, released, now);
  }
  void finish_close(pool::CloseResult result = pool::CloseResult::confirmed) {
    REQUIRE_FALSE(effects.closes.empty());
    auto* e = effects.closes.front().entry;
    effects.closes.pop_front();
    e->connection.reset();
    core->closed(*e, result, now);
  }
  void finish_ping(bool alive = true) {
    REQUIRE_FALSE(effects.pings.empty());
    auto* e = effects.pings.front().entry;
    effects.pings.pop_front();
    core->checked(*e, alive, alive ? "" : "no answer", now);
  }
  void finish_reset(bool alive = true) {
    REQUIRE_FALSE(effects.resets.empty());
    auto* e = effects.resets.front().entry;
    effects.resets.pop_front();
    core->checked(*e, alive, alive ? "" : "no answer", now);
  }
  // Lets time pass as a loop does: tick at each instant that the core asked for.
  void pass(Duration d) {
    const TimePoint end = now + d;
    while (effects.wake <= end) {
      now = std::max(now, effects.wake);
      effects.wake = TimePoint::max();
      core->tick(now);
    }
    now = end;
  }
  std::uint32_t rows(budget::RowState s) const { return table->in(s); }
  // Idle connections made ready for use, e.g. 3.
  void with_idle(int n) {
    std::vector<pool::PoolEntry*> all;
    for (int i = 0; i < n; ++i) all.push_back(&leased());
    for (auto* e : all) give_back(*e);
    events.clear();
  }

  static std::string describe(const pool::Event& e) {
    std::string s = to_text(e.type);
    if (e.connection) s += " " + std::to_string(e.connection);
    if (e.type == pool::EventType::closed) s += std::string(" ") + to_text(e.reason);
    if (e.type == pool::EventType::checkout_failed) s += std::string(" ") + to_text(e.phase);
    return s;
  }

  std::shared_ptr<PermitRows> table;
  TimePoint now = TimePoint(1000s);
  Effects effects;
  shm::PoolStats stats{};
  std::deque<TestWaiter> waiters;
  std::vector<std::string> events;
  std::uint64_t sessions = 100;
  std::unique_ptr<pool::PoolCore> core;
};

using Strings = std::vector<std::string>;

}  // namespace sluice::test
