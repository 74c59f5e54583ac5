// What the command line of `chaos` says beside doctest's own options:
//   --seconds N   how long each run goes on (default 25; the long form is 600)
//   --seed N      of the first run (default: at random; printed)
#pragma once

#include <chrono>
#include <cstdint>

namespace chaos {

struct Options {
  std::chrono::seconds duration{25};
  std::uint64_t seed = 0;
};

Options& options();

}  // namespace chaos
