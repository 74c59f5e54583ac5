// Ten thousand callers wait for eight connections. Each that is served gives back at once and waits again, so every lease is a
// hand-off. Held against one turn of the loop for a coroutine that posts itself, which a hand-off cannot do without.
// Memory is counted in the allocator: bytes (with the allocator's own word) handed out while 10,000 callers, whose own frames
// exist already, begin to wait. Allocations are counted over the hand-offs after every caller has waited once.
#include <bench/measure.hpp>
#include <bench/stub.hpp>

#include <malloc.h>

#include <cstdlib>
#include <vector>

namespace {

bool counting = false;
std::uint64_t allocations = 0, allocated_bytes = 0;

void* counted(void* p) noexcept {
  if (counting && p) {
    ++allocations;
    allocated_bytes += ::malloc_usable_size(p) + sizeof(std::size_t);
  }
  return p;
}

}  // namespace

extern "C" {
void* __libc_malloc(std::size_t);                 // NOLINT: the C library's own names
void* __libc_memalign(std::size_t, std::size_t);  // NOLINT
void* malloc(std::size_t n) { return counted(__libc_malloc(n)); }
void* aligned_alloc(std::size_t alignment, std::size_t n) { return counted(__libc_memalign(alignment, n)); }
int posix_memalign(void** out, std::size_t alignment, std::size_t n) { return (*out = counted(__libc_memalign(alignment, n))) ? 0 : 12; }
}

using namespace sluice;
using namespace sluice::bench;

namespace {

constexpr std::uint32_t callers = 10'000;
constexpr std::uint32_t connections = 8;
constexpr std::uint64_t rounds = 10;

struct Course {
  std::uint64_t served = 0;
  std::uint64_t out_of_order = 0;
  std::uint32_t ended = 0;
};

awaitable<void> caller(pool::Pool& pool, Course& course, std::uint32_t number) {
  for (std::uint64_t round = 0; round < rounds; ++round) {
    const pool::Lease lease = co_await pool.acquire();
    course.out_of_order += course.served++ % callers != number;
  }
  ++course.ended;
}

awaitable<void> poster(asio::io_context& loop, std::uint64_t n, std::uint32_t& ended) {
  for (std::uint64_t i = 0; i < n; ++i) co_await asio::post(loop, use_awaitable);
  ++ended;
}

void rethrow(const std::exception_ptr& error) {
  if (error) std::rethrow_exception(error);
}

struct Result {
  double nanos = 0;
  double bytes_per_waiter = 0;
  double allocations_per_hand_off = 0;
  std::uint64_t out_of_order = 0;
};

Result hand_offs(StubPool& stub) {
  Result result;
  Course course;
  std::vector<pool::Lease> held;
  for (std::uint32_t i = 0; i < connections; ++i) held.push_back(stub.pool().try_acquire());
  for (std::uint32_t i = 0; i < callers; ++i) asio::co_spawn(stub.loop, caller(stub.pool(), course, i), rethrow);
  stub.loop.restart();
  allocations = allocated_bytes = 0;
  counting = true;
  while (stub.pool().numbers().waiting < callers) stub.loop.poll_one();
  counting = false;
  result.bytes_per_waiter = static_cast<double>(allocated_bytes) / callers;

  held.clear();
  while (course.served < callers) stub.loop.poll_one();
  const std::uint64_t before = course.served;
  allocations = 0;
  counting = true;
  const double began = processor_nanos();
  while (course.served < callers * (rounds - 1)) stub.loop.poll_one();
  const double nanos = processor_nanos() - began;
  counting = false;
  const auto n = static_cast<double>(course.served - before);
  result.nanos = nanos / n;
  result.allocations_per_hand_off = static_cast<double>(allocations) / n;
  while (course.ended < callers) stub.loop.poll_one();
  result.out_of_order = course.out_of_order;
  return result;
}

double posts(StubPool& stub) {
  std::uint32_t ended = 0;
  for (std::uint32_t i = 0; i < callers; ++i) asio::co_spawn(stub.loop, poster(stub.loop, rounds, ended), rethrow);
  stub.loop.restart();
  const double began = processor_nanos();
  while (ended < callers) stub.loop.poll_one();
  return (processor_nanos() - began) / (callers * static_cast<double>(rounds + 1));
}

}  // namespace

int main() {
  config::Pool options;
  options.min_idle = connections;
  options.max = connections;
  options.acquire_timeout = 0s;
  StubPool stub(connections, options);
  while (stub.pool().numbers().idle < connections) stub.loop.run_one();

  Pairs pairs, memory, allocated;
  std::uint64_t out_of_order = 0;
  for (int i = 0; i < 7; ++i) {
    const Result result = hand_offs(stub);
    pairs.add(result.nanos, posts(stub));
    memory.add(result.bytes_per_waiter, 256);
    allocated.ours.push_back(result.allocations_per_hand_off);
    allocated.ratios.push_back(result.allocations_per_hand_off);
    out_of_order += result.out_of_order;
  }
  report("waiters.hand_off", pairs, "ns", "× one post of a coroutine", at_most(1000, pairs.value()));
  report("waiters.memory", memory, "B", "of 256 bytes for each waiter, with the frame that Asio keeps it in; the caller's own not counted",
         at_most(256, memory.value()));
  report("waiters.allocations", allocated, "", "allocations for each hand-off, once everybody has waited", at_most(0.001, allocated.value()));
  std::printf("%-36s %9.3f %11llu %-4s of %llu leases were not served first come, first served; figure: at most 0, %s\n", "waiters.out_of_order", 0.0,
              static_cast<unsigned long long>(out_of_order), "", static_cast<unsigned long long>(7 * callers * rounds),
              out_of_order == 0 ? "reached" : "NOT reached");
}
