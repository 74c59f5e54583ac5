#include <sluice/admin/pool_watch.hpp>

#include <sluice/admin/presentable.hpp>
#include <sluice/admin/views.hpp>
#include <sluice/core/text.hpp>

namespace sluice::admin {

using nlohmann::json;

PoolWatch::PoolWatch(const shm::Segment& segment)
    : segment_(segment), windows_(std::size_t{segment.header().max_workers} * segment.header().pools) {}

shm::PoolHealth PoolWatch::judge(std::uint32_t slot, std::uint32_t pool, std::int64_t now) {
  return windows_[std::size_t{slot} * segment_.header().pools + pool].judge(segment_.pool_stats(slot, pool), now);
}

json PoolWatch::reasons(std::int64_t now) {
  json out = json::array();
  for (std::uint32_t pool = 0; pool < segment_.header().pools; ++pool) {
    std::uint32_t workers = 0, affected = 0, example = 0;
    shm::Finding worst;
    for (std::uint32_t slot = 0; slot < segment_.header().max_workers; ++slot) {
      if (!alive(state_of(segment_.slots()[slot]))) continue;
      ++workers;
      const shm::PoolHealth health = judge(slot, pool, now);
      if (health.findings.empty() || segment_.pool_stats(slot, pool).reachable.get() == 2) continue;
      if (affected++ > 0 && health.findings.front().weight <= worst.weight) continue;
      worst = health.findings.front();
      example = slot;
    }
    if (affected == 0) continue;
    const std::string where = text("worker ", segment_.kind_name(segment_.slots()[example].kind.get()), ' ', example);
    out.push_back({{"subject", text("pool ", segment_.pools()[pool].name)},
                   {"reason", presentable(text(where, affected > 1 ? text(" and ", affected - 1, " more of ", workers, " workers") : "", ": ", worst.reason))},
                   {"recommendation", presentable(worst.recommendation)}});
  }
  return out;
}

json to_json(const shm::PoolHealth& health) {
  json findings = json::array();
  for (const shm::Finding& finding : health.findings)
    findings.push_back({{"reason", presentable(finding.reason)}, {"recommendation", presentable(finding.recommendation)}});
  return {{"state", to_text(health.state)},
          {"findings", std::move(findings)},
          {"utilization", health.utilization},
          {"acquires_per_second", health.acquires_per_second},
          {"mean_wait_ms", health.mean_wait_ms},
          {"mean_use_ms", health.mean_use_ms},
          {"mean_connect_ms", health.mean_connect_ms},
          {"needed", health.needed}};
}

}  // namespace sluice::admin
