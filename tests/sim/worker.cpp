#include <sim/worker_box.hpp>

namespace sluice::sim {
namespace {

constexpr Duration cancel_takes = 20us;

}  // namespace

struct Worker::Cancel final : pool::Operation {
  Cancel(Worker& w, std::uint64_t n) : worker(w), number(n) {}
  // Later: the core must not be called back from its own calls.
  void cancel() noexcept override {
    worker.world_.send(worker.self_, cancel_takes, {To::answer, number, static_cast<std::uint64_t>(Answer::cancelled)});
  }
  Worker& worker;
  std::uint64_t number;
};

Worker::Worker(World& world, std::uint32_t instance, ProcessId self, budget::Life life) : world_(world), instance_(instance), self_(self), life_(life) {
  shm::Segment& segment = *world.instance(instance).segment;
  shm::Server& server = segment.servers()[0];
  const config::Server& options = world.scenario().server;
  budget::Terms terms;
  terms.limits = segment.limits(0);
  terms.wants = segment.wants(0);
  terms.floor = server.floor;
  terms.elastic = server.elastic != 0;
  terms.max_connecting = server.max_connecting;
  terms.server = &server;
  terms.lend_idle = options.lend_idle;
  terms.borrow_after = options.borrow_after;
  terms.ring = [&world, instance](std::uint32_t slot) { world.ring(instance, slot); };
  share_ = std::make_shared<budget::Share>(segment.rows(0), server.confirm, life, std::move(terms));
  siblings_ = std::make_shared<pool::Siblings>();
  for (std::uint32_t i = 0; i < world.scenario().pools; ++i)
    boxes_.emplace_back(*this, i, world.scenario().pool, segment.pool_stats(life.slot, i), world.scenario().seed * 31 + life.generation * 7 + life.slot * 3 + i);
}

Worker::~Worker() {
  for (Box& box : boxes_) box.abandon_callers();
}

void Worker::handle(const Message& m) {
  const TimePoint now = world_.now();
  limit_before_ = part();
  switch (m.to) {
    case To::boot:
      for (Box& box : boxes_) box.boot();
      world_.send(world_.instance(instance_).master, 50us, {To::ready, life_.slot, life_.generation});
      break;
    case To::client: boxes_[m.a].act(static_cast<std::uint32_t>(m.b)); break;
    case To::timer: boxes_[m.a].tick(m.b); break;
    case To::ring:
      for (Box& box : boxes_) box.core.rung(now);
      break;
    case To::answer: answer(m.a, static_cast<Answer>(m.b)); break;
    case To::drain:
      draining_ = true;
      for (Box& box : boxes_) box.core.close(now);
      break;
    case To::stop: return world_.leave();
    default: break;
  }
  if (draining_ && std::all_of(boxes_.begin(), boxes_.end(), [](const Box& b) { return b.core.empty(); })) world_.leave();
}

// ---- the driver

Worker::Operation& Worker::begin(Kind kind, Box& box, pool::PoolEntry& entry, Deadline deadline) {
  Operation& op = operations_.emplace_back();
  op.number = ++last_operation_;
  op.kind = kind;
  op.box = &box;
  op.entry = &entry;
  op.stuck = world_.database().stuck_operation();
  entry.operation = std::make_shared<Cancel>(*this, op.number);
  const auto tell = [&](Duration after, Answer what) { world_.send(self_, after, {To::answer, op.number, static_cast<std::uint64_t>(what)}); };
  const Duration left = deadline.at - world_.now();
  if (op.stuck) {
    tell(left + world_.random().between(100ms, 2s), Answer::late);
  } else {
    tell(left, Answer::deadline);
    if (kind == Kind::connect) tell(left + world_.scenario().pool.close_timeout, Answer::last_deadline);
  }
  return op;
}

void Worker::answer(std::uint64_t number, Answer what) {
  const auto it = std::find_if(operations_.begin(), operations_.end(), [number](const Operation& o) { return o.number == number; });
  if (it == operations_.end() || (it->stuck && what != Answer::late)) return;
  Operation& op = *it;
  const auto finish = [&] {
    const Operation done = op;
    operations_.erase(it);
    return done;
  };
  pool::PoolCore& core = op.box->core;
  const TimePoint now = world_.now();
  const bool usable = world_.database().open(op.session);
  switch (op.kind) {
    case Kind::connect:
      if (what == Answer::connected && !op.failed) return end_connect(finish(), true, false);
      if (what == Answer::late) return end_connect(finish(), usable, false);
      if (what == Answer::refused) return end_connect(finish(), false, true);
      if (what == Answer::ended) return end_connect(finish(), false, true);  // an orderly end of stream
      if (what == Answer::reset || what == Answer::last_deadline) return end_connect(finish(), false, false);
      if (what == Answer::denied || what == Answer::deadline || what == Answer::cancelled) {
        if (!op.failed) world_.database().hang_up(op.session, op.number);  // shut down, and wait for the end
        op.failed = true;
      }
      if (what == Answer::cancelled) end_connect(finish(), false, false);
      return;
    case Kind::check: {
      if (what == Answer::ended) return;
      const bool alive = what == Answer::alive || (what == Answer::late && usable);
      const Operation done = finish();
      if (!usable) static_cast<Connection&>(*done.entry->connection).broken = true;
      return core.checked(*done.entry, alive && usable, "no answer", now);
    }
    case Kind::close: {
      const bool gone = what == Answer::ended;
      return core.closed(*finish().entry, gone ? pool::CloseResult::confirmed : pool::CloseResult::unconfirmed, now);
    }
  }
}

void Worker::end_connect(Operation op, bool connected, bool released) {
  if (!connected) {
    world_.database().hang_up(op.session);
    return op.box->core.connect_failed(*op.entry, "the simulated server did not let us in", released, world_.now());
  }
  auto connection = std::make_unique<Connection>(world_, op.session);
  connection->session = world_.database().id(op.session);
  connection->session_birth = world_.database().birth(op.session);
  op.box->core.connected(*op.entry, std::move(connection), world_.now());
}

// ---- invariants

// What the master has written for this slot, read here and not through the share: that one is on trial.
std::uint32_t Worker::part() const { return world_.instance(instance_).segment->limits(0)[life_.slot].load(); }

// Without lending nobody takes more than its part. The part may have changed while this message was handled.
void Worker::check_claim() {
  const std::uint32_t limit = std::max(limit_before_, part());
  if (!share_->elastic() && share_->held() > limit) world_.fail(text("slot ", life_.slot, " holds ", share_->held(), " permits where its part is ", limit));
  world_.check_connects(instance_);
}

Worker::Wish Worker::wish() const {
  Wish w;
  w.held = share_->held();
  w.floor = share_->floor();
  for (const Box& box : boxes_) {
    w.since = std::min(w.since, box.waits_since());
    w.refused = w.refused || box.core.wants_permits();
  }
  return w;
}

}  // namespace sluice::sim
