#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <random>
#include <string_view>

#include "options.hpp"

namespace chaos {

Options& options() {
  static Options given;
  return given;
}

}  // namespace chaos

int main(int argc, char** argv) {
  chaos::options().seed = std::random_device{}();
  for (int i = 1; i + 1 < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--seconds") chaos::options().duration = std::chrono::seconds(std::atoi(argv[i + 1]));
    if (name == "--seed") chaos::options().seed = std::strtoull(argv[i + 1], nullptr, 10);
  }
  if (chaos::options().duration.count() <= 0) {
    std::fprintf(stderr, "chaos: --seconds needs a number above 0\n");
    return 64;
  }
  doctest::Context context(argc, argv);
  return context.run();
}
