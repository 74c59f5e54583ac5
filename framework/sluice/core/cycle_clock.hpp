// CLOCK_MONOTONIC, counted on for at most a millisecond by the processor's time stamp counter: half the price of asking the
// kernel's page, and a pool reads the clock twice for every lease.
//
// Guarantees: never back within a thread; behind CLOCK_MONOTONIC by less than a microsecond and not ahead of it, so that
// instants of other threads and processes compare. It counts a little slow on purpose, so that meeting CLOCK_MONOTONIC again
// is always a small step forward. Whatever happens to the counter (another machine, a suspend), an error is less than a
// millisecond and as short: then the counter no longer agrees with what was measured, and the kernel is asked until it was
// measured anew. Where the kernel does not use the counter itself, every call asks the kernel. Any thread; no locks.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace sluice {

// Nanoseconds of CLOCK_MONOTONIC from the kernel.
std::int64_t kernel_clock_nanos() noexcept;
// True if cycle_clock_nanos() reads the counter.
bool cycle_clock_available() noexcept;

#if defined(__x86_64__)

// One thread's: an instant in both units, and how far it may count on from there. A pure state machine.
class CycleClock {
 public:
  // Reading `cycles` of the counter means this instant; nothing if the kernel must be asked.
  bool knows(std::uint64_t cycles) const noexcept { return cycles - cycles_ < trusted_cycles_; }
  // REQUIRES: knows(cycles)
  std::int64_t nanos(std::uint64_t cycles) const noexcept { return after(cycles - cycles_); }

  // Both clocks were read together: counts on from there. Returns the instant, never one before those told already.
  std::int64_t join(std::uint64_t cycles, std::int64_t nanos) noexcept;
  // Only the kernel's clock could be read: the instant, never one before those told already.
  std::int64_t raise(std::int64_t nanos) const noexcept;

  static constexpr std::int64_t trusted_nanos = 1'000'000;
  static constexpr std::int64_t least_measured_nanos = 10'000'000;    // of two reads that tell a rate
  static constexpr std::int64_t most_measured_nanos = 1'000'000'000;  // then the measuring starts again: the kernel trims its own rate
  static constexpr std::uint64_t slowness = 2048;                     // counts slow by 1 part in so many
  static constexpr std::uint64_t agreement = 1024;                    // two measured rates agree within 1 part in so many

 private:
  std::int64_t after(std::uint64_t passed) const noexcept { return nanos_ + static_cast<std::int64_t>((passed * slow_rate_) >> 32); }
  void measure(std::uint64_t cycles, std::int64_t nanos) noexcept;
  void forget(std::uint64_t cycles, std::int64_t nanos) noexcept;

  std::uint64_t cycles_ = 0;
  std::uint64_t trusted_cycles_ = 0;  // 0: no rate is known
  std::uint64_t slow_rate_ = 0;       // nanoseconds for each cycle, in units of 2^-32
  std::int64_t nanos_ = 0;
  std::uint64_t rate_ = 0;           // last measured; 0: not yet
  std::uint64_t anchor_cycles_ = 0;  // where the measuring started
  std::int64_t anchor_nanos_ = 0;
};

inline constinit thread_local CycleClock cycle_clock{};
std::int64_t join_kernel_clock() noexcept;

inline std::int64_t cycle_clock_nanos() noexcept {
  const std::uint64_t cycles = __rdtsc();
  if (cycle_clock.knows(cycles)) [[likely]]
    return cycle_clock.nanos(cycles);
  return join_kernel_clock();
}

#else

inline std::int64_t cycle_clock_nanos() noexcept { return kernel_clock_nanos(); }

#endif

}  // namespace sluice
