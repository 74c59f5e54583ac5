// Fifty requests at once: connecting takes 150 ms, a statement 2 ms, 5 connections are open and 50 allowed. Waiting a little for
// the five is faster than opening more, and does not burden the server. Prints `sluice <version> <opened beyond the minimum>
// <ms until the last was served>`; `run` takes turns with HikariCP. Arguments as its peer: requests, connect ms, statement ms,
// minimum, maximum.
#include <bench/stub.hpp>

#include <sluice/core/version.hpp>

#include <cstdio>
#include <cstdlib>

using namespace sluice;
using namespace sluice::bench;

namespace {

awaitable<void> request(StubPool& stub, Duration statement, std::uint32_t& served) {
  const pool::Lease lease = co_await stub.pool().acquire();
  asio::steady_timer timer(stub.loop, statement);
  co_await timer.async_wait(use_awaitable);
  ++served;
}

void rethrow(const std::exception_ptr& error) {
  if (error) std::rethrow_exception(error);
}

}  // namespace

int main(int argc, char** argv) {
  const auto argument = [&](int i, long otherwise) { return argc > i ? std::atol(argv[i]) : otherwise; };
  const auto requests = static_cast<std::uint32_t>(argument(1, 50));
  const auto statement = std::chrono::milliseconds(argument(3, 2));
  const auto minimum = static_cast<std::uint32_t>(argument(4, 5)), maximum = static_cast<std::uint32_t>(argument(5, 50));
  config::Pool options;
  options.min_idle = minimum;
  options.max = maximum;
  StubPool stub(maximum, options, config::Server{}.max_connecting);
  stub.server.connect_time = std::chrono::milliseconds(argument(2, 150));
  while (stub.pool().numbers().idle < minimum) stub.loop.run_one();
  const std::uint64_t before = stub.server.connects;

  std::uint32_t served = 0;
  for (std::uint32_t i = 0; i < requests; ++i) asio::co_spawn(stub.loop, request(stub, statement, served), rethrow);
  const auto began = std::chrono::steady_clock::now();
  while (served < requests) stub.loop.run_one();
  const double millis = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
  stub.loop.run_for(1s);  // what was begun for the spike arrives
  std::printf("sluice %s %llu %.2f\n", version, static_cast<unsigned long long>(stub.server.connects - before), millis);
}
