// Every way to hold a connection at once, on drivers that fail, dawdle or never answer in connect, ping, reset, cancel and close,
// with pools that are cleared, refreshed and given up on at any time: nothing is lost.
#include "behaviour.hpp"

#include <support/pool_loop.hpp>

#include <doctest/doctest.h>
#include <algorithm>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <vector>

using namespace sluice;
using namespace sluice::pool;
using namespace sluice::test;
using budget::RowState;

namespace {

config::Pool mixed_options() {
  config::Pool o;
  o.name = "mixed";
  o.max = 2;
  o.acquire_timeout = 40ms;
  o.connect_timeout = o.close_timeout = 6ms;
  o.connect_backoff_min = 1ms;
  o.connect_backoff_max = 3ms;
  o.validate_after = 0s;
  o.reset_on_return = config::ResetOnReturn::always;
  return o;
}

// The memory that a pool writes to outlives the loop.
struct Ground {
  PermitRows table{16};
  shm::PoolStats stats{};
};

class Mix {
 public:
  Mix(Ground& ground, asio::io_context& loop, const Behaviour& b, std::uint32_t seed)
      : behaviour(b), ground_(ground), loop_(loop), random_(seed), chaos_(loop), works_(loop, b.cancel) {
    b.rule(*server);
    server->slow_time = 1ms;
    server->max_requests = 1 + seed % 3;
    server->interrupted = [this](std::uint64_t session) { works_.interrupt(session); };
    PoolResources resources;
    resources.share = ground.table.share;
    resources.stats = &ground.stats;
    resources.seed = seed + 1;
    resources.hooks.before_lease = [this](Connection&) { fail_now_and_then(); };
    resources.hooks.after_return = [this](Connection&) { fail_now_and_then(); };
    pool = std::make_unique<Pool>(loop, mixed_options(), std::make_unique<StubConnector>(loop, server), std::move(resources));
    pool->ready();
  }

  void start() {
    for (int i = 0; i < callers; ++i) {
      auto finished = [this](const std::exception_ptr& error) {
        unexpected += error != nullptr;
        if (++done == callers) shut();
      };
      asio::co_spawn(loop_, use(this), asio::bind_cancellation_slot(cancel[i].slot(), finished));
    }
    disturb(0);
  }

  void check() {
    CAPTURE(behaviour.text());
    CHECK(done == callers);
    CHECK(unexpected == 0);
    CHECK(closed == true);
    CHECK(pool->numbers().waiting == 0);
    CHECK(pool->numbers().in_flight == 0);
    CHECK(pool->numbers().detached == 0);
    CHECK(ground_.table.share->held() == 0);
    CHECK(server->sessions.empty());
    CHECK(ground_.table.free() + ground_.table.in(RowState::quarantined) == 16);
    CHECK(ground_.stats.leased.get() == 0);
    CHECK(ground_.stats.idle.get() == 0);
    CHECK(ground_.stats.waiting.get() == 0);
  }

  static constexpr int callers = 4, rounds = 3;
  Behaviour behaviour;
  std::shared_ptr<StubServer> server = std::make_shared<StubServer>();
  std::unique_ptr<Pool> pool;
  asio::cancellation_signal cancel[callers];
  int done = 0, unexpected = 0;
  std::optional<bool> closed;

 private:
  void fail_now_and_then() {
    if (random_() % 32 == 0) throw Error("a hook that fails now and then");
  }
  awaitable<void> work_on(std::uint64_t session) { return works_.run(session, std::chrono::microseconds(random_() % 3000)); }

  static awaitable<void> use(Mix* m) {
    for (int round = 0; round < rounds; ++round) {
      try {
        const auto kind = m->random_() % 6;
        auto step = kind == 2 ? m->use_two() : kind == 4 ? m->use_what_is_free() : m->use_one(kind);
        co_await std::move(step);
      } catch (const PoolError& e) {
        if (e.phase() == Phase::cancelled) co_return;
      } catch (const Error&) {
      } catch (const boost::system::system_error&) {
        co_return;  // cancelled outside acquire()
      }
    }
  }
  awaitable<void> use_one(std::uint32_t kind) {
    auto wait = kind == 1 ? pool->acquire_shared() : kind == 3 ? pool->acquire(Priority::high) : pool->acquire();
    Lease lease = co_await std::move(wait);
    Detached detached;
    if (kind == 5) detached = std::move(lease).detach();
    auto work = work_on(detached ? detached->session : lease->session);
    co_await std::move(work);
    if (random_() % 8 == 0) lease.discard();
  }
  awaitable<void> use_two() {
    auto wait = pool->acquire_many(2);
    const std::vector<Lease> leases = co_await std::move(wait);
    auto work = work_on(leases[0]->session);
    co_await std::move(work);
  }
  awaitable<void> use_what_is_free() {
    Lease lease = random_() % 2 ? pool->try_acquire() : pool->try_acquire_shared();
    auto work = work_on(lease ? lease->session : 0);
    co_await std::move(work);
  }

  // Something happens every now and then, until everybody has finished.
  void disturb(int times) {
    if (times == 8 || done == callers) return;
    chaos_.expires_after(std::chrono::microseconds(random_() % 3000));
    chaos_.async_wait([this, times](error_code failed) {
      if (failed || done == callers) return;
      switch (random_() % 6) {
        case 0: pool->clear(); break;
        case 1: pool->clear(Pending::interrupt); break;
        case 2: pool->refresh(); break;
        case 3: pool->pause(); break;
        default: cancel[random_() % callers].emit(asio::cancellation_type::terminal);
      }
      pool->ready();
      disturb(times + 1);
    });
  }
  void shut() {
    chaos_.cancel();
    auto finished = [this](const std::exception_ptr& error, bool empty) { closed = !error && empty; };
    asio::co_spawn(loop_, pool->close(Deadline::after(5s)), finished);
  }

  Ground& ground_;
  asio::io_context& loop_;
  std::minstd_rand random_;
  asio::steady_timer chaos_;
  Works works_;
};

}  // namespace

TEST_CASE("all combinations of ok, error, slow and never for connect, ping, reset, cancel and close, with every kind of lease, lose nothing") {
  std::deque<Ground> grounds;
  asio::io_context loop(1);
  std::vector<std::unique_ptr<Mix>> all;
  std::uint32_t seed = 0;
  for (const Behaviour& behaviour : Behaviour::all(true)) all.push_back(std::make_unique<Mix>(grounds.emplace_back(), loop, behaviour, ++seed));
  for (auto& mix : all) mix->start();
  const TimePoint end = Clock::now() + 60s;
  auto open = [](const auto& mix) { return !mix->closed; };
  while (std::any_of(all.begin(), all.end(), open) && Clock::now() < end) loop.run_for(5ms);
  for (auto& mix : all) mix->check();
}
