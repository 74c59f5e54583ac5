// What a seed means: the shape of the fleet, its load, how its server behaves, and what goes wrong. Everything else that happens
// is drawn while it runs, from the same seed.
#pragma once

#include <sluice/config/config.hpp>
#include <sluice/core/clock.hpp>

#include <cstdint>
#include <optional>
#include <string_view>

namespace sluice::sim {

struct Load {
  std::uint32_t clients = 3;  // callers per worker; each thinks, acquires, holds, gives back
  Duration think = 10ms;
  Duration hold = 5ms;
  std::uint32_t skew = 1;     // slot 0's callers think so many times less
  Duration burst = 0ms;       // all callers pause together for as long, and come back together; 0: never
  double leak = 0;            // of the leases: held for so long that a stop does not wait for them
};

struct ServerTraits {
  Duration authentication_timeout = 200ms;
  Duration check_interval = 100ms;  // so often a busy session looks whether its client is still there
  double slow_exit = 0.05;          // sessions that take long to go (a rollback)
  double bad_connect = 0.05;        // refused, hanging or reset connects
  double stuck = 0.01;              // driver operations that hear no deadline
  double reset = 0.03;              // closes that end without proof
};

struct Faults {
  double pause = 0.02;        // at each step: the process stops there for a moment, others go on
  double long_pause = 0.02;   // of those: for up to a second
  double kill = 0.0005;       // at each step
  Duration every = 300ms;     // between two of: kill of a process, scale, new budget, server restart, cut network
  double lost_rings = 0.1;
  std::optional<std::uint32_t> target;  // 2 × transition + (0 before | 1 after): the kill that this seed is for
  double hit = 0.4;           // how likely each occasion for it is taken
  std::string_view linger;    // where processes always stop for a moment: the step whose meetings the target needs
  bool unclean_restarts = true;
};

struct Scenario {
  std::uint64_t seed = 0;
  std::uint32_t instances = 1;
  std::uint32_t slots = 6;    // max_workers
  std::uint32_t workers = 4;
  std::uint32_t threads = 1;  // workers in one process
  std::uint32_t pools = 1;    // on the one server
  config::Server server;
  config::Pool pool;
  config::Restart restart;
  Load load;
  ServerTraits traits;
  Faults faults;
  Duration chaos = 1500ms;    // faults happen for so long
  Duration busy = 0ms;        // then none, under the same load: nobody may starve of what others take
  Duration calm = 5500ms;     // after the last fault, `busy` included; the rest of it is quiet, and everybody must be served
};

// REQUIRES: seed > 0
Scenario scenario_of(std::uint64_t seed);
// `instances` fleets of `workers` on one server, busy, with a kill now and then.
Scenario crowd(std::uint64_t seed, std::uint32_t instances, std::uint32_t workers);

// Each seed takes at least so many steps.
inline constexpr std::uint64_t least_steps = 500;

// Within this long after the last fault every caller is served, every floor reached, every row back in use. The longest chain: a
// janitor waits for its predecessor's session (2 s), sees a row without a session id, waits for the authentication timeout and its
// margin, ends a session after its grace (1 s), and that one takes its time to go.
inline constexpr Duration patience = 5s;

// While it is busy, so long at most is a worker below its floor while another is above its own, whatever is still to be confirmed …
inline constexpr Duration floor_patience = 1s;
// … and so long a caller waits once every row is in use again. Callers are few and come back only when they were served, so
// no wait is long by its load: with one permit it is the leases of all the others, one after the other.
inline constexpr Duration busy_patience = 1500ms;

}  // namespace sluice::sim
