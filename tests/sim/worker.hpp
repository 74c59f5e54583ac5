// A simulated worker: the real PoolCore over the real Share, callers that take and give back, and a driver whose operations meet
// the simulated database. It decides nothing itself.
#pragma once

#include <sim/database.hpp>
#include <sim/process.hpp>

#include <sluice/pool/core.hpp>

#include <deque>
#include <memory>
#include <optional>
#include <vector>

namespace sluice::sim {

class World;

class Worker final : public Program {
 public:
  Worker(World& world, std::uint32_t instance, ProcessId self, budget::Life life);
  ~Worker() override;
  void handle(const Message& message) override;

  // ---- for the invariants
  struct Wish {
    TimePoint since = TimePoint::max();  // the longest waiting caller
    std::uint32_t held = 0, floor = 0;
    bool refused = false;  // some pool has waiters for whom it could claim no permit
  };
  Wish wish() const;

 private:
  class Box;
  enum class Kind : std::uint8_t { connect, check, close };

  // What the driver is doing for one entry.
  struct Operation {
    std::uint64_t number = 0;
    Kind kind = Kind::connect;
    Box* box = nullptr;
    pool::PoolEntry* entry = nullptr;
    Database::Handle session = 0;
    bool stuck = false;   // hears nothing; answers late
    bool failed = false;  // a connect that is being taken back
  };
  struct Cancel;
  struct Connection;

  Operation& begin(Kind kind, Box& box, pool::PoolEntry& entry, Deadline deadline);
  void answer(std::uint64_t number, Answer what);
  void end_connect(Operation operation, bool connected, bool released);
  void check_claim();
  std::uint32_t part() const;

  World& world_;
  std::uint32_t instance_;
  ProcessId self_;
  budget::Life life_;
  std::shared_ptr<budget::Share> share_;
  std::shared_ptr<pool::Siblings> siblings_;
  std::deque<Box> boxes_;
  std::vector<Operation> operations_;
  std::uint64_t last_operation_ = 0;
  bool draining_ = false;
  std::uint32_t limit_before_ = 0;  // when the present message came
};

}  // namespace sluice::sim
