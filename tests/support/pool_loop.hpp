// A pool with a stub server on a real loop that the test drives itself: nothing sleeps, run_until() waits for a condition.
#pragma once

#include <support/permit_rows.hpp>
#include <support/stub_connector.hpp>

#include <sluice/pool/pool.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <exception>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sluice::test {

// One coroutine that acquires; the lease stays here until the test lets go of it.
struct Caller {
  std::optional<pool::Lease> lease;
  std::optional<pool::PoolError> error;
  std::exception_ptr other;
  bool done = false;
  asio::cancellation_signal cancel;
};

inline awaitable<void> acquire_into(pool::Pool& pool, Caller& caller, std::optional<Duration> limit, std::list<Caller*>* order) {
  try {
    if (limit) {
      caller.lease = co_await pool.acquire(within(*limit));
    } else {
      caller.lease = co_await pool.acquire();
    }
    if (order) order->push_back(&caller);
  } catch (const pool::PoolError& e) {
    caller.error = e;
  }
}

class PoolLoop {
 public:
  explicit PoolLoop(config::Pool options = {}, std::uint32_t rows = 16, std::shared_ptr<PermitRows> permits = nullptr)
      : table(permits ? std::move(permits) : std::make_shared<PermitRows>(rows)) {
    options.name = "main";
    add_pool(std::move(options));
  }
  ~PoolLoop() {
    for (Caller& c : callers) c.lease.reset();
  }

  pool::Pool& add_pool(config::Pool options) {
    pool::PoolResources resources;
    resources.share = table->share;
    resources.stats = &stats.emplace_back();
    resources.call_sites = call_sites;
    resources.seed = 42;
    return pools.emplace_back(loop, std::move(options), std::make_unique<StubConnector>(loop, server), resources);
  }
  pool::Pool& pool() { return pools.front(); }

  Caller& acquire(std::optional<Duration> limit = {}, pool::Pool* from = nullptr) {
    Caller& caller = callers.emplace_back();
    auto finished = [&caller](std::exception_ptr error) {
      caller.other = error;
      caller.done = true;
    };
    asio::co_spawn(loop, acquire_into(from ? *from : pool(), caller, limit, &order),
                   asio::bind_cancellation_slot(caller.cancel.slot(), finished));
    return caller;
  }
  Caller& leased() {
    Caller& caller = acquire();
    if (!run_until([&] { return caller.done; }) || !caller.lease) throw std::logic_error("no lease");
    return caller;
  }
  // Runs the loop until the condition holds; false after 10 s.
  template <class Condition>
  bool run_until(Condition condition) {
    const TimePoint end = Clock::now() + 10s;
    while (!condition()) {
      if (Clock::now() > end) return false;
      loop.restart();
      loop.run_one_for(10ms);
    }
    return true;
  }
  // Runs a coroutine to its end and gives its result, or throws what it threw.
  template <class T>
  T run(awaitable<T> coroutine) {
    std::optional<T> result;
    std::exception_ptr failed;
    bool done = false;
    asio::co_spawn(loop, std::move(coroutine), [&](std::exception_ptr error, T value) {
      failed = error;
      result.emplace(std::move(value));
      done = true;
    });
    if (!run_until([&] { return done; })) throw std::logic_error("the coroutine does not end");
    if (failed) std::rethrow_exception(failed);
    return std::move(*result);
  }
  // Everything that can happen without time passing.
  void settle() {
    loop.restart();
    while (loop.poll() > 0) loop.restart();
  }
  bool close(Duration limit = 5s) {
    std::optional<bool> empty;
    for (pool::Pool& p : pools) {
      empty.reset();
      auto finished = [&empty](const std::exception_ptr& error, bool result) { empty = !error && result; };
      asio::co_spawn(loop, p.close(Deadline::after(limit)), finished);
      if (!run_until([&] { return empty.has_value(); }) || !*empty) return false;
    }
    return true;
  }

  std::shared_ptr<PermitRows> table;
  std::shared_ptr<StubServer> server = std::make_shared<StubServer>();
  std::list<shm::PoolStats> stats;
  std::vector<shm::CallSite> call_sites = std::vector<shm::CallSite>(16);
  std::list<Caller*> order;
  asio::io_context loop{1};
  std::list<pool::Pool> pools;
  std::list<Caller> callers;
};

}  // namespace sluice::test
