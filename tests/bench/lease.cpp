// The cost of a lease: taken and given back by one coroutine while connections are free, with statistics, call sites and the
// permit's row written as in a worker. `bench_lease` prints the ratios to two reads of the clock, which no pool with
// statistics can do without; `bench_lease --cycle SECONDS` prints `sluice <version> <ns>` of co_await acquire() for `run`.
#include <bench/measure.hpp>
#include <bench/stub.hpp>

#include <sluice/core/version.hpp>

#include <cstdlib>
#include <cstring>

using namespace sluice;
using namespace sluice::bench;

namespace {

void try_cycles(pool::Pool& pool, std::uint64_t n) {
  for (std::uint64_t i = 0; i < n; ++i) {
    const pool::Lease lease = pool.try_acquire();
    keep(&lease.connection());
  }
}

awaitable<void> acquire_cycles(pool::Pool& pool, std::uint64_t n) {
  for (std::uint64_t i = 0; i < n; ++i) {
    const pool::Lease lease = co_await pool.acquire();
    keep(&lease.connection());
  }
}

awaitable<std::uint64_t> nothing() { co_return 1; }
awaitable<void> empty_coroutines(std::uint64_t n) {
  for (std::uint64_t i = 0; i < n; ++i) keep(co_await nothing());
}

double try_acquire(StubPool& stub, std::uint64_t n) {
  return nanos_each(n, [&](std::uint64_t k) { try_cycles(stub.pool(), k); });
}

double acquire(StubPool& stub, std::uint64_t n) {
  return nanos_each(n, [&](std::uint64_t k) { stub.run([&stub, k] { return acquire_cycles(stub.pool(), k); }); });
}

double empty_coroutine(StubPool& stub, std::uint64_t n) {
  return nanos_each(n, [&](std::uint64_t k) { stub.run([k] { return empty_coroutines(k); }); });
}

double two_clock_reads(std::uint64_t n) {
  return nanos_each(n, [](std::uint64_t k) {
    for (std::uint64_t i = 0; i < k; ++i) {
      keep(Clock::now());
      keep(Clock::now());
    }
  });
}

// What a pinned connection costs for each use, and what a pointer costs.
double uses(pool::Connection* const* at, std::uint64_t n) {
  return nanos_each(n, [at](std::uint64_t k) {
    for (std::uint64_t i = 0; i < k; ++i) keep((*at)->session);
  });
}
double pinned_uses(const pool::Pinned& pinned, std::uint64_t n) {
  return nanos_each(n, [&pinned](std::uint64_t k) {
    for (std::uint64_t i = 0; i < k; ++i) keep(pinned->session);
  });
}

awaitable<void> pin(pool::Pool& pool, pool::Pinned& pinned) { pinned = co_await pool.pin(); }

// By the wall clock, as the peers measure themselves.
double wall_nanos(StubPool& stub, std::uint64_t n) {
  const auto began = std::chrono::steady_clock::now();
  stub.run([&stub, n] { return acquire_cycles(stub.pool(), n); });
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - began).count() / static_cast<double>(n);
}

config::Pool options() {
  config::Pool o;
  o.min_idle = 8;
  o.max = 8;
  return o;
}

}  // namespace

int main(int argc, char** argv) {
  StubPool stub(8, options());
  stub.run([&stub] { return acquire_cycles(stub.pool(), 10'000); });
  if (argc == 3 && std::strcmp(argv[1], "--cycle") == 0) {
    std::vector<double> all;
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(std::atof(argv[2]));
    while (all.size() < 5 || std::chrono::steady_clock::now() < end) all.push_back(wall_nanos(stub, 100'000));
    std::printf("sluice %s %.2f\n", version, median(all));
    return 0;
  }
  constexpr std::uint64_t n = 20'000;
  constexpr int pairs = 11;
  const Pairs tries = take_turns(
      pairs, [&] { return try_acquire(stub, n); }, [&] { return two_clock_reads(n); });
  report("lease.try_acquire", tries, "ns", "× two clock reads", at_most(40, tries.value()));
  const Pairs waits = take_turns(
      pairs, [&] { return acquire(stub, n); }, [&] { return two_clock_reads(n); });
  report("lease.acquire", waits, "ns", "× two clock reads", at_most(50, waits.value()));
  {
    pool::Pinned pinned;
    stub.run([&] { return pin(stub.pool(), pinned); });
    pool::Connection* raw = pinned.connection();
    const Pairs pins = take_turns(
        pairs, [&] { return pinned_uses(pinned, n); }, [&] { return uses(&raw, n); });
    report("lease.pinned", pins, "ns", "× a raw pointer, which 5 ns may be added to", at_most(5, pins.value() - pins.value() / pins.ratio()));
  }
  const Pairs frames = take_turns(
      pairs, [&] { return empty_coroutine(stub, n); }, [&] { return two_clock_reads(n); });
  report("lease.empty_coroutine", frames, "ns", "× two clock reads: what any co_await of an awaitable costs");
}
