#include <sluice/workers/periodic.hpp>

#include <atomic>

#include "support/worker_life.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

std::atomic<int> fast{0}, slow{0}, inside{0}, most_inside{0}, failing{0};

class Clockwork : public PeriodicWorker {
 public:
  void tasks() override {
    every(10ms, &Clockwork::tick, 0ms);
    every(5ms, &Clockwork::drag, 0ms);
    every(10ms, &Clockwork::fail, 0ms);
  }
  awaitable<void> tick() {
    co_await context().sql("main").query("SELECT 1");
    ++fast;
  }
  // Longer than its interval.
  awaitable<void> drag() {
    most_inside = std::max(most_inside.load(), ++inside);
    asio::steady_timer timer(context().loop(), 30ms);
    co_await timer.async_wait(use_awaitable);
    --inside;
    ++slow;
  }
  awaitable<void> fail() {
    ++failing;
    throw std::runtime_error("on purpose");
    co_return;
  }
};

std::unique_ptr<Worker> make_clockwork() { return std::make_unique<Clockwork>(); }

}  // namespace

TEST_CASE("Periodic tasks come again, never overlap themselves, survive their errors, and are waited for at the end") {
  LifeWithDatabase life(&make_clockwork);
  CHECK(eventually(20s, [] { return fast >= 5 && slow >= 5 && failing >= 5; }));
  CHECK(life.end().code == 0);
  CHECK(most_inside == 1);
  CHECK(inside == 0);
  const int ran = fast;
  CHECK(always(50ms, [&] { return fast == ran; }));
}
