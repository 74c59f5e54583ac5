// A histogram of durations in shared memory: fixed buckets in powers of two from 1 µs to 67 s, one writer.
#pragma once

#include <sluice/shm/cell.hpp>

#include <array>
#include <bit>
#include <cstdint>

namespace sluice::shm {

struct Histogram {
  static constexpr int buckets = 28;  // upper bounds 1 µs × 2^i for i < 27; the last is +Inf
  Cell count[buckets];
  Cell sum_nanos;

  static constexpr int index(std::uint64_t nanos) noexcept {
    const std::uint64_t micros = (nanos + 999) / 1000;
    if (micros <= 1) return 0;
    const int i = std::bit_width(micros - 1);
    return i < buckets - 1 ? i : buckets - 1;
  }
  static constexpr double upper_bound_seconds(int i) noexcept { return static_cast<double>(std::uint64_t{1} << i) * 1e-6; }

  void record(std::uint64_t nanos) noexcept {
    count[index(nanos)].add();
    sum_nanos.add(nanos);
  }
  std::uint64_t total() const noexcept {
    std::uint64_t n = 0;
    for (const auto& c : count) n += c.get();
    return n;
  }
};

}  // namespace sluice::shm
