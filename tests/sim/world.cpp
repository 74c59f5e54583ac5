#include <sim/janitor.hpp>
#include <sim/master.hpp>
#include <sim/worker.hpp>
#include <sim/world.hpp>

#include <sluice/budget/governor.hpp>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace sluice::sim {

World* World::only = nullptr;

World::World(const Scenario& scenario, Stacks& stacks, Coverage& coverage, bool trace)
    : scenario_(scenario), stacks_(stacks), coverage_(coverage), trace_(trace), random_(scenario.seed), database_(*this, scenario.traits) {
  only = this;
  budget::step_listener = &World::on_step;
  started_ = now_;
  for (std::uint32_t i = 0; i < scenario.instances; ++i) {
    instances_.push_back(std::make_unique<Instance>());
    instances_.back()->index = i;
    push(random_.between(0ms, 1ms), Topic::fleet, {i, 1});
  }
  push(random_.between(20ms, scenario.faults.every), Topic::fault);
  push(scenario.chaos, Topic::phase);
}

World::~World() {
  budget::step_listener = nullptr;
  only = nullptr;
}

Outcome World::run() {
  stacks_.run([this] { return step(); });
  outcome_.simulated = now_ - started_;
  return std::move(outcome_);
}

// ---- time

void World::push(Duration after, Topic topic, ProcessId process, Message message) {
  events_.push_back({now_ + after, ++last_order_, topic, process, message});
  std::push_heap(events_.begin(), events_.end());
}

void World::send(ProcessId to, Duration after, Message message) {
  Outside outside;
  push(after, Topic::message, to, message);
}

void World::later(Duration after, Database::Does does, Database::Handle session) {
  Outside outside;
  push(after, Topic::database, {}, {To::boot, static_cast<std::uint64_t>(does), session});
}

// A ring is a hint: it may be lost.
void World::ring(std::uint32_t instance, std::uint32_t slot) {
  if (random_.chance(scenario_.faults.lost_rings)) return;
  const auto& workers = instances_[instance]->workers;
  if (slot < workers.size() && workers[slot]) send(workers[slot], random_.between(1us, 40us), {To::ring});
}

// One event. False: the end. It runs on whatever stack is free.
bool World::step() {
  Arena::current = nullptr;
  running_ = nullptr;
  if (phase_ == Phase::over || !outcome_.failure.empty() || events_.empty()) {
    if (phase_ != Phase::over && outcome_.failure.empty()) fail("nothing happens any more");
    for (const auto& p : processes_) {
      if (p && p->stack) stacks_.drop(p->stack);
    }
    processes_.clear();
    return false;
  }
  std::pop_heap(events_.begin(), events_.end());
  const Event event = events_.back();
  events_.pop_back();
  now_ = event.at;
  ++outcome_.steps;
  dispatch(event);
  return true;
}

void World::dispatch(const Event& event) {
  switch (event.topic) {
    case Topic::message:
      if (Process* p = find(event.process)) {
        if (p->stopped)
          p->inbox.push_back(event.message);
        else
          deliver(*p, event.message);
      }
      return;
    case Topic::resume:
      if (Process* p = find(event.process)) resume(*p);
      return;
    case Topic::kill:
      if (find(event.process)) kill(event.process);
      return;
    case Topic::database: return database_.handle(static_cast<Database::Does>(event.message.a), event.message.b);
    case Topic::fault: return fault();
    case Topic::phase: return next_phase();
    case Topic::fleet: return start_fleet(event.process.index);
  }
}

// ---- processes

Process* World::find(ProcessId id) const {
  if (!id || id.index >= processes_.size()) return nullptr;
  Process* p = processes_[id.index].get();
  return p && p->id == id ? p : nullptr;
}

void World::deliver(Process& process, const Message& message) {
  if (faults_ && random_.chance(scenario_.faults.pause * 0.2)) {  // before it comes to anything: SIGSTOP between two messages
    process.inbox.push_back(message);
    process.stopped = true;
    process.stopped_since = now_;
    push(random_.chance(scenario_.faults.long_pause) ? random_.between(1ms, 1s) : random_.between(1us, 2ms), Topic::resume, process.id);
    return;
  }
  running_ = &process;
  Arena::current = &process.arena;
  process.program->handle(message);
  if (process.leaving) delete std::exchange(process.program, nullptr);
  Arena::current = nullptr;
  running_ = nullptr;
  if (process.leaving) reap(process, false);
}

void World::resume(Process& process) {
  process.stopped = false;
  for (const Message& m : process.inbox) push(Duration::zero(), Topic::message, process.id, m);
  process.inbox.clear();
  if (process.stack) stacks_.resume(std::exchange(process.stack, nullptr));
}

Duration World::stopped_for(ProcessId id) const {
  const Process* p = find(id);
  return p && p->stopped ? now_ - p->stopped_since : Duration::zero();
}

void World::leave() { running_->leaving = true; }

Process& World::make(std::uint32_t instance, Actor actor, budget::Life life, std::uint32_t host) {
  std::uint32_t index = static_cast<std::uint32_t>(processes_.size());
  if (unused_.empty()) {
    processes_.emplace_back();
  } else {
    index = unused_.back();
    unused_.pop_back();
  }
  processes_[index] = std::make_unique<Process>();
  Process& p = *processes_[index];
  p.id = {index, ++last_serial_};
  p.actor = actor;
  p.instance = instance;
  p.host = host;
  p.life = life;
  ++instances_[instance]->processes;
  return p;
}

ProcessId World::spawn_worker(std::uint32_t instance, std::uint32_t slot, std::uint64_t generation, std::uint32_t host) {
  Outside outside;
  Instance& in = *instances_[instance];
  if (std::count(in.dead_hosts.begin(), in.dead_hosts.end(), host) > 0) {  // the master has not heard of it yet
    in.workers[slot] = {};
    push(random_.between(10us, 1ms), Topic::message, in.master, {To::exited, host, 1});
    return {};
  }
  Process& p = make(instance, Actor::worker, {static_cast<std::uint16_t>(slot), generation}, host);
  trace("instance ", instance, ": worker ", slot, '.', generation, " starts in host ", host);
  in.workers[slot] = p.id;
  return start(p, random_.between(100us, 3ms), [&](ProcessId id) { return new Worker(*this, instance, id, p.life); });
}

ProcessId World::spawn_janitor(std::uint32_t instance, std::uint64_t generation) {
  Outside outside;
  Process& p = make(instance, Actor::janitor, {budget::janitor_slot, generation}, new_host());
  trace("instance ", instance, ": janitor ", generation, " starts");
  instances_[instance]->janitor = p.id;
  return start(p, random_.between(100us, 3ms), [&](ProcessId id) { return new Janitor(*this, instance, id, generation); });
}

void World::kill_host(std::uint32_t instance, std::uint32_t host) {
  Outside outside;
  for (std::size_t i = 0; i < processes_.size(); ++i) {
    const Process* p = processes_[i].get();
    if (p && p->instance == instance && p->host == host && p != running_) kill(p->id);
  }
}

void World::kill(ProcessId id) {
  Outside outside;
  Process* process = find(id);
  if (!process) return;
  ++outcome_.kills;
  trace("KILL ", to_text(process->actor), ' ', process->life.slot, '.', process->life.generation, " of instance ", process->instance);
  const std::uint32_t host = process->host, instance = process->instance;
  const bool worker = process->actor == Actor::worker;
  if (worker && scenario_.threads > 1) instances_[instance]->dead_hosts.push_back(host);
  reap(*process, true);
  if (!worker || scenario_.threads == 1) return;
  for (std::size_t i = 0; i < processes_.size(); ++i) {  // threads of one process die together
    Process* other = processes_[i].get();
    if (other && other->instance == instance && other->host == host) reap(*other, true);
  }
}

void World::reap(Process& process, bool killed) {
  Instance& in = *instances_[process.instance];
  const ProcessId id = process.id;
  const Actor actor = process.actor;
  const budget::Life life = process.life;
  const std::uint32_t host = process.host;
  database_.client_died(id);
  if (process.stack) stacks_.drop(process.stack);
  processes_[id.index].reset();
  unused_.push_back(id.index);
  --in.processes;
  if (actor == Actor::master) {
    in.clean = !killed;
    if (killed) {
      // The kernel ends its children, one after the other.
      for (const auto& p : processes_) {
        if (p && p->instance == in.index) push(random_.between(0ms, 2ms), Topic::kill, p->id);
      }
    }
  } else if (find(in.master)) {
    // A thread says that it has ended; a process is reaped.
    const bool thread = actor == Actor::worker && scenario_.threads > 1 && !killed;
    const Message news = thread ? Message{To::ended, life.slot, life.generation} : Message{To::exited, host, static_cast<std::uint64_t>(killed)};
    push(random_.between(10us, 1ms), Topic::message, in.master, news);
  }
  if (in.processes == 0 && !find(in.master)) {
    if (phase_ == Phase::ending && in.clean)
      in.finished = true;
    else
      push(random_.between(1ms, 30ms), Topic::fleet, {in.index, 1});
  }
}

void World::fail(std::string why) {
  Outside outside;
  if (!outcome_.failure.empty()) return;
  outcome_.failure = std::move(why);
  trace("FAILED: ", outcome_.failure);
}

void World::print(const std::string& line) const {
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(now_ - started_).count();
  std::printf("%10.3f ms  %s\n", static_cast<double>(micros) / 1000, line.c_str());
}

// ---- sessions

bool World::is_connecting(const Tag& tag) const {
  const Instance& in = *instances_[tag.instance];
  return in.fleet == tag.fleet && in.ledger.owner(tag.row) == budget::Owner{RowState::connecting, tag.life};
}

void World::session_began(const Tag& tag) {
  Outside outside;
  Instance& in = *instances_[tag.instance];
  outcome_.most_sessions = std::max(outcome_.most_sessions, database_.sessions());
  if (tag.fleet == in.fleet) {
    const budget::Owner owner = in.ledger.owner(tag.row);
    const bool covered = owner.life == tag.life && (owner.state == RowState::connecting || owner.state == RowState::quarantined);
    if (!covered) fail(text("a session begins on row ", tag.row, ", which is ", to_text(owner.state)));
    in.ledger.session(tag.row, 1);
    if (in.ledger.sessions(tag.row) > 1) fail(text("two sessions on row ", tag.row));
  } else {
    ++in.earlier_sessions;
  }
  std::uint32_t allowed = 0;
  for (const auto& i : instances_) allowed += std::max(i->ledger.ceiling(), i->earlier_sessions > 0 ? i->earlier_ceiling : 0);
  trace("session of instance ", tag.instance, " row ", tag.row, " life ", tag.life.slot, '.', tag.life.generation, " begins: ", database_.sessions(), " of ", allowed);
  if (database_.sessions() > allowed) fail(text(database_.sessions(), " sessions where the budget is ", allowed));
}

void World::session_ended(const Tag& tag) {
  Outside outside;
  Instance& in = *instances_[tag.instance];
  trace("session of instance ", tag.instance, " row ", tag.row, " life ", tag.life.slot, '.', tag.life.generation, " is gone");
  if (tag.fleet == in.fleet)
    in.ledger.session(tag.row, -1);
  else
    --in.earlier_sessions;
}

// When a connect has begun. Cluster-wide: not more at once than max_connecting, whatever died or was given up beside them; and while the
// server is known to be down, none but this one, and not before its time.
void World::check_connects(std::uint32_t instance) {
  Outside outside;
  if (instances_.size() > 2) return;
  const std::uint32_t n = database_.connecting(instance);
  if (n > scenario_.server.max_connecting) fail(text(n, " connects at once where max_connecting is ", scenario_.server.max_connecting));
  const auto outage = budget::Outage::unpack(instances_[instance]->segment->servers()[0].outage.load());
  if (outage.failures == 0) return;
  if (n > 1) fail(text("a connect to a server that is down begins beside ", n - 1, " others"));
  if (now_ < from_nanos(outage.probe_at_millis * 1'000'000)) fail("a connect to a server that is down begins before its time");
}

}  // namespace sluice::sim
