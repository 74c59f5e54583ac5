// sim: runs simulated worlds from seeds and says which invariants broke, how fast, and which kills were tried.
//
//   sim [--seeds N] [--from SEED] [--jobs N]   N seeds over N processes; exit code 1 if one fails or a kill was never tried
//   sim --seed SEED [--trace]                  one seed, exactly as it was
//   sim --scale [INSTANCESxWORKERS]            one server, many instances (1000x64)
#include <sim/report.hpp>
#include <sim/world.hpp>

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <new>
#include <string_view>
#include <thread>
#include <vector>

using namespace sluice;
using namespace sluice::sim;

namespace {

struct Options {
  std::uint64_t seeds = 2000, from = 1, seed = 0;
  std::uint32_t jobs = std::max(1u, std::thread::hardware_concurrency());
  bool trace = false;
  std::uint32_t instances = 0, workers = 64;
};

[[noreturn]] void wrong(std::string_view argument) {
  std::fprintf(stderr, "sim: what is '%.*s'? See the top of tests/sim/main.cpp, or docs/guides/simulator.md\n", static_cast<int>(argument.size()), argument.data());
  std::exit(64);
}

template <class Number>
Number number(std::string_view text) {
  Number n{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || end != text.data() + text.size()) wrong(text);
  return n;
}

Options parse(const std::vector<std::string_view>& arguments) {
  Options o;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view name = arguments[i];
    const auto value = [&]() -> std::string_view {
      if (++i == arguments.size()) wrong(name);
      return arguments[i];
    };
    if (name == "--seeds") {
      o.seeds = number<std::uint64_t>(value());
    } else if (name == "--from") {
      o.from = std::max<std::uint64_t>(1, number<std::uint64_t>(value()));
    } else if (name == "--jobs") {
      o.jobs = std::clamp(number<std::uint32_t>(value()), 1u, 256u);
    } else if (name == "--seed") {
      o.seed = number<std::uint64_t>(value());
    } else if (name == "--trace") {
      o.trace = true;
    } else if (name == "--scale") {
      o.instances = 1000;
      if (i + 1 < arguments.size() && arguments[i + 1][0] != '-') {
        const std::string_view shape = value();
        const std::size_t x = shape.find('x');
        if (x == std::string_view::npos) wrong(shape);
        o.instances = number<std::uint32_t>(shape.substr(0, x));
        o.workers = number<std::uint32_t>(shape.substr(x + 1));
      }
    } else {
      wrong(name);
    }
  }
  return o;
}

double seconds_since(std::chrono::steady_clock::time_point start) { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); }

Outcome run_one(const Scenario& scenario, Stacks& stacks, Coverage& coverage, bool trace) {
  World world(scenario, stacks, coverage, trace);
  return world.run();
}

int run_seed(const Options& o) {
  Stacks stacks;
  Coverage coverage;
  const Outcome outcome = run_one(scenario_of(o.seed), stacks, coverage, o.trace);
  std::printf("seed %llu: %s; %llu steps, %llu kills, %llu fleets, %llu leases, at most %u sessions\n", static_cast<unsigned long long>(o.seed),
              outcome.failure.empty() ? "every invariant held" : outcome.failure.c_str(), static_cast<unsigned long long>(outcome.steps),
              static_cast<unsigned long long>(outcome.kills), static_cast<unsigned long long>(outcome.fleets), static_cast<unsigned long long>(outcome.leases),
              outcome.most_sessions);
  return outcome.failure.empty() ? 0 : 1;
}

int run_scale(const Options& o) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;  // one segment for each instance
  ::setrlimit(RLIMIT_NOFILE, &files);
  Stacks stacks;
  Coverage coverage;
  const auto start = std::chrono::steady_clock::now();
  const Outcome outcome = run_one(crowd(1, o.instances, o.workers), stacks, coverage, o.trace);
  const double took = seconds_since(start);
  std::printf("%u instances × %u workers on one server: %s\n", o.instances, o.workers, outcome.failure.empty() ? "every invariant held" : outcome.failure.c_str());
  std::printf("%llu steps, %llu leases, %llu kills, %llu fleets, at most %u sessions; %.1f s for %.1f simulated, %.0f ns a step\n",
              static_cast<unsigned long long>(outcome.steps), static_cast<unsigned long long>(outcome.leases), static_cast<unsigned long long>(outcome.kills),
              static_cast<unsigned long long>(outcome.fleets), outcome.most_sessions, took, std::chrono::duration<double>(outcome.simulated).count(),
              took * 1e9 / static_cast<double>(std::max<std::uint64_t>(outcome.steps, 1)));
  return outcome.failure.empty() ? 0 : 1;
}

// Seeds first, first + jobs, …, into memory that the parent reads.
void run_shard(const Options& o, std::uint32_t job, Shard& shard) {
  Stacks stacks;
  for (std::uint64_t seed = o.from + job; seed < o.from + o.seeds; seed += o.jobs) {
    shard.seed = seed;
    shard.add(seed, run_one(scenario_of(seed), stacks, shard.coverage, false));
    if (shard.failed == Shard::most_failures) break;  // enough to look into
  }
  shard.finished = true;
}

int run_seeds(const Options& o) {
  void* memory = ::mmap(nullptr, sizeof(Shard) * o.jobs, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 70;
  auto* shards = static_cast<Shard*>(memory);
  const auto start = std::chrono::steady_clock::now();
  std::vector<pid_t> children;
  for (std::uint32_t job = 0; job < o.jobs; ++job) {
    new (&shards[job]) Shard();
    const pid_t child = ::fork();
    if (child < 0) return 70;
    if (child == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      run_shard(o, job, shards[job]);
      std::fflush(stdout);
      std::_Exit(0);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) ::waitpid(child, nullptr, 0);
  return report({shards, o.jobs}, o.seeds, seconds_since(start));
}

}  // namespace

int main(int argc, char** argv) {
  const Options o = parse({argv + 1, argv + argc});
  if (o.instances > 0) return run_scale(o);
  return o.seed > 0 ? run_seed(o) : run_seeds(o);
}
