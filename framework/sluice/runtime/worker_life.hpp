// One life of one worker: its loop, pools, context and user object, from start() to the last confirmed close.
// run() blocks the calling thread; request_drain() and request_stop() may be called from any thread.
#pragma once

#include <sluice/budget/share.hpp>
#include <sluice/config/config.hpp>
#include <sluice/core/clock.hpp>
#include <sluice/pool/pool.hpp>
#include <sluice/runtime/bells.hpp>
#include <sluice/runtime/heartbeat.hpp>
#include <sluice/runtime/worker.hpp>
#include <sluice/shm/segment.hpp>
#include <sluice/sql/database.hpp>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sluice::runtime {

struct LifeInputs {
  const shm::Segment* segment = nullptr;
  const config::Config* config = nullptr;
  std::vector<std::string> pool_order;  // index = the pool's number in the segment
  std::uint32_t slot = 0;
  std::uint64_t generation = 0;
  std::uint32_t kind = 0;
  std::string kind_name;
  std::unique_ptr<Worker> (*make)() = nullptr;
  std::vector<std::pair<std::string, int>> listeners;
  const Bells* bells = nullptr;  // null: this worker is alone
  std::function<void()> on_ready;  // on the life's thread
};

struct LifeOutcome {
  int code = 0;         // exit code: 0 done or ended as asked
  std::string message;  // why, if code is not 0
};

class WorkerLife {
 public:
  explicit WorkerLife(LifeInputs inputs);
  ~WorkerLife();

  LifeOutcome run();
  void request_drain();
  void request_stop();
  asio::io_context& loop() noexcept { return *loop_; }

 private:
  friend class sluice::WorkerContext;
  // An io_context whose pending operations can be destroyed while the objects that they use still live.
  struct Loop : asio::io_context {
    Loop() : asio::io_context(1) {}
    using asio::execution_context::shutdown;
  };

  void make_pools();
  budget::Terms terms_of(std::uint32_t server) const;
  awaitable<void> live();
  awaitable<void> start_worker();
  awaitable<void> warm_pools();
  awaitable<void> work();
  awaitable<void> until_asked();
  awaitable<void> end_gracefully(Deadline deadline);
  awaitable<void> close_pools(Deadline deadline);
  shm::Slot& shared() const noexcept { return inputs_.segment->slots()[inputs_.slot]; }

  LifeInputs inputs_;
  std::unique_ptr<Loop> loop_;
  WorkerContext context_;
  std::unique_ptr<Heartbeat> heartbeat_;
  std::map<std::uint32_t, std::shared_ptr<budget::Share>> shares_;  // by server
  std::map<std::string, pool::Pool, std::less<>> pools_;
  std::optional<BellListener> bell_;
  std::map<std::string, sql::Database, std::less<>> databases_;
  std::unique_ptr<Worker> worker_;
  std::unique_ptr<asio::steady_timer> wake_;  // cancelled when anything below changes
  bool drain_asked_ = false;
  bool stop_asked_ = false;
  bool work_done_ = false;
  LifeOutcome outcome_;
};

}  // namespace sluice::runtime
