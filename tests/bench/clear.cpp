// clear() of 10,000 idle connections against clear() of ten: the call says that they are stale, the loop closes them later.
// How long its longest turn is while it does is told, too: 10,000 closes at once would be as bad as a slow call.
#include <bench/measure.hpp>
#include <bench/stub.hpp>

using namespace sluice;
using namespace sluice::bench;

namespace {

class Cleared {
 public:
  explicit Cleared(std::uint32_t connections) : connections_(connections), stub_(connections, options(connections)) {}

  // Microseconds of the call.
  double clear() {
    stub_.pool().ready();
    stub_.loop.restart();
    while (stub_.pool().numbers().idle < connections_) stub_.loop.run_one();
    double micros = 0;
    asio::post(stub_.loop, [&] {  // from the loop, as everybody calls it
      const double began = processor_nanos();
      stub_.pool().clear();
      micros = (processor_nanos() - began) / 1000;
    });
    while (micros == 0) stub_.loop.run_one();
    drain();
    return micros;
  }
  double longest_turn_micros = 0;

 private:
  static config::Pool options(std::uint32_t connections) {
    config::Pool o;
    o.min_idle = connections;
    o.max = connections;
    return o;
  }
  void drain() {
    for (;;) {
      const pool::Numbers n = stub_.pool().numbers();
      if (n.held == 0) return;
      const double began = processor_nanos();
      if (stub_.loop.poll_one() == 0) {
        stub_.loop.run_one();  // waits for its timer
        continue;
      }
      longest_turn_micros = std::max(longest_turn_micros, (processor_nanos() - began) / 1000);
    }
  }

  std::uint32_t connections_;
  StubPool stub_;
};

}  // namespace

int main() {
  Cleared many(10'000), few(10);
  Pairs pairs, turns;
  many.clear();
  few.clear();
  for (int i = 0; i < 7; ++i) {
    many.longest_turn_micros = few.longest_turn_micros = 0;
    const double mine = many.clear();
    pairs.add(mine, few.clear());
    turns.add(many.longest_turn_micros, few.longest_turn_micros);
  }
  report("clear.10000", pairs, "us", "× clear() of ten connections", at_most(10, pairs.value()));
  report("clear.longest_turn", turns, "us", "× the longest turn of the loop while ten are closed");
}
