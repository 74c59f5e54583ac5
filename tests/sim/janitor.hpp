// A simulated janitor: the real Share over the confirm permit, plan_sweep() and release_proven(), in the order in which
// runtime/janitor.cpp uses them, with a database that answers later.
#pragma once

#include <sim/database.hpp>
#include <sim/process.hpp>

#include <sluice/budget/confirmation.hpp>
#include <sluice/budget/share.hpp>
#include <sluice/shm/segment.hpp>

#include <cstdint>

namespace sluice::sim {

class World;

class Janitor final : public Program {
 public:
  Janitor(World& world, std::uint32_t instance, ProcessId self, std::uint64_t generation);
  void handle(const Message& message) override;

 private:
  enum class State : std::uint8_t { apart, connecting, taking_back, connected, asking, closing };

  void look();
  void connect();
  void ask();
  void sweep();
  void disconnect();
  void answer(std::uint64_t operation, Answer what);
  void apart(bool proven);
  void pause(Duration d);
  bool needed() const;
  bool over(budget::Life life) const;

  World& world_;
  std::uint32_t instance_;
  ProcessId self_;
  std::uint64_t generation_;
  shm::Segment& segment_;
  budget::Share share_;
  State state_ = State::apart;
  Database::Handle session_ = 0;
  std::uint64_t operation_ = 0;
  budget::SweepInput input_;
  budget::Sightings sightings_;
  TimePoint last_use_{}, idle_since_{};
  std::uint64_t look_number_ = 0;
  Duration backoff_ = 100ms;
  bool ending_ = false;
};

}  // namespace sluice::sim
