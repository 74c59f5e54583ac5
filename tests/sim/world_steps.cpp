// Inside the real code: what happens before and after each write of an owner word.
#include <sim/world.hpp>

#include <algorithm>
#include <utility>

namespace sluice::sim {

void World::on_step(const char* what, budget::Moment moment, std::uint64_t word) {
  World* world = only;
  if (!world || !world->running_) return;
  Outside outside;
  Process& process = *world->running_;
  ++world->outcome_.steps;
  if (moment == budget::Moment::before)
    world->before_write(process, what);
  else
    world->after_write(process, what, word);
}

void World::before_write(Process& process, const char* what) {
  if (process.doomed) kill_now(process);  // its compare-and-swap failed: it dies before the next one
  if (!faults_) return;
  process.doomed = random_.chance(scenario_.faults.kill / 2);
  const bool lingers = !scenario_.faults.linger.empty() && scenario_.faults.linger == what;
  if (process.doomed || !random_.chance(lingers ? 0.9 : scenario_.faults.pause)) return;
  trace("pause before ", what, " by ", to_text(process.actor), ' ', process.life.slot);
  pause(process, lingers ? 2ms : Duration::zero());
}

// A kill before the write needs to know which transition it would have been: the word is put back. Nobody has run since.
void World::after_write(Process& process, const char* what, std::uint64_t word) {
  Instance& in = *instances_[process.instance];
  const Ledger::Change change = in.ledger.find(process.actor, what, word);
  const auto number = static_cast<std::uint32_t>(std::max(change.transition, 0));
  bool killed_before = std::exchange(process.doomed, false), killed_after = false;
  if (change.transition >= 0 && faults_) {
    ++coverage_.seen[number];
    const auto target = scenario_.faults.target;
    // The kill that this seed is for: not always at the first time.
    if (target && !target_hit_ && *target / 2 == number && random_.chance(scenario_.faults.hit)) {
      target_hit_ = true;
      (*target % 2 == 0 ? killed_before : killed_after) = true;
    } else if (!killed_before) {
      killed_after = random_.chance(scenario_.faults.kill / 2);
    }
  }
  if (killed_before) {
    in.ledger.undo(change);
    if (change.transition >= 0) ++coverage_.kills[number][0];
    trace("killed before ", what, " of row ", change.row);
    kill_now(process);
  }
  trace("instance ", process.instance, ' ', to_text(process.actor), ' ', process.life.slot, '.', process.life.generation, ": ", what, " row ", change.row, ": ",
        budget::to_text(change.from.state), " → ", budget::to_text(change.to.state));
  if (std::string broken = in.ledger.accept(change, now_); !broken.empty()) fail(text(to_text(process.actor), ' ', process.life.slot, ", ", what, ": ", broken));
  const shm::Server& server = in.segment->servers()[0];
  const auto budget = std::max(static_cast<std::uint32_t>(server.budget.get()), server.confirm);  // the confirm permit comes before the budget is known
  if (std::string broken = in.ledger.check_enabled(budget); !broken.empty()) fail(broken);
  if (killed_after) {
    ++coverage_.kills[number][1];
    trace("killed after ", what, " of row ", change.row);
    kill_now(process);
  }
  if (!outcome_.failure.empty()) kill_now(process);  // nothing that follows would mean anything
  if (faults_ && random_.chance(scenario_.faults.pause)) pause(process);
}

// It stops here; others run. Mostly for an instant, in which others meet the same rows; sometimes for long.
void World::pause(Process& process, Duration at_least) {
  const Duration length = at_least + (random_.chance(scenario_.faults.long_pause) ? random_.between(1ms, 1s) : random_.between(1us, 500us));
  process.stopped = true;
  process.stopped_since = now_;
  process.stack = stacks_.present();
  push(length, Topic::resume, process.id);
  stacks_.suspend();
  running_ = &process;
}

void World::kill_now(Process& process) {
  running_ = nullptr;
  kill(process.id);
  Arena::current = nullptr;
  stacks_.abandon();
}

}  // namespace sluice::sim
