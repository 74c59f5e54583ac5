// A pool that follows its load.
#include "core_fixture.hpp"

#include <sluice/pool/adaptive.hpp>

using namespace sluice;
using namespace sluice::pool;
using namespace sluice::test;

TEST_CASE("the size follows the load outside of the thresholds, and stays as it is between them") {
  const AdaptiveRule rule{0.7, 0.8, 0.3};
  CHECK(adapted_size({7, 7}, 0, 100, rule) == 10);    // all busy: up to the target
  CHECK(adapted_size({8, 10}, 0, 100, rule) == 10);   // at the threshold
  CHECK(adapted_size({8.1, 10}, 0, 100, rule) == 12);
  CHECK(adapted_size({3, 10}, 0, 100, rule) == 10);   // at the other one
  CHECK(adapted_size({2.8, 10}, 0, 100, rule) == 4);
  CHECK(adapted_size({0, 10}, 0, 100, rule) == 0);
  CHECK(adapted_size({0, 10}, 3, 100, rule) == 3);    // never below the least
  CHECK(adapted_size({90, 90}, 0, 100, rule) == 100); // nor above the most
  CHECK(adapted_size({5, 0}, 0, 100, rule) == 8);     // waiters without any connection
  CHECK(adapted_size({0, 0}, 0, 100, rule) == 0);
  CHECK(adapted_size({0, 10}, 0, 100, {0.7, 0.8, 0}) == 10);  // down 0: never smaller
}

namespace {

struct AdaptiveTest : CoreTest {
  static config::Pool options(void (*set)(config::Pool&)) {
    config::Pool o;
    o.max = 20;
    o.adaptive = true;
    o.adaptive_every = 2s;
    set(o);
    return o;
  }
  explicit AdaptiveTest(void (*set)(config::Pool&) = [](config::Pool&) {}) : CoreTest(options(set), 32) { core->ready(now); }
  // So many leased out of so many open, long enough for a period of this load only.
  void load(int leased_ones, int open) {
    std::vector<PoolEntry*> all;
    for (int i = 0; i < open; ++i) all.push_back(&leased());
    for (int i = leased_ones; i < open; ++i) give_back(*all[static_cast<std::size_t>(i)]);
    pass(200ms);
    pass(2s + 200ms);
  }
  std::uint32_t connects() const { return static_cast<std::uint32_t>(effects.connects.size()); }
  std::uint32_t closes() const { return static_cast<std::uint32_t>(effects.closes.size()); }
};

}  // namespace

TEST_CASE("option adaptive.enabled: a busy pool opens ahead of its callers, an idle one shrinks to min_idle") {
  AdaptiveTest t([](config::Pool& o) { o.min_idle = 1; });
  t.load(7, 7);
  CHECK(t.connects() == 3);
  while (t.connects() > 0) t.finish_connect();
  CHECK(t.core->numbers().idle == 3);
  std::vector<PoolEntry*> held;
  for (const PoolEntry& e : t.core->entries()) {
    if (e.state == EntryState::leased) held.push_back(const_cast<PoolEntry*>(&e));
  }
  for (PoolEntry* e : held) t.give_back(*e);
  t.pass(5s);
  CHECK(t.closes() == 9);
  CHECK(t.core->numbers().idle == 1);
}

TEST_CASE("option adaptive.target: the part that is to be busy") {
  AdaptiveTest t([](config::Pool& o) { o.adaptive_target = 0.5; });
  t.load(4, 4);
  CHECK(t.connects() == 4);
}

TEST_CASE("option adaptive.up: the part above which the pool grows") {
  AdaptiveTest t([](config::Pool& o) { o.adaptive_up = 0.95; });
  t.load(9, 10);
  CHECK(t.connects() == 0);
}

TEST_CASE("option adaptive.down: the part below which the pool shrinks") {
  AdaptiveTest t([](config::Pool& o) { o.adaptive_down = 0.6; });
  t.load(5, 10);
  CHECK(t.closes() == 2);
}

TEST_CASE("option adaptive.every: the length of a period") {
  AdaptiveTest t([](config::Pool& o) { o.adaptive_every = 5s; });
  t.load(7, 7);
  CHECK(t.connects() == 0);
  t.pass(3s);
  CHECK(t.connects() == 3);
}
