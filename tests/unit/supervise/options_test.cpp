// The options of a server as the master goes by them.
#include <sluice/supervise/budget_keeper.hpp>

#include <doctest/doctest.h>

using namespace sluice;
using namespace sluice::supervise;

namespace {

constexpr unsigned slots = 8;

struct Fixture {
  explicit Fixture(config::Server options) : segment(make()), keeper(segment, {named(std::move(options))}, {false}, false) {}

  static shm::Segment make() {
    shm::Shape shape;
    shape.max_workers = slots;
    shape.servers = {{"main", 64}};
    return shm::Segment::create(shape);
  }
  static config::Server named(config::Server options) {
    options.name = "main";
    return options;
  }
  // After the server has said that it takes 50 and keeps 10 for itself; two workers.
  unsigned budget() {
    shm::Server& s = segment.servers()[0];
    s.max_connections.set(50);
    s.reserved.set(10);
    s.answered.set(1);
    const bool active[slots] = {true, true}, draining[slots] = {};
    keeper.tick(1, {active, slots}, {draining, slots}, [](budget::Life) { return false; });
    return static_cast<unsigned>(s.budget.get());
  }

  shm::Segment segment;
  BudgetKeeper keeper;
};

template <class Set>
config::Server with(Set set) {
  config::Server options;
  set(options);
  return options;
}

}  // namespace

TEST_CASE("option total: a number is the budget; auto is what the server leaves") {
  CHECK(Fixture(with([](config::Server&) {})).budget() == 32);
  CHECK(Fixture(with([](config::Server& o) { o.total = 20; })).budget() == 20);
}

TEST_CASE("option headroom: the share that auto leaves free") { CHECK(Fixture(with([](config::Server& o) { o.headroom = 0.5; })).budget() == 20); }

TEST_CASE("option instances: each gets its part") { CHECK(Fixture(with([](config::Server& o) { o.instances = 4; })).budget() == 8); }

TEST_CASE("option floor: so many permits that a worker can always get back") {
  Fixture f(with([](config::Server& o) { o.floor = 3; }));
  f.budget();
  CHECK(f.segment.servers()[0].floor == 3);
  Fixture too_many(with([](config::Server& o) { o.floor = 30; }));
  CHECK(too_many.budget() == 0);  // two workers, 60 permits: refused
}

TEST_CASE("option elastic and max_connecting: what workers go by") {
  Fixture f(with([](config::Server& o) {
    o.elastic = !config::Server{}.elastic;
    o.max_connecting = 7;
  }));
  CHECK((f.segment.servers()[0].elastic != 0) == !config::Server{}.elastic);
  CHECK(f.segment.servers()[0].max_connecting == 7);
}

TEST_CASE("option via: behind a proxy nobody is asked") {
  Fixture f(with([](config::Server& o) {
    o.via = config::Via::proxy;
    o.total = 20;
  }));
  CHECK(f.segment.servers()[0].via_proxy);
}
