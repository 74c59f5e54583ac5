// Counts one statement, as an error unless told of its success; a null block counts nothing.
#pragma once

#include <sluice/shm/layout.hpp>

namespace sluice::sql {

class Counted {
 public:
  explicit Counted(shm::PoolStats* stats) noexcept : stats_(stats) {}
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  ~Counted() {
    if (!stats_) return;
    stats_->statements.add();
    if (!succeeded_) stats_->statement_errors.add();
  }
  void succeeded() noexcept { succeeded_ = true; }

 private:
  shm::PoolStats* stats_;
  bool succeeded_ = false;
};

}  // namespace sluice::sql
