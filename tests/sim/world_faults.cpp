// What goes wrong, when it ends, and what must hold then.
#include <sim/master.hpp>
#include <sim/worker.hpp>
#include <sim/world.hpp>

#include <algorithm>

namespace sluice::sim {
namespace {

constexpr Duration look_every = 100ms;      // while it is quiet
constexpr Duration busy_look_every = 20ms;
constexpr Duration ending_takes = 8s;       // at most: grace periods, then what the janitor has to confirm

}  // namespace

void World::start_fleet(std::uint32_t index) {
  Instance& in = *instances_[index];
  if (find(in.master) || in.processes > 0) return;
  ++outcome_.fleets;
  const bool unclean = !in.clean;
  shm::Shape shape;
  shape.max_workers = scenario_.slots;
  shape.kinds = {"web"};
  shape.servers = {{"db", scenario_.server.capacity}};
  for (std::uint32_t i = 0; i < scenario_.pools; ++i) shape.pools.push_back({"main", "sim", 0, 0});
  in.earlier_ceiling = in.ledger.ceiling();
  in.earlier_sessions = database_.sessions_of(index);
  in.segment.reset();
  in.segment.emplace(shm::Segment::create(shape));
  in.segment->header().started_nanos = to_nanos(now_);
  ++in.fleet;
  in.ledger.begin(in.segment->rows(0));
  in.workers.assign(scenario_.slots, {});
  in.janitor = {};
  in.dead_hosts.clear();
  trace("instance ", index, ": fleet ", in.fleet, unclean ? " starts after an unclean end" : " starts");
  Process& p = make(index, Actor::master, {}, new_host());
  in.master = p.id;
  start(p, Duration::zero(), [&](ProcessId id) { return new Master(*this, index, id, unclean); });
}

// ---- chaos

void World::fault() {
  if (!faults_) return;
  push(random_.between(scenario_.faults.every / 2, scenario_.faults.every * 2), Topic::fault);
  Instance& in = *instances_[random_.below(static_cast<std::uint32_t>(instances_.size()))];
  const config::Server& server = scenario_.server;
  switch (random_.below(11)) {
    case 0:
    case 1:
    case 2: return kill_something();
    case 3:
    case 4: return send(in.master, 1us, {To::scale, random_.from(1, scenario_.slots)});
    case 5:
    case 6: {
      // Any total that the fleet may have, the configured one now and then.
      const std::uint32_t least = scenario_.slots * server.floor + 1;
      const std::uint32_t total = random_.chance(0.2) ? 0 : scenario_.instances * random_.from(least, server.capacity);
      trace("wish: total ", total);
      return send(in.master, 1us, {To::wish, total});
    }
    case 7:
      trace("the server restarts");
      return database_.restart(random_.between(1ms, 300ms));
    case 8:
      trace("the network is cut");
      return database_.cut(random_.between(1ms, 400ms));
    case 9:
      trace("a rolling restart");
      return send(in.master, 1us, {To::restart});
    default: {
      if (scenario_.faults.unclean_restarts && random_.chance(0.5)) return kill(in.master);
      return kill(in.janitor);
    }
  }
}

void World::kill_something() {
  std::vector<ProcessId> living;
  for (const auto& p : processes_) {
    if (p && p->actor == Actor::worker) living.push_back(p->id);
  }
  if (!living.empty()) kill(living[random_.below(static_cast<std::uint32_t>(living.size()))]);
}

// ---- chaos → busy (some seeds) → quiet → ending → over

void World::next_phase() {
  switch (phase_) {
    case Phase::chaos:
      if (outcome_.kills == 0) {  // every seed kills
        kill_something();
        return push(10ms, Topic::phase);
      }
      calm_down();
      if (scenario_.busy > Duration::zero()) {
        phase_ = Phase::busy;
        crowd_in();
        return push(busy_look_every, Topic::phase);
      }
      phase_ = Phase::quiet;
      return push(look_every, Topic::phase);
    case Phase::busy:
      for (const auto& in : instances_) check_busy(*in);
      if (now_ - calm_since_ < scenario_.busy) return push(busy_look_every, Topic::phase);
      phase_ = Phase::quiet;
      trace("quiet from here");
      return push(look_every, Topic::phase);
    case Phase::quiet:
      for (const auto& in : instances_) {
        if (now_ - calm_since_ >= patience) check_quiet(*in);
      }
      if (now_ - calm_since_ >= scenario_.calm && outcome_.steps >= least_steps) {
        phase_ = Phase::ending;
        ending_since_ = now_;
        trace("the fleets are stopped");
        for (const auto& in : instances_) send(in->master, 1us, {To::finish});
      }
      return push(look_every, Topic::phase);
    case Phase::ending:
      if (std::all_of(instances_.begin(), instances_.end(), [](const auto& in) { return in->finished; })) return check_end();
      if (now_ - ending_since_ > ending_takes) return fail("a fleet does not end");
      return push(look_every, Topic::phase);
    case Phase::over: return;
  }
}

void World::calm_down() {
  calm_since_ = now_;
  faults_ = false;
  database_.calm();
  trace("no faults from here");
  for (const auto& p : processes_) {
    if (p && p->stopped) push(Duration::zero(), Topic::resume, p->id);
  }
}

// Long after the last fault: nobody starves, every floor is reached, no permit is lost on the way.
void World::check_quiet(Instance& in) {
  const Process* master = find(in.master);
  if (!master) return fail(text("instance ", in.index, " has no master"));
  if (static_cast<const Master*>(master->program)->rollout().running()) return fail("a rolling restart does not end");
  const auto stuck = [this](TimePoint since) { return since != TimePoint::max() && now_ - std::max(since, calm_since_) >= patience; };
  const auto budget = static_cast<std::uint32_t>(in.segment->servers()[0].budget.get());
  if (in.ledger.enabled() != budget) return fail(text(in.ledger.enabled(), " rows are enabled, the budget is ", budget));
  for (std::uint32_t row = 0; row < in.ledger.size(); ++row) {
    const RowState s = in.ledger.owner(row).state;
    const bool passing = s == RowState::granted || s == RowState::connecting || s == RowState::closing || s == RowState::quarantined;
    if (passing && stuck(in.ledger.changed_at(row))) return fail(text("row ", row, " stays ", budget::to_text(s)));
  }
  std::uint32_t waiting_slot = ~0u;
  for (std::uint32_t slot = 0; slot < in.workers.size(); ++slot) {
    const Process* p = find(in.workers[slot]);
    if (!p || !p->program) continue;
    const auto wish = static_cast<const Worker*>(p->program)->wish();
    if (!stuck(wish.since)) continue;
    waiting_slot = slot;
    if (wish.held < wish.floor) return fail(text("slot ", slot, " waits and does not reach its floor: holds ", wish.held, " of ", wish.floor));
  }
  if (waiting_slot != ~0u) fail(text("slot ", waiting_slot, ": a caller starves"));
}

void World::check_end() {
  for (const auto& in : instances_) {
    if (database_.sessions_of(in->index) > 0) return fail(text("instance ", in->index, " has ended cleanly and left ", database_.sessions_of(in->index), " sessions"));
    const auto budget = static_cast<std::uint32_t>(in->segment->servers()[0].budget.get());
    if (in->ledger.count(RowState::free) != budget || in->ledger.enabled() != budget)
      return fail(text("at the end ", in->ledger.count(RowState::free), " rows are free, the budget is ", budget));
  }
  phase_ = Phase::over;
}

}  // namespace sluice::sim
