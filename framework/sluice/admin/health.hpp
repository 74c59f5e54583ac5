// What the probes answer, as pure functions of the segment and an instant. A reason is {"subject", "reason"}: what is not
// as it should be and why, in a sentence that is safe to show.
#pragma once

#include <sluice/admin/pool_watch.hpp>
#include <sluice/core/clock.hpp>
#include <sluice/shm/segment.hpp>

#include <cstdint>
#include <nlohmann/json.hpp>

namespace sluice::admin {

// The master ticks several times a second; silence for this long means that it is stopped or stuck.
inline constexpr Duration tick_age_limit = 5s;

struct Verdict {
  bool ok = true;
  nlohmann::json body;
};

// {"live", "tick_age_ms", "reasons"}: the admin process answers and the master ticks.
Verdict liveness(const shm::Segment& segment, std::int64_t now);
// {"started", "state"}: the instance has been complete once.
Verdict startup(const shm::Segment& segment);
// {"ready", "workers": {"wanted", "ready"}, "reasons"}: every wanted worker is ready, every server usable and reachable.
Verdict readiness(const shm::Segment& segment);
// {"overall": "healthy" | "degraded" | "unhealthy", "reasons", "workers", "servers": [{…, "utilization"}]}; unhealthy is not ok.
// Unhealthy: the master is silent, no worker is ready, a server is refused, or no worker reaches a pool's server.
// Degraded: not ready otherwise, a heartbeat older than half of `hang_timeout` (at least 1 s), unconfirmed connections,
// or waiters behind a budget that is used up; with `pools` also pools in which callers wait long or in vain, connections are lost or
// connects fail, with a "recommendation" from their numbers.
Verdict health(const shm::Segment& segment, std::int64_t now, Duration hang_timeout, PoolWatch* pools = nullptr);

}  // namespace sluice::admin
