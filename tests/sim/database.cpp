#include <sim/database.hpp>
#include <sim/world.hpp>

#include <algorithm>

namespace sluice::sim {
namespace {

constexpr std::uint64_t ids = 61;  // so few that they come back soon, like process ids

}  // namespace

Database::Record* Database::find(Handle h) {
  const auto index = static_cast<std::uint32_t>(h);
  if (h == 0 || index >= records_.size()) return nullptr;
  Record& r = records_[index];
  return r.serial == h >> 32 && r.stage != Stage::gone ? &r : nullptr;
}

Stage Database::stage(Handle h) const {
  const auto index = static_cast<std::uint32_t>(h);
  return h == 0 || index >= records_.size() || records_[index].serial != h >> 32 ? Stage::gone : records_[index].stage;
}

void Database::later(Duration after, Does does, Handle h) { world_.later(after, does, h); }

Duration Database::network() {
  Random& random = world_.random();
  return !calm_ && random.chance(0.03) ? random.between(1ms, 60ms) : random.between(20us, 300us);
}

void Database::answer(Record& r, Answer what) {
  if (r.operation == 0) return;
  const Duration stall = cut_ ? mended_at_ - world_.now() : Duration::zero();
  world_.send(r.client, stall + network(), {To::answer, r.operation, static_cast<std::uint64_t>(what)});
}

// ---- clients

Database::Handle Database::connect(ProcessId client, const Tag& tag, std::uint64_t operation) {
  Outside outside;
  std::uint32_t index;
  if (unused_.empty()) {
    index = static_cast<std::uint32_t>(records_.size());
    records_.emplace_back();
  } else {
    index = unused_.back();
    unused_.pop_back();
  }
  Record& r = records_[index] = Record{};
  r.serial = ++last_serial_;
  r.stage = Stage::travelling;
  r.tag = tag;
  r.client = client;
  r.operation = operation;
  if (world_.random().chance(traits_.bad_connect)) r.outcome = world_.random().chance(0.5) ? Outcome::denied : Outcome::hanging;
  const Handle h = Handle{r.serial} << 32 | index;
  later(network(), Does::arrive, h);
  return h;
}

void Database::arrive(Handle h, Record& r) {
  // A packet that does not get through is not delivered when the network is mended: its sender has given up by then.
  if (cut_ || (r.client_gone && world_.random().chance(0.5))) return remove(h, r);
  if (down_) {
    answer(r, Answer::refused);
    return remove(h, r);
  }
  const auto taken = [this](std::uint64_t id) {
    return std::any_of(records_.begin(), records_.end(), [id](const Record& other) { return other.stage != Stage::gone && other.id == id; });
  };
  if (records_.size() < ids) {
    do last_id_ = last_id_ % ids + 1;
    while (taken(last_id_));
    r.id = last_id_;
  } else {
    r.id = h;
  }
  r.birth = static_cast<std::uint64_t>(to_nanos(world_.now()) / 1000);
  r.began = world_.now();
  r.stage = Stage::starting;
  ++sessions_;
  world_.session_began(r.tag);
  later(traits_.authentication_timeout, Does::time_out, h);
  if (r.outcome != Outcome::hanging) later(!calm_ && world_.random().chance(0.05) ? world_.random().between(5ms, 150ms) : world_.random().between(200us, 2ms), Does::start, h);
  if (r.client_gone && world_.random().chance(0.7)) later(network(), Does::notice, h);
}

void Database::goodbye(Handle h, ProcessId client, std::uint64_t operation) {
  Record* r = find(h);
  if (!r) {  // gone before: an orderly end is read, or the reset that came with a restart
    const Answer what = world_.random().chance(0.5) ? Answer::ended : Answer::reset;
    return world_.send(client, network(), {To::answer, operation, static_cast<std::uint64_t>(what)});
  }
  r->operation = operation;
  r->client_gone = true;
  const Duration travel = (cut_ ? mended_at_ - world_.now() : Duration::zero()) + network();
  if (world_.random().chance(traits_.reset)) {
    answer(*r, Answer::reset);
    r->operation = 0;
  }
  later(travel, Does::notice, h);
}

void Database::hang_up(Handle h, std::uint64_t operation) {
  Record* r = find(h);
  if (!r) return;
  r->operation = operation;
  r->client_gone = true;
  if (r->stage == Stage::travelling) return;
  const Duration stall = cut_ ? mended_at_ - world_.now() : Duration::zero();
  if (r->stage == Stage::starting && world_.random().chance(0.3)) return;  // it looks when its time for authentication is over
  const Duration looks = r->busy ? world_.random().between(0ms, traits_.check_interval) : Duration::zero();
  later(stall + network() + looks, Does::notice, h);
}

void Database::check(Handle h, std::uint64_t operation) {
  Record* r = find(h);
  if (r && r->stage == Stage::open) {
    const std::uint64_t before = std::exchange(r->operation, operation);
    answer(*r, Answer::alive);
    r->operation = before;
  }
}

void Database::busy(Handle h, bool busy) {
  if (Record* r = find(h)) r->busy = busy;
}

void Database::client_died(ProcessId client) {
  for (std::size_t i = 0; i < records_.size(); ++i) {
    const Record& r = records_[i];
    if (r.stage != Stage::gone && r.client == client && !r.client_gone) hang_up(Handle{r.serial} << 32 | i);
  }
}

// ---- its own life

void Database::handle(Does does, Handle h) {
  if (does == Does::come_up) {
    if (world_.now() >= up_at_) down_ = false;
    return;
  }
  if (does == Does::mend) {
    if (world_.now() >= mended_at_) cut_ = false;
    return;
  }
  Record* r = find(h);
  if (!r) return;
  switch (does) {
    case Does::arrive: return arrive(h, *r);
    case Does::start:
      if (r->stage != Stage::starting) return;
      if (r->outcome == Outcome::denied) {
        answer(*r, Answer::denied);
        return exit(h, *r);
      }
      r->stage = Stage::open;
      if (r->client_gone) return exit(h, *r);
      return answer(*r, Answer::connected);
    case Does::time_out:
      if (r->stage == Stage::starting) exit(h, *r);
      return;
    case Does::notice: return exit(h, *r);
    case Does::leave:
      answer(*r, Answer::ended);
      return remove(h, *r);
    case Does::vanish:
    case Does::come_up:
    case Does::mend: return;
  }
}

void Database::exit(Handle h, Record& r) {
  if (r.stage == Stage::exiting || r.stage == Stage::travelling) return;
  Random& random = world_.random();
  const bool slow = r.stage == Stage::open && r.tag.row != 0 && random.chance(traits_.slow_exit);  // the janitor leaves nothing to roll back
  r.stage = Stage::exiting;
  later(slow ? random.between(20ms, 700ms) : random.between(50us, 3ms), Does::leave, h);
}

void Database::remove(Handle h, Record& r) {
  const bool counted = r.stage != Stage::travelling;
  const Tag tag = r.tag;
  r.stage = Stage::gone;
  unused_.push_back(static_cast<std::uint32_t>(h));
  if (!counted) return;
  --sessions_;
  world_.session_ended(tag);
}

// ---- the janitor

std::vector<Database::Seen> Database::view(std::uint32_t instance, std::uint64_t fleet, Handle asker) const {
  std::vector<Seen> seen;
  for (std::size_t i = 0; i < records_.size(); ++i) {
    const Record& r = records_[i];
    const Handle h = Handle{r.serial} << 32 | i;
    if (r.tag.instance != instance || h == asker || (r.stage != Stage::open && r.stage != Stage::exiting)) continue;
    seen.push_back({budget::Session{r.id, r.birth, r.tag.life, r.tag.fleet == fleet, world_.now() - r.began}, h});
  }
  return seen;
}

void Database::terminate(const Seen& seen) {
  for (std::size_t i = 0; i < records_.size(); ++i) {
    Record& r = records_[i];
    if (r.stage == Stage::open && r.id == seen.session.id && r.birth == seen.session.birth) later(world_.random().between(0us, 500us), Does::notice, Handle{r.serial} << 32 | i);
  }
}

// ---- what goes wrong

void Database::restart(Duration down_for) {
  for (std::size_t i = 0; i < records_.size(); ++i) {
    Record& r = records_[i];
    if (r.stage == Stage::gone || r.stage == Stage::travelling) continue;
    answer(r, Answer::reset);
    remove(Handle{r.serial} << 32 | i, r);
  }
  last_id_ = 0;
  down_ = true;
  up_at_ = std::max(up_at_, world_.now() + down_for);
  later(down_for, Does::come_up, 0);
}

void Database::cut(Duration length) {
  cut_ = true;
  mended_at_ = std::max(mended_at_, world_.now() + length);
  later(length, Does::mend, 0);
}

void Database::calm() {
  calm_ = true;
  traits_.bad_connect = traits_.stuck = traits_.reset = 0;
  traits_.slow_exit = std::min(traits_.slow_exit, 0.02);
}

bool Database::stuck_operation() { return world_.random().chance(traits_.stuck); }

// ---- for the invariants

std::uint32_t Database::sessions_of(std::uint32_t instance) const {
  return static_cast<std::uint32_t>(std::count_if(records_.begin(), records_.end(), [instance](const Record& r) {
    return r.tag.instance == instance && r.stage != Stage::gone && r.stage != Stage::travelling;
  }));
}

std::uint32_t Database::connecting(std::uint32_t instance) const {
  std::uint32_t n = 0;
  for (const Record& r : records_) {
    if ((r.stage != Stage::travelling && r.stage != Stage::starting) || r.tag.instance != instance || r.tag.row == 0) continue;
    n += world_.is_connecting(r.tag);
  }
  return n;
}

}  // namespace sluice::sim
