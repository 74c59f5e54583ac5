#include <sim/janitor.hpp>
#include <sim/world.hpp>

#include <algorithm>

namespace sluice::sim {
namespace {

constexpr Duration look_again = 50ms;
constexpr Duration idle_before_end = 1s;
constexpr Duration own_predecessor_grace = 2s;
constexpr Duration connect_timeout = 100ms, close_timeout = 100ms, ask_timeout = 200ms;

}  // namespace

Janitor::Janitor(World& world, std::uint32_t instance, ProcessId self, std::uint64_t generation)
    : world_(world), instance_(instance), self_(self), generation_(generation), segment_(*world.instance(instance).segment),
      share_(segment_.rows(0).first(1), 0, budget::Life{budget::janitor_slot, generation}, nullptr) {}

void Janitor::handle(const Message& m) {
  switch (m.to) {
    case To::boot:
      idle_since_ = world_.now();
      return look();
    case To::look:
      if (m.a == look_number_) look();
      return;
    case To::view:
      if (m.a == operation_ && state_ == State::asking) sweep();
      return;
    case To::answer: return answer(m.a, static_cast<Answer>(m.b));
    case To::end:
      ending_ = true;
      if (state_ == State::apart || state_ == State::connected) look();
      return;
    default: return;
  }
}

void Janitor::pause(Duration d) { world_.send(self_, d, {To::look, ++look_number_}); }

bool Janitor::needed() const {
  if (segment_.servers()[0].answered.get() == 0) return true;
  return budget::count(segment_.rows(0)).of(RowState::quarantined) > 0;
}

void Janitor::look() {
  const TimePoint now = world_.now();
  if (ending_ || !needed()) {
    if (state_ == State::connected && (ending_ || now - last_use_ > idle_before_end)) return disconnect();
    if (state_ == State::apart && (ending_ || now - idle_since_ > idle_before_end)) return world_.leave();
    return pause(100ms);
  }
  idle_since_ = now;
  if (state_ == State::apart) return connect();
  last_use_ = now;
  ask();
}

// ---- the confirm permit first, then the connection

void Janitor::connect() {
  shm::Row& row = segment_.rows(0)[0];
  const std::int64_t now = to_nanos(world_.now());
  const budget::Owner owner = budget::Owner::unpack(row.owner.load());
  if (owner.state == RowState::quarantined && owner.life.slot == budget::janitor_slot) {
    const Duration starting = world_.database().authentication_timeout() + budget::invisibility_margin;
    const Duration enough = row.session.load() != 0 ? own_predecessor_grace : starting;
    if (Duration(now - row.changed_nanos.load()) > enough) budget::release_proven(row, owner, now);
  }
  const bool earlier_one = segment_.servers()[0].unclean_start != 0 && Duration(now - segment_.header().started_nanos) < own_predecessor_grace;
  if (earlier_one || !share_.claim(now)) return pause(look_again);
  state_ = State::connecting;
  ++operation_;
  session_ = world_.database().connect(self_, Tag{instance_, world_.instance(instance_).fleet, 0, share_.life()}, operation_);
  world_.send(self_, connect_timeout, {To::answer, operation_, static_cast<std::uint64_t>(Answer::deadline)});
}

void Janitor::answer(std::uint64_t operation, Answer what) {
  if (operation != operation_) return;
  const std::int64_t now = to_nanos(world_.now());
  switch (state_) {
    case State::connecting:
      if (what == Answer::connected) {
        share_.connected(0, world_.database().id(session_), world_.database().birth(session_), now);
        state_ = State::connected;
        last_use_ = world_.now();
        backoff_ = 100ms;
        return ask();
      }
      if (what == Answer::refused || what == Answer::reset) return apart(what == Answer::refused);
      // Taken back: the end of stream is the proof, if it comes in time.
      world_.database().hang_up(session_, operation_);
      state_ = State::taking_back;
      return world_.send(self_, close_timeout, {To::answer, operation_, static_cast<std::uint64_t>(Answer::last_deadline)});
    case State::taking_back:
    case State::closing:
      if (what == Answer::deadline) return;
      return apart(what == Answer::ended);
    case State::asking:
      if (what == Answer::deadline || what == Answer::ended || what == Answer::reset) disconnect();
      return;
    case State::connected:
      if (what == Answer::ended || what == Answer::reset) disconnect();
      return;
    case State::apart: return;
  }
}

void Janitor::apart(bool proven) {
  const std::int64_t now = to_nanos(world_.now());
  if (proven)
    share_.released(0, now);
  else
    share_.quarantined(0, now);
  world_.database().hang_up(session_);
  state_ = State::apart;
  ++operation_;
  pause(world_.random().between(backoff_ / 2, backoff_));
  backoff_ = std::min<Duration>(backoff_ * 2, 400ms);
}

void Janitor::disconnect() {
  share_.closing(0, to_nanos(world_.now()));
  state_ = State::closing;
  world_.database().goodbye(session_, self_, ++operation_);
  world_.send(self_, close_timeout, {To::answer, operation_, static_cast<std::uint64_t>(Answer::last_deadline)});
}

// ---- asking: the rows first, then the server

void Janitor::ask() {
  const auto rows = segment_.rows(0);
  input_.rows.clear();
  input_.now_nanos = to_nanos(world_.now());
  for (std::uint32_t i = 1; i < rows.size(); ++i) {
    const budget::RowView view = budget::read(rows, i);
    if (view.owner.state != RowState::disabled && view.owner.state != RowState::free) input_.rows.push_back(view);
  }
  sightings_.look(input_.rows, input_.now_nanos);
  state_ = State::asking;
  ++operation_;
  if (world_.database().open(session_) && world_.database().reachable()) world_.send(self_, world_.random().between(100us, 3ms), {To::view, operation_});
  world_.send(self_, ask_timeout, {To::answer, operation_, static_cast<std::uint64_t>(Answer::deadline)});
}

void Janitor::sweep() {
  shm::Server& server = segment_.servers()[0];
  Database& database = world_.database();
  if (!database.open(session_)) return disconnect();
  if (server.answered.get() == 0) {
    server.max_connections.set(world_.scenario().server.total.value_or(0));
    server.authentication_timeout_ms.set(static_cast<std::uint64_t>(to_millis(database.authentication_timeout()) + 1));
    server.answered.publish(1);
  }
  const std::uint64_t fleet = world_.instance(instance_).fleet;
  std::vector<Database::Seen> seen;
  for (const Database::Seen& s : database.view(instance_, fleet, session_)) {
    seen.push_back(s);
    input_.sessions.push_back(s.session);
  }
  input_.authentication_timeout = std::chrono::milliseconds(server.authentication_timeout_ms.get());
  input_.ended = [this](budget::Life life) { return over(life); };
  const budget::SweepPlan plan = budget::plan_sweep(input_);
  input_.sessions.clear();
  for (const budget::RowView& row : plan.release) {
    sightings_.forget(row.row);
    if (budget::release_proven(segment_.rows(0)[row.row], row.owner, to_nanos(world_.now()))) server.confirmed_rows.add();
  }
  for (const std::size_t i : plan.end) {
    world_.trace("janitor ends session ", seen[i].session.id, " of life ", seen[i].session.life.slot, '.', seen[i].session.life.generation);
    database.terminate(seen[i]);
  }
  state_ = State::connected;
  ++operation_;
  pause(look_again);
}

bool Janitor::over(budget::Life life) const {
  if (life.slot == budget::janitor_slot) return life.generation != generation_;
  const auto slots = segment_.slots();
  if (life.slot >= slots.size()) return true;
  const shm::Slot& slot = slots[life.slot];
  const auto state = static_cast<shm::SlotState>(slot.state.get());
  const bool alive = state == shm::SlotState::starting || state == shm::SlotState::ready || state == shm::SlotState::draining;
  return life.generation < slot.generation.get() || (life.generation == slot.generation.get() && slot.pid.get() == 0 && !alive);
}

}  // namespace sluice::sim
