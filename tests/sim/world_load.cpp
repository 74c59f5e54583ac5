// No faults any more, and the load of before: what lending must do when nobody has anything to spare.
#include <sim/worker.hpp>
#include <sim/world.hpp>

#include <algorithm>

namespace sluice::sim {

// A worker in every slot. The newcomers find what is free in the hands of those who were there before.
void World::crowd_in() {
  for (const auto& in : instances_) {
    in->hungry.assign(scenario_.slots, {});
    in->healthy_since = now_;
    send(in->master, 1us, {To::scale, scenario_.slots});
  }
}

const Worker* World::worker(const Instance& in, std::uint32_t slot) const {
  const Process* p = find(in.workers[slot]);
  return p ? static_cast<const Worker*>(p->program) : nullptr;
}

std::optional<std::uint32_t> World::rich_slot(const Instance& in) const {
  for (std::uint32_t slot = 0; slot < in.workers.size(); ++slot) {
    const Worker* w = worker(in, slot);
    if (w && w->wish().held > w->wish().floor) return slot;
  }
  return std::nullopt;
}

void World::check_busy(Instance& in) {
  const shm::Server& server = in.segment->servers()[0];
  const bool whole = find(in.master) && server.outage.load() == 0 && server.shrinking.get() == 0;
  if (!whole) in.hungry.assign(scenario_.slots, {});
  if (!whole || in.ledger.count(RowState::quarantined) > 0) in.healthy_since = now_;
  if (!whole) return;
  check_floors(in);
  check_waits(in);
}

// A worker that wants permits and holds fewer than its floor gets them from those who hold more than theirs, also while rows of the dead
// wait for their confirmation. Without lending it has to wait for that.
void World::check_floors(Instance& in) {
  if (!scenario_.server.elastic) return;
  for (std::uint32_t slot = 0; slot < in.workers.size(); ++slot) {
    Instance::Hunger& hunger = in.hungry[slot];
    const Worker* w = worker(in, slot);
    const auto wish = w ? w->wish() : Worker::Wish{};
    const std::optional<std::uint32_t> other = rich_slot(in);
    if (!other || !wish.refused || wish.held >= wish.floor || !(hunger.worker == in.workers[slot])) {
      hunger = {in.workers[slot], TimePoint::max()};
      continue;
    }
    hunger.since = std::min(hunger.since, now_);
    if (now_ - hunger.since < floor_patience) continue;
    return fail(text("under load slot ", slot, " does not reach its floor: holds ", wish.held, " of ", wish.floor, " while slot ", *other, " holds ", worker(in, *other)->wish().held));
  }
}

void World::check_waits(Instance& in) {
  for (std::uint32_t slot = 0; slot < in.workers.size(); ++slot) {
    const Worker* w = worker(in, slot);
    if (!w) continue;
    const TimePoint since = w->wish().since;
    if (since != TimePoint::max() && now_ - std::max(since, in.healthy_since) >= busy_patience) return fail(text("under load slot ", slot, ": a caller starves"));
  }
}

}  // namespace sluice::sim
