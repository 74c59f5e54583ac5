// One life of a worker on a thread of its own, with a pool `main` of four connections on the database of the given options, or on a
// fresh SQLite file.
#pragma once

#include <sluice/budget/permit_table.hpp>
#include <sluice/pool/registry.hpp>
#include <sluice/runtime/worker_life.hpp>
#include <sluice/shm/segment.hpp>

#include <doctest/doctest.h>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include "support/eventually.hpp"
#include "support/process.hpp"

namespace sluice::test {

class LifeWithDatabase {
 public:
  explicit LifeWithDatabase(std::unique_ptr<Worker> (*make)(), config::Pool options = {}, Duration graceful = 5s)
      : options_(completed(std::move(options))),
        segment_(shm::Segment::create({.instance = "test",
                                       .application = "test",
                                       .max_workers = 4,
                                       .kinds = {"worker"},
                                       .servers = {{"main", rows}},
                                       .pools = {{"main", pool::scheme_of(options_.url), 0, 0}}})) {
    config_.graceful_timeout = graceful;
    config_.pools["main"] = options_;
    config_.servers["main"].name = "main";
    shm::Server& server = segment_.servers()[0];
    server.local = pool::scheme_of(options_.url) == "sqlite" ? 1 : 0;
    server.floor = 1;
    server.state.set(static_cast<std::uint64_t>(shm::ServerState::ready));
    budget::resize(segment_.rows(0), rows, 0);
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
  // Asks it to drain, unless it has ended by itself, and gives how it ended. Its threads have ended then, too.
  runtime::LifeOutcome end() {
    life_->request_drain();
    return over();
  }
  // The same without grace.
  runtime::LifeOutcome stop() {
    life_->request_stop();
    return over();
  }
  bool ended() const { return outcome_.wait_for(0s) == std::future_status::ready; }
  const shm::Segment& segment() const noexcept { return segment_; }
  // Every connection was closed, and its end confirmed.
  bool all_rows_free() const { return budget::count(segment_.rows(0)).of(budget::RowState::free) == rows; }

 private:
  static constexpr std::uint32_t rows = 8;
  config::Pool completed(config::Pool options) const {
    options.name = options.server = "main";
    if (options.url.empty()) options.url = "sqlite:" + directory_ / "test.db";
    return options;
  }
  runtime::LifeOutcome over() {
    const runtime::LifeOutcome outcome = outcome_.get();
    life_.reset();
    return outcome;
  }

  TemporaryDirectory directory_;
  config::Pool options_;
  config::Config config_;
  shm::Segment segment_;
  std::unique_ptr<runtime::WorkerLife> life_;
  std::future<runtime::LifeOutcome> outcome_;
};

}  // namespace sluice::test
