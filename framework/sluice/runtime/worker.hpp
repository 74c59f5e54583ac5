// What user code subclasses, and what it is given. One worker is one event loop with its own pools; everything here is
// used on that loop's thread only.
//
//   start()  once; ready when it returned and the pools are warm. An exception ends this life (restarted with backoff).
//   run()    the worker's work; the default waits for the end. Returning or throwing ends this life.
//   drain()  asked to end gracefully: stop taking work, finish what is in flight. Then the pools are closed.
#pragma once

#include <sluice/config/config.hpp>
#include <sluice/core/asio.hpp>
#include <sluice/core/clock.hpp>
#include <sluice/pool/pool.hpp>
#include <sluice/shm/layout.hpp>
#include <sluice/sql/database.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

namespace runtime {
class WorkerLife;
}

class WorkerContext {
 public:
  // Throws sluice::Error naming the pools that exist, if there is none of this name.
  pool::Pool& pool(std::string_view name);
  // The same, for a pool whose driver speaks SQL.
  sql::Database& sql(std::string_view name);

  const config::Config& config() const noexcept;
  std::string_view kind() const noexcept;
  std::uint32_t slot() const noexcept;
  std::uint64_t generation() const noexcept;
  asio::io_context& loop() noexcept;
  bool draining() const noexcept;
  // Completes when the worker is asked to drain.
  awaitable<void> until_draining();
  // Listening sockets of this kind, bound by the master ("http").
  int listener(std::string_view name) const noexcept;  // -1: none
  // This slot's block of statistics; written by this worker only.
  shm::Slot& statistics() noexcept;

 private:
  friend class runtime::WorkerLife;
  explicit WorkerContext(runtime::WorkerLife& life) noexcept : life_(&life) {}
  runtime::WorkerLife* life_;
};

class Worker {
 public:
  static constexpr std::string_view kind = "worker";
  static constexpr int default_workers = config::WorkerCounts::automatic;  // for the first kind; other kinds default to 1
  static constexpr bool needs_http_listener = false;

  virtual ~Worker() = default;
  virtual awaitable<void> start() { co_return; }
  virtual awaitable<void> run() { co_await context().until_draining(); }
  virtual awaitable<void> drain(Deadline) { co_return; }
  // The loop turns no more and the object is about to be destroyed: for those who have threads of their own, which must be gone
  // before any part of it is.
  virtual void ended() noexcept {}

  WorkerContext& context() noexcept { return *context_; }

 private:
  friend class runtime::WorkerLife;
  WorkerContext* context_ = nullptr;
};

}  // namespace sluice
