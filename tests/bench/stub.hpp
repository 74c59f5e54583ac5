// A pool of connections that do nothing, on a permit table in shared memory, with its statistics and call sites: all that a
// worker's pool writes on the lease path is written here, too.
#pragma once

#include <sluice/budget/share.hpp>
#include <sluice/pool/pool.hpp>

#include <sys/mman.h>
#include <boost/asio/io_context.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <utility>

namespace sluice::bench {

// Zeroed shared memory for `count` objects of the segment.
template <class T>
class Shared {
 public:
  explicit Shared(std::size_t count) : size_(count * sizeof(T)), count_(count) {
    void* at = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) throw std::runtime_error("no shared memory");
    data_ = static_cast<T*>(at);
  }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  ~Shared() { ::munmap(data_, size_); }
  std::span<T> all() const { return {data_, count_}; }
  T& operator[](std::size_t i) const { return data_[i]; }

 private:
  std::size_t size_, count_;
  T* data_ = nullptr;
};

struct StubServer {
  Duration connect_time{};
  std::uint64_t connects = 0;
};

class StubConnector final : public pool::Connector {
 public:
  StubConnector(asio::io_context& loop, StubServer& server) : loop_(loop), server_(server) {}
  awaitable<std::unique_ptr<pool::Connection>> connect(Deadline) override {
    ++server_.connects;
    if (server_.connect_time > Duration::zero()) {
      asio::steady_timer timer(loop_, server_.connect_time);
      co_await timer.async_wait(use_awaitable);
    }
    auto connection = std::make_unique<pool::Connection>();
    connection->session = server_.connects;
    co_return connection;
  }
  awaitable<void> ping(pool::Connection&, Deadline) override { co_return; }
  awaitable<void> reset(pool::Connection&, Deadline) override { co_return; }
  awaitable<pool::CloseResult> close(std::unique_ptr<pool::Connection> connection, Deadline) noexcept override {
    connection.reset();
    co_return pool::CloseResult::confirmed;
  }

 private:
  asio::io_context& loop_;
  StubServer& server_;
};

class StubPool {
 public:
  StubPool(std::uint32_t rows, config::Pool options, std::uint32_t max_connecting = 0)
      : rows_(rows), stats_(1), call_sites_(shm::call_sites_per_slot), limit_(rows) {
    budget::resize(rows_.all(), rows, 0);
    auto share = std::make_shared<budget::Share>(rows_.all(), 0, budget::Life{0, 1}, &limit_);
    share->set_max_connecting(max_connecting);
    pool::PoolResources resources;
    resources.share = std::move(share);
    resources.stats = &stats_[0];
    resources.call_sites = call_sites_.all();
    resources.seed = 1;
    options.name = "bench";
    pool_ = std::make_unique<pool::Pool>(loop, std::move(options), std::make_unique<StubConnector>(loop, server), std::move(resources));
    pool_->ready();
  }
  pool::Pool& pool() { return *pool_; }

  // Runs a coroutine to its end; rethrows what it throws.
  template <class F>
  void run(F function) {
    std::exception_ptr error;
    bool done = false;
    auto finished = [&](std::exception_ptr e) {
      error = e;
      done = true;
    };
    asio::co_spawn(loop, std::move(function), finished);
    loop.restart();
    while (!done) loop.run_one();
    if (error) std::rethrow_exception(error);
  }

 private:
  Shared<shm::Row> rows_;
  Shared<shm::PoolStats> stats_;
  Shared<shm::CallSite> call_sites_;
  std::atomic<std::uint32_t> limit_;

 public:
  StubServer server;
  asio::io_context loop{1};

 private:
  std::unique_ptr<pool::Pool> pool_;
};

}  // namespace sluice::bench
