// One life of a worker on a thread of its own, with an SQLite pool `main` of four connections.
#pragma once

#include <sluice/budget/permit_table.hpp>
#include <sluice/runtime/worker_life.hpp>
#include <sluice/shm/segment.hpp>

#include <doctest/doctest.h>
#include <future>
#include <memory>
#include <string>

#include "support/eventually.hpp"
#include "support/process.hpp"

namespace sluice::test {

class LifeWithDatabase {
 public:
  explicit LifeWithDatabase(std::unique_ptr<Worker> (*make)())
      : segment_(shm::Segment::create({.instance = "test",
                                       .application = "test",
                                       .max_workers = 4,
                                       .kinds = {"worker"},
                                       .servers = {{"main", 8}},
                                       .pools = {{"main", "sqlite", 0, 0}}})) {
    config_.graceful_timeout = 5s;
    config_.pools["main"].name = "main";
    config_.pools["main"].url = "sqlite:" + directory_ / "test.db";
    config_.pools["main"].server = "main";
    config_.servers["main"].name = "main";
    shm::Server& server = segment_.servers()[0];
    server.local = 1;
    server.floor = 1;
    server.state.set(static_cast<std::uint64_t>(shm::ServerState::ready));
    budget::resize(segment_.rows(0), 8, 0);
    segment_.limits(0)[3] = 4;
    runtime::LifeInputs inputs;
    inputs.segment = &segment_;
    inputs.config = &config_;
    inputs.pool_order = {"main"};
    inputs.slot = 3;
    inputs.generation = 1;
    inputs.kind_name = "worker";
    inputs.make = make;
    life_ = std::make_unique<runtime::WorkerLife>(std::move(inputs));
    outcome_ = std::async(std::launch::async, [this] { return life_->run(); });
  }
  ~LifeWithDatabase() {
    if (outcome_.valid()) end();
  }
  // Asks it to drain, unless it has ended by itself, and gives how it ended.
  runtime::LifeOutcome end() {
    life_->request_drain();
    return outcome_.get();
  }
  bool ended() const { return outcome_.wait_for(0s) == std::future_status::ready; }
  const shm::Segment& segment() const noexcept { return segment_; }

 private:
  TemporaryDirectory directory_;
  config::Config config_;
  shm::Segment segment_;
  std::unique_ptr<runtime::WorkerLife> life_;
  std::future<runtime::LifeOutcome> outcome_;
};

}  // namespace sluice::test
