// The simulated world: a clock that jumps from event to event, fleets of processes that run the real state machines on real
// segments, one database server, and what goes wrong. Everything is drawn from the scenario's seed, so a run can be repeated
// exactly. Between any two writes of owner words inside the real code a process may be paused or killed, and others run.
#pragma once

#include <sim/database.hpp>
#include <sim/ledger.hpp>
#include <sim/process.hpp>
#include <sim/random.hpp>
#include <sim/scenario.hpp>
#include <sim/stacks.hpp>

#include <sluice/core/text.hpp>
#include <sluice/shm/segment.hpp>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sluice::sim {

class Worker;

// One fleet after the other under one instance id.
struct Instance {
  std::uint32_t index = 0;
  std::uint64_t fleet = 0;  // the boot nonce
  std::optional<shm::Segment> segment;
  Ledger ledger;
  ProcessId master, janitor;
  std::vector<ProcessId> workers;  // by slot
  std::uint32_t processes = 0;     // that live
  std::uint32_t earlier_sessions = 0;
  std::uint32_t earlier_ceiling = 0;
  bool clean = true;     // the last fleet's end
  bool finished = false;
  std::vector<std::uint32_t> dead_hosts;
  // While it is busy: since when each slot's worker is below its floor and could not claim, and since when every row is in use.
  struct Hunger {
    ProcessId worker;
    TimePoint since = TimePoint::max();
  };
  std::vector<Hunger> hungry;
  TimePoint healthy_since{};
};

struct Outcome {
  std::string failure;  // "": every invariant held
  std::uint64_t steps = 0, kills = 0, fleets = 0, leases = 0;
  Duration simulated{};
  std::uint32_t most_sessions = 0;
};

enum class Phase : std::uint8_t { chaos, busy, quiet, ending, over };

class World {
 public:
  World(const Scenario& scenario, Stacks& stacks, Coverage& coverage, bool trace);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  Outcome run();

  // ---- for programs and the database

  TimePoint now() const noexcept { return now_; }
  Random& random() noexcept { return random_; }
  const Scenario& scenario() const noexcept { return scenario_; }
  Database& database() noexcept { return database_; }
  Instance& instance(std::uint32_t index) { return *instances_[index]; }
  Phase phase() const noexcept { return phase_; }

  void send(ProcessId to, Duration after, Message message);
  void later(Duration after, Database::Does does, Database::Handle session);
  void ring(std::uint32_t instance, std::uint32_t slot);
  ProcessId spawn_worker(std::uint32_t instance, std::uint32_t slot, std::uint64_t generation, std::uint32_t host);
  ProcessId spawn_janitor(std::uint32_t instance, std::uint64_t generation);
  std::uint32_t new_host() { return ++last_host_; }
  void kill_host(std::uint32_t instance, std::uint32_t host);
  void kill(ProcessId id);
  // The running process ends when it has handled its message.
  void leave();
  std::uint32_t host_of(ProcessId id) const { return find(id)->host; }
  Duration stopped_for(ProcessId id) const;
  void leased() noexcept { ++outcome_.leases; }

  // ---- invariants

  void fail(std::string why);
  void session_began(const Tag& tag);
  void session_ended(const Tag& tag);
  bool is_connecting(const Tag& tag) const;
  void check_connects(std::uint32_t instance);

  template <class... Parts>
  void trace(const Parts&... parts) {
    if (trace_) [[unlikely]] {
      Outside outside;
      print(text(parts...));
    }
  }

 private:
  enum class Topic : std::uint8_t { message, resume, database, fault, phase, fleet, kill };
  struct Event {
    TimePoint at;
    std::uint64_t order;
    Topic topic;
    ProcessId process;
    Message message;
    friend bool operator<(const Event& a, const Event& b) noexcept { return a.at != b.at ? a.at > b.at : a.order > b.order; }
  };

  void push(Duration after, Topic topic, ProcessId process = {}, Message message = {});
  bool step();
  void dispatch(const Event& event);
  void deliver(Process& process, const Message& message);
  void resume(Process& process);
  void reap(Process& process, bool killed);
  Process* find(ProcessId id) const;
  Process& make(std::uint32_t instance, Actor actor, budget::Life life, std::uint32_t host);
  // Its program is made at once, in its own memory, and hears `boot` as its first message.
  template <class Make>
  ProcessId start(Process& process, Duration after, Make make);

  // world_steps.cpp: inside the real code
  static void on_step(const char* what, budget::Moment moment, std::uint64_t word);
  void before_write(Process& process, const char* what);
  void after_write(Process& process, const char* what, std::uint64_t word);
  void pause(Process& process, Duration at_least = Duration::zero());
  [[noreturn]] void kill_now(Process& process);

  // world_faults.cpp
  void start_fleet(std::uint32_t instance);
  void fault();
  void kill_something();
  void next_phase();
  void calm_down();
  void check_quiet(Instance& instance);
  void check_end();
  void print(const std::string& line) const;

  // world_load.cpp
  void crowd_in();
  void check_busy(Instance& instance);
  void check_floors(Instance& instance);
  void check_waits(Instance& instance);
  const Worker* worker(const Instance& instance, std::uint32_t slot) const;
  // Somebody who holds more than its floor.
  std::optional<std::uint32_t> rich_slot(const Instance& in) const;

  static World* only;

  const Scenario& scenario_;
  Stacks& stacks_;
  Coverage& coverage_;
  bool trace_;
  Random random_;
  TimePoint now_ = TimePoint(std::chrono::hours(1));
  std::vector<Event> events_;
  std::uint64_t last_order_ = 0;
  std::vector<std::unique_ptr<Process>> processes_;
  std::vector<std::uint32_t> unused_;
  std::uint32_t last_serial_ = 0, last_host_ = 0;
  Process* running_ = nullptr;
  Database database_;
  std::vector<std::unique_ptr<Instance>> instances_;
  Phase phase_ = Phase::chaos;
  TimePoint calm_since_{}, ending_since_{}, started_{};
  bool target_hit_ = false;
  bool faults_ = true;
  Outcome outcome_;
};

template <class Make>
ProcessId World::start(Process& process, Duration after, Make make) {
  Arena* const before = std::exchange(Arena::current, &process.arena);
  process.program = make(process.id);
  Arena::current = before;
  push(after, Topic::message, process.id, {To::boot});
  return process.id;
}

}  // namespace sluice::sim
