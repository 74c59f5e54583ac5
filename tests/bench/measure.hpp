// How the benchmarks measure: ours and what it is compared with take turns (a pair), so that both see the same machine; the
// ratio of each pair is taken, and the median of the ratios is told with the smallest and the largest. One line for each:
//
//   name ratio value unit  [smallest … largest of N pairs]  what the ratio is of; the figure to reach, reached or NOT reached
//
// A machine that is busy with other things moves both sides of a pair; a time alone says little there, a ratio much.
#pragma once

#include <sluice/core/clock.hpp>

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace sluice::bench {

// The compiler must produce this value and must assume that memory was read and written.
template <class T>
inline void keep(T const& value) {
  asm volatile("" : : "r,m"(value) : "memory");
}

inline double median(std::vector<double> v) {
  if (v.empty()) return 0;
  std::sort(v.begin(), v.end());
  return v.size() % 2 ? v[v.size() / 2] : (v[v.size() / 2 - 1] + v[v.size() / 2]) / 2;
}

// Time of this thread on a processor, in nanoseconds: what other programs take meanwhile does not count.
inline double processor_nanos() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// One turn of a benchmark: nanoseconds on a processor for each of `n` calls, the best of `tries` (whatever interrupts only adds).
template <class F>
double nanos_each(std::uint64_t n, F&& body, int tries = 7) {
  double best = 1e300;
  for (int i = 0; i < tries; ++i) {
    const double began = processor_nanos();
    body(n);
    best = std::min(best, (processor_nanos() - began) / static_cast<double>(n));
  }
  return best;
}

struct Pairs {
  std::vector<double> ours;
  std::vector<double> ratios;
  void add(double mine, double other) {
    ours.push_back(mine);
    ratios.push_back(mine / other);
  }
  double value() const { return median(ours); }
  double ratio() const { return median(ratios); }
};

enum class Reach { none, at_most, at_least };

// `measured` is what the figure is about: the value, the ratio, or anything derived from them.
struct Figure {
  Reach how = Reach::none;
  double bound = 0;
  double measured = 0;
  bool reached() const { return how == Reach::none || (how == Reach::at_most ? measured <= bound : measured >= bound); }
};
inline Figure at_most(double bound, double measured) { return {Reach::at_most, bound, measured}; }
inline Figure at_least(double bound, double measured) { return {Reach::at_least, bound, measured}; }

inline void report(const std::string& name, const Pairs& pairs, const char* unit, const std::string& of, Figure figure = {}) {
  const auto [low, high] = std::minmax_element(pairs.ratios.begin(), pairs.ratios.end());
  std::printf("%-36s %9.3f %11.4g %-4s [%.3f … %.3f of %zu pairs] %s", name.c_str(), pairs.ratio(), pairs.value(), unit, *low, *high,
              pairs.ratios.size(), of.c_str());
  if (figure.how != Reach::none)
    std::printf("; figure: %s %g%s", figure.how == Reach::at_most ? "at most" : "at least", figure.bound,
                figure.reached() ? ", reached" : ", NOT reached");
  std::printf("\n");
  std::fflush(stdout);
}

// Ours and the other take turns.
template <class Ours, class Other>
Pairs take_turns(int pairs, Ours&& ours, Other&& other) {
  Pairs result;
  ours();
  other();  // warm
  for (int i = 0; i < pairs; ++i) {
    const double mine = ours();
    result.add(mine, other());
  }
  return result;
}

}  // namespace sluice::bench
