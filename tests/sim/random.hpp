// The only source of chance in the simulator: the same seed gives the same numbers on every machine.
#pragma once

#include <sluice/core/clock.hpp>

#include <cstdint>

namespace sluice::sim {

class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : state_(seed) {}

  // SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").
  std::uint64_t next() noexcept {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  double unit() noexcept { return static_cast<double>(next() >> 11) * 0x1p-53; }  // [0, 1)
  bool chance(double p) noexcept { return unit() < p; }
  // [0, n); n > 0
  std::uint32_t below(std::uint32_t n) noexcept { return static_cast<std::uint32_t>((next() >> 32) * n >> 32); }
  // Both ends included.
  std::uint32_t from(std::uint32_t least, std::uint32_t most) noexcept { return least + below(most - least + 1); }
  Duration between(Duration least, Duration most) noexcept {
    return least + Duration(static_cast<Duration::rep>(static_cast<double>((most - least).count()) * unit()));
  }

 private:
  std::uint64_t state_;
};

}  // namespace sluice::sim
