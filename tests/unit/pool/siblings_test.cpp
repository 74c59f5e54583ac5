// Two busy pools with one permit between them: found by the simulator (seeds 103 and 560).
#include "core_fixture.hpp"

using namespace sluice;
using namespace sluice::pool;
using namespace sluice::test;

namespace {

struct Pair {
  std::shared_ptr<PermitRows> permits = std::make_shared<PermitRows>(1);
  std::shared_ptr<Siblings> siblings = std::make_shared<Siblings>();
  CoreTest a{config::Pool{}, 1, permits, siblings};
  CoreTest b{config::Pool{}, 1, permits, siblings};
  Pair() {
    a.core->ready(a.now);
    b.core->ready(b.now);
  }
};

}  // namespace

TEST_CASE("a new connection serves somebody before its permit goes to the sibling that starves") {
  Pair p;
  TestWaiter& first = p.a.acquire();
  TestWaiter& other = p.b.acquire();
  p.a.finish_connect();
  REQUIRE(first.entry);
  CHECK(p.a.effects.closes.empty());
  p.a.give_back(*first.entry);
  REQUIRE(p.a.effects.closes.size() == 1);  // now it goes
  p.a.finish_close();
  p.b.finish_connect();
  CHECK(other.entry);
}

TEST_CASE("two pools that both starve take turns at their only permit") {
  Pair p;
  TestWaiter& a1 = p.a.acquire();
  TestWaiter& a2 = p.a.acquire();
  TestWaiter& b1 = p.b.acquire();
  p.a.finish_connect();
  p.a.give_back(*a1.entry);
  p.a.finish_close();
  CHECK(p.a.effects.connects.empty());  // it has just had it
  REQUIRE(p.b.effects.connects.size() == 1);
  p.b.finish_connect();
  REQUIRE(b1.entry);
  TestWaiter& b2 = p.b.acquire();
  p.b.give_back(*b1.entry);
  p.b.finish_close();
  CHECK(p.b.effects.connects.empty());
  REQUIRE(p.a.effects.connects.size() == 1);
  p.a.finish_connect();
  CHECK(a2.entry);
  CHECK_FALSE(b2.answered());
}
