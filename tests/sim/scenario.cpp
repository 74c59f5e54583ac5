#include <sim/random.hpp>
#include <sim/scenario.hpp>
#include <sim/transitions.hpp>

#include <algorithm>

namespace sluice::sim {
namespace {

// Small numbers, so that rare meetings are frequent, and times in proportion to each other as in real fleets.
config::Pool pool_of(Random& random) {
  config::Pool o;
  o.name = "main";
  o.server = "db";
  o.min_idle = random.chance(0.3) ? random.from(1, 2) : 0;
  o.warm_up = random.chance(0.5);
  if (random.chance(0.2)) o.max = random.from(1, 4);
  o.acquire_timeout = random.chance(0.3) ? random.between(20ms, 200ms) : Duration(10s);
  o.connect_timeout = random.between(20ms, 150ms);
  o.connect_backoff_min = random.between(5ms, 30ms);
  o.connect_backoff_max = random.between(50ms, 300ms);
  o.idle_timeout = random.chance(0.5) ? random.between(100ms, 1s) : Duration(10min);
  o.soft_idle_timeout = random.chance(0.2) ? random.between(50ms, 500ms) : Duration(0);
  o.max_lifetime = random.chance(0.4) ? random.between(100ms, 1s) : Duration(30min);
  o.max_uses = random.chance(0.2) ? random.from(3, 30) : 0;
  o.validate_after = random.chance(0.5) ? random.between(5ms, 100ms) : Duration(1s);
  o.keepalive = random.chance(0.3) ? random.between(100ms, 500ms) : Duration(2min);
  o.reset_on_return = random.chance(0.1) ? config::ResetOnReturn::always : config::ResetOnReturn::automatic;
  o.reuse = random.chance(0.7) ? config::Reuse::lifo : config::Reuse::fifo;
  o.close_timeout = random.between(20ms, 200ms);
  return o;
}

config::Server server_of(Random& random, const Scenario& s) {
  config::Server o;
  o.name = "db";
  o.floor = random.chance(0.8) ? 1 : 2;
  o.elastic = random.chance(0.85);
  o.lend_idle = random.between(1ms, 40ms);
  o.borrow_after = random.between(0ms, 8ms);
  o.max_connecting = random.from(1, 3);
  o.capacity = 24;
  o.instances = s.instances;
  o.headroom = 0;
  const std::uint32_t least = s.slots * o.floor + 1;
  o.total = s.instances * std::min(o.capacity, least + random.below(8));
  return o;
}

// What rarely happens by itself is made likely in the seeds that are for it.
void favour(Scenario& s, const Transition& t) {
  if (t.step == "accept" || t.step == "accept back" || t.step == "grant" || t.from == RowState::granted) {
    s.server.elastic = true;
    s.load.skew = 8;
    s.load.clients = 4;
  }
  if (t.step == "accept back") {
    // Others must claim while somebody is about to accept: many connects, one of which may run.
    s.server.max_connecting = 1;
    s.server.lend_idle = 1ms;
    s.server.borrow_after = 0ms;
    s.pool.max_lifetime = 40ms;
    s.pool.max.reset();
    s.load.think = 8ms;
    s.faults.linger = "accept";
    s.faults.hit = 1;
    s.traits.stuck = 0;
    s.traits.bad_connect = 0.03;
  }
  if (t.actor == Actor::worker && t.to == RowState::quarantined) {
    if (t.from == RowState::leased) s.load.leak = 0.1;
    if (t.from == RowState::idle) s.traits.stuck = 0.1, s.pool.validate_after = 1ms;
  }
}

}  // namespace

Scenario scenario_of(std::uint64_t seed) {
  Random random(seed * 0x2545f4914f6cdd1dULL);
  Scenario s;
  s.seed = seed;
  s.instances = random.chance(0.06) ? 2 : 1;
  s.slots = random.from(2, s.instances == 1 ? 5 : 3);
  s.workers = random.from(1, s.slots);
  s.threads = random.chance(0.25) ? 2 : 1;
  s.pools = random.chance(0.2) ? 2 : 1;
  s.server = server_of(random, s);
  s.pool = pool_of(random);
  s.restart.backoff_min = random.between(1ms, 30ms);
  s.restart.backoff_max = 100ms;
  s.restart.healthy_after = random.between(50ms, 500ms);
  s.restart.breaker_deaths = 0;

  s.load.clients = random.from(1, 4);
  s.load.think = random.between(5ms, 60ms);
  s.load.hold = random.between(1ms, 25ms);
  s.load.skew = random.chance(0.4) ? 8 : 1;
  s.load.burst = random.chance(0.4) ? random.between(50ms, 300ms) : Duration(0);

  s.traits.authentication_timeout = random.between(50ms, 300ms);
  s.traits.check_interval = random.between(10ms, 200ms);
  s.traits.slow_exit = random.chance(0.5) ? 0.03 : 0.3;
  s.traits.bad_connect = random.chance(0.5) ? 0.03 : 0.2;
  s.traits.stuck = random.chance(0.5) ? 0 : 0.03;
  s.traits.reset = random.chance(0.5) ? 0.01 : 0.15;

  s.faults.pause = random.chance(0.5) ? 0.01 : 0.08;
  s.faults.long_pause = random.chance(0.5) ? 0.01 : 0.1;
  s.faults.kill = random.chance(0.5) ? 0.0003 : 0.002;
  s.faults.every = random.between(60ms, 400ms);
  s.faults.lost_rings = random.chance(0.5) ? 0 : 0.5;
  s.faults.target = static_cast<std::uint32_t>(seed % (2 * transitions.size()));
  s.load.leak = random.chance(0.3) ? 0.01 : 0;
  s.chaos = random.between(600ms, 1500ms);
  favour(s, transitions[*s.faults.target / 2]);
  if (random.chance(0.15)) s.busy = 3s;  // not always: a full load takes most of the time
  return s;
}

Scenario crowd(std::uint64_t seed, std::uint32_t instances, std::uint32_t workers) {
  Scenario s = scenario_of(seed);
  s.instances = instances;
  s.slots = s.workers = workers;
  s.threads = s.pools = 1;
  s.server.floor = 1;
  s.server.elastic = true;
  s.server.instances = instances;
  s.server.capacity = 2 * workers;
  s.server.total = instances * (workers + workers / 4 + 1);
  s.server.max_connecting = 8;
  s.load = Load{.clients = 2, .think = 60ms, .hold = 5ms, .skew = 4, .burst = 0ms};
  s.faults.kill = 0.00001;
  s.faults.pause = 0.001;
  s.faults.long_pause = 0.01;
  s.faults.every = 1ms;
  s.faults.target.reset();
  s.faults.unclean_restarts = true;
  s.chaos = 400ms;
  s.busy = 0ms;
  s.calm = patience + 100ms;
  return s;
}

}  // namespace sluice::sim
