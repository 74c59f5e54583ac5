#include <sluice/core/cycle_clock.hpp>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <string>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace sluice {

std::int64_t kernel_clock_nanos() noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

#if defined(__x86_64__)
namespace {

// The counter has one rate in all power states, and the kernel, which checks that the processors agree, uses it itself.
bool counter_is_trusted() noexcept {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(0x8000'0007, &a, &b, &c, &d) == 0 || (d & (1u << 8)) == 0) return false;
  try {
    std::ifstream file("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    std::string source;
    return static_cast<bool>(file >> source) && source == "tsc";
  } catch (...) {
    return false;
  }
}

__extension__ using Wide = unsigned __int128;

// With more cycles than this between two reads of the counter, something came in between.
constexpr std::uint64_t undisturbed_cycles = 1000;

}  // namespace

bool cycle_clock_available() noexcept {
  static const bool available = counter_is_trusted();
  return available;
}

std::int64_t CycleClock::raise(std::int64_t nanos) const noexcept { return std::max(nanos, after(trusted_cycles_)); }

std::int64_t CycleClock::join(std::uint64_t cycles, std::int64_t nanos) noexcept {
  const std::int64_t told = raise(nanos);
  // Ahead though it counts slowly, or gone back: this is not the counter that was measured.
  if (anchor_nanos_ == 0 || told > nanos || cycles <= cycles_)
    forget(cycles, nanos);
  else
    measure(cycles, nanos);
  cycles_ = cycles;
  nanos_ = told;
  return told;
}

void CycleClock::forget(std::uint64_t cycles, std::int64_t nanos) noexcept {
  anchor_cycles_ = cycles;
  anchor_nanos_ = nanos;
  rate_ = 0;
  trusted_cycles_ = 0;
}

void CycleClock::measure(std::uint64_t cycles, std::int64_t nanos) noexcept {
  const std::int64_t measured = nanos - anchor_nanos_;
  if (measured < least_measured_nanos) return;
  const auto rate = static_cast<std::uint64_t>((static_cast<Wide>(measured) << 32) / (cycles - anchor_cycles_));
  const std::uint64_t difference = rate > rate_ ? rate - rate_ : rate_ - rate;
  const bool agrees = rate_ > 0 && difference <= rate_ / agreement;
  if (agrees) {
    slow_rate_ = rate - rate / slowness;
    trusted_cycles_ = (static_cast<std::uint64_t>(trusted_nanos) << 32) / rate;
  } else {
    forget(cycles, nanos);
  }
  rate_ = rate;  // the next measurement must agree with it
  if (measured >= most_measured_nanos) {
    anchor_cycles_ = cycles;
    anchor_nanos_ = nanos;
  }
}

std::int64_t join_kernel_clock() noexcept {
  if (!cycle_clock_available()) return kernel_clock_nanos();
  const std::uint64_t before = __rdtsc();
  const std::int64_t nanos = kernel_clock_nanos();
  const std::uint64_t passed = __rdtsc() - before;
  return passed <= undisturbed_cycles ? cycle_clock.join(before + passed / 2, nanos) : cycle_clock.raise(nanos);
}

#else

bool cycle_clock_available() noexcept { return false; }

#endif

}  // namespace sluice
