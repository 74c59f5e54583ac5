// One pool of a simulated worker, with its callers: what the real PoolCore sees of the world. Included by worker.cpp only.
#pragma once

#include <sim/worker.hpp>
#include <sim/world.hpp>

#include <algorithm>
#include <deque>
#include <utility>

namespace sluice::sim {

inline constexpr std::uint32_t site = 1;  // of every lease

// Mostly near `d`, sometimes far from it.
inline Duration spread(Random& random, Duration d) { return random.between(d / 4, d * 2); }

struct Worker::Connection final : pool::Connection {
  Connection(World& w, Database::Handle h) : world(w), handle(h) {}
  ~Connection() override {
    if (handle != 0) world.database().hang_up(handle);  // dropped without a goodbye
  }
  World& world;
  Database::Handle handle;
};

// One pool and its callers.
class Worker::Box final : private pool::PoolEffects {
 public:
  struct Client : pool::Waiter {
    enum { thinking, waiting, holding } state = thinking;
    pool::PoolEntry* entry = nullptr;
    TimePoint wanted_since = TimePoint::max();
  };

  Box(Worker& worker, std::uint32_t number, const config::Pool& options, shm::PoolStats& stats, std::uint64_t seed)
      : worker_(worker), world_(worker.world_), number_(number), core(settings(options, seed), *this, worker.share_, worker.siblings_, stats) {
    clients_.resize(world_.scenario().load.clients);
  }

  void boot() {
    core.ready(world_.now());
    if (core.options().warm_up) core.warm_up(1, world_.now());
    for (std::uint32_t i = 0; i < clients_.size(); ++i) again(i, think());
  }

  void tick(std::uint64_t armed_for) {
    if (static_cast<std::int64_t>(armed_for) != to_nanos(armed_for_)) return;  // another, earlier one has replaced it
    armed_for_ = TimePoint::max();
    if (core.established() > 0) core.warm_up(0, world_.now());
    core.tick(world_.now());
  }

  // A caller's next move.
  void act(std::uint32_t number) {
    Client& c = clients_[number];
    const TimePoint now = world_.now();
    if (c.state == Client::holding) return give_back(number, c);
    if (c.state == Client::waiting || world_.phase() == Phase::ending || worker_.draining_) return;
    if (c.wanted_since == TimePoint::max()) c.wanted_since = now;
    core.start_checkout();
    if (pool::PoolEntry* entry = core.try_lease(now, site)) return hold(c, *entry);
    if (core.refusal()) return again(number, think());
    c.since = now;
    c.deadline = now + core.options().acquire_timeout;
    c.call_site = site;
    c.state = Client::waiting;
    core.enqueue(c, now);
  }

  TimePoint waits_since() const {
    TimePoint since = TimePoint::max();
    for (const Client& c : clients_) {
      if (c.state == Client::waiting) since = std::min(since, c.wanted_since);
    }
    return since;
  }
  // Leaves as a process that has no more time: callers are gone, connections too.
  void abandon_callers() {
    while (pool::Waiter* waiter = core.take_waiter()) static_cast<Client*>(waiter)->state = Client::thinking;
  }

 private:
  static pool::CoreSettings settings(const config::Pool& options, std::uint64_t seed) {
    pool::CoreSettings s;
    s.options = options;
    s.seed = seed;
    return s;
  }

  Duration think() {
    const Load& load = world_.scenario().load;
    Random& random = world_.random();
    Duration d = spread(random, load.think);
    if (load.skew > 1) d = worker_.life_.slot == 0 ? d / load.skew : d * 2;
    if (world_.phase() == Phase::quiet) return d * 8;
    if (load.burst > Duration::zero() && random.chance(0.5)) {  // together with the others
      const Duration into = world_.now().time_since_epoch() % load.burst;
      d = load.burst - into + random.between(0us, 100us);
    }
    return d;
  }
  void again(std::uint32_t client, Duration after) { world_.send(worker_.self_, after, {To::client, number_, client}); }
  std::uint32_t number_of(const Client& c) const {
    std::uint32_t n = 0;
    while (&clients_[n] != &c) ++n;
    return n;
  }

  void hold(Client& c, pool::PoolEntry& entry) {
    c.state = Client::holding;
    c.entry = &entry;
    c.wanted_since = TimePoint::max();
    world_.leased();
    world_.database().busy(static_cast<Connection&>(*entry.connection).handle, true);
    Random& random = world_.random();
    const Load& load = world_.scenario().load;
    const bool leaks = world_.phase() == Phase::chaos && random.chance(load.leak);
    again(number_of(c), leaks ? random.between(300ms, 1500ms) : spread(random, load.hold));
  }

  void give_back(std::uint32_t number, Client& c) {
    auto& connection = static_cast<Connection&>(*c.entry->connection);
    world_.database().busy(connection.handle, false);
    if (!world_.database().open(connection.handle)) connection.broken = true;
    if (world_.random().chance(0.1)) connection.dirty = true;
    c.state = Client::thinking;
    pool::PoolEntry& entry = *std::exchange(c.entry, nullptr);
    again(number, think());
    if (world_.random().chance(0.02))
      core.discard(entry, world_.now());
    else
      core.give_back(entry, world_.now());
  }

  // ---- effects

  void start_connect(pool::PoolEntry& entry, Deadline deadline) override {
    Operation& op = worker_.begin(Kind::connect, *this, entry, deadline);
    const Tag tag{worker_.instance_, world_.instance(worker_.instance_).fleet, entry.row, worker_.life_};
    op.session = world_.database().connect(worker_.self_, tag, op.number);
    worker_.check_claim();
  }
  void start_ping(pool::PoolEntry& entry, Deadline deadline) override { start_check(entry, deadline); }
  void start_reset(pool::PoolEntry& entry, Deadline deadline) override { start_check(entry, deadline); }
  void start_check(pool::PoolEntry& entry, Deadline deadline) {
    Operation& op = worker_.begin(Kind::check, *this, entry, deadline);
    op.session = static_cast<Connection&>(*entry.connection).handle;
    if (!world_.database().open(op.session)) return world_.send(worker_.self_, 100us, {To::answer, op.number, static_cast<std::uint64_t>(Answer::dead)});
    if (!op.stuck) world_.database().check(op.session, op.number);
  }
  void start_close(pool::PoolEntry& entry, Deadline deadline) override {
    Operation& op = worker_.begin(Kind::close, *this, entry, deadline);
    auto& connection = static_cast<Connection&>(*entry.connection);
    op.session = std::exchange(connection.handle, 0);
    entry.connection.reset();
    world_.database().goodbye(op.session, worker_.self_, op.number);
  }
  void serve(pool::Waiter& waiter, pool::PoolEntry& entry) override { hold(static_cast<Client&>(waiter), entry); }
  void refuse(pool::Waiter& waiter, pool::PoolError) override {
    auto& c = static_cast<Client&>(waiter);
    c.state = Client::thinking;
    again(number_of(c), 1ms);  // comes back, and remembers since when it wants one
  }
  void changed() noexcept override {}
  void wake_at(TimePoint when) override {
    if (when >= armed_for_) return;
    armed_for_ = when;
    world_.send(worker_.self_, std::max(when - world_.now(), Duration::zero()), {To::timer, number_, static_cast<std::uint64_t>(to_nanos(when))});
  }

  Worker& worker_;
  World& world_;
  std::uint32_t number_;
  std::deque<Client> clients_;
  TimePoint armed_for_ = TimePoint::max();

 public:
  pool::PoolCore core;
};

}  // namespace sluice::sim
