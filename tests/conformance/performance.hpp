// Performs a scenario's operations. The pool is a loop's own, so the scenario's threads are coroutines of one loop: each has a
// queue of operations and performs them in order, while the main one goes on.
#pragma once

#include "recorder.hpp"

#include <support/permit_rows.hpp>

#include <sluice/pool/pool.hpp>

#include <deque>
#include <exception>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace sluice::conformance {

class Performance {
 public:
  // `scenario` must outlive it. Throws if options make no sense.
  explicit Performance(const Json& scenario);
  Performance(const Performance&) = delete;
  Performance& operator=(const Performance&) = delete;
  ~Performance();

  void run();

  const std::vector<Json>& events() const noexcept { return recorder_.events(); }
  // What the pool's call threw on the main thread, as the format words it; null: nothing.
  const Json& error() const noexcept { return error_; }
  // Why the scenario could not be performed to its end; "": it was.
  const std::string& failure() const noexcept { return failure_; }

 private:
  struct Thread {
    explicit Thread(asio::io_context& loop) : news(loop, TimePoint::max()) {}
    std::deque<const Json*> work;
    bool joined = false;  // ends when its work is done
    bool ended = false;
    std::exception_ptr error;
    asio::steady_timer news;  // cancelled when any of this changes
  };

  pool::Pool make_pool(const Json& scenario);
  void server_fails();
  Thread& thread(const Json& name);
  awaitable<void> run_main();
  awaitable<void> run_thread(Thread& thread);
  awaitable<void> join(Thread& thread);
  awaitable<void> perform(const Json& operation);
  awaitable<void> check_out(const Json& operation);
  void check_in(const Json& operation);
  std::map<std::string, pool::Lease>::iterator labelled(const Json& operation);
  void use_in_fork();
  awaitable<void> wait_for_event(const Json& operation);
  awaitable<void> let_others_run();
  void main_ended(const std::exception_ptr& error);

  const Json& scenario_;
  test::PermitRows rows_;
  Json error_;
  std::string failure_;
  bool done_ = false;
  asio::io_context loop_{1};
  Recorder recorder_;
  std::optional<pool::Pool> pool_;
  std::map<std::string, Thread> threads_;
  std::map<std::string, pool::Lease> labelled_;
  std::vector<pool::Lease> held_;  // checked out for good
};

}  // namespace sluice::conformance
