// A permit table of its own for a test: rows in ordinary memory, a limit that the test may change.
#pragma once

#include <sluice/budget/share.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace sluice::test {

class PermitRows {
 public:
  explicit PermitRows(std::uint32_t rows, std::uint32_t limit = 1000) : rows_(rows), limit_(limit) {
    budget::resize(rows_, rows, 0);
    share = std::make_shared<budget::Share>(rows_, 0, budget::Life{3, 7}, &limit_);
  }
  void set_limit(std::uint32_t limit) { limit_ = limit; }
  std::uint32_t in(budget::RowState state) const { return budget::count(rows_).of(state); }
  std::uint32_t free() const { return in(budget::RowState::free); }
  std::span<shm::Row> rows() { return rows_; }

 private:
  std::vector<shm::Row> rows_;
  std::atomic<std::uint32_t> limit_;

 public:
  std::shared_ptr<budget::Share> share;
};

}  // namespace sluice::test
