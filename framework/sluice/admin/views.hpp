// The JSON documents of the control API, as pure functions of the segment and an instant (CLOCK_MONOTONIC nanoseconds).
// Their shapes are a contract with scripts: docs/guides/control-api.md describes them, tests hold them.
#pragma once

#include <sluice/admin/pool_watch.hpp>
#include <sluice/admin/process_usage.hpp>
#include <sluice/shm/segment.hpp>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace sluice::admin {

nlohmann::json status_view(const shm::Segment& segment, std::int64_t now, const UsageReader& usage);
// Slots that are not `empty`, lowest first.
nlohmann::json workers_view(const shm::Segment& segment, std::int64_t now, const UsageReader& usage);
// One object per server.
nlohmann::json servers_view(const shm::Segment& segment);
// Every pool in every slot that is not `empty`; with `watch` and its health at `now`.
nlohmann::json pools_view(const shm::Segment& segment, PoolWatch* watch = nullptr, std::int64_t now = 0);
// Every row that is not `disabled`.
nlohmann::json permits_view(const shm::Segment& segment, std::int64_t now);

// The path behind the last "sluice/", else the last two components: enough to find the file, short enough for a table.
std::string_view short_path(std::string_view file) noexcept;

// The p-quantile (0 < p ≤ 1) in milliseconds, interpolated within its bucket; null without observations.
nlohmann::json quantile_ms(const shm::Histogram& histogram, double p);

// Nanoseconds since the heartbeat of the slot's present life, or -1 before its first.
std::int64_t heartbeat_age(const shm::Slot& slot, std::int64_t now) noexcept;

// True while a life is in the slot: its gauges mean something.
bool alive(shm::SlotState state) noexcept;
shm::SlotState state_of(const shm::Slot& slot) noexcept;

// The published totals, read as one consistent set unless the master stopped in the middle of writing them.
struct Totals {
  std::uint64_t requests = 0, request_errors = 0, acquires = 0, timeouts = 0, connects = 0, connect_errors = 0, lost = 0, restarts = 0, exits = 0,
                statements = 0, statement_errors = 0;
  std::uint64_t config_generation = 0, workers_wanted = 0;
  std::uint64_t rollout = 0, rollout_workers = 0, rollout_replaced = 0;
  shm::RolloutState rollout_state = shm::RolloutState::none;
  std::int64_t tick_nanos = 0;
  shm::InstanceState state = shm::InstanceState::starting;
};
Totals read_totals(const shm::Published& published) noexcept;

}  // namespace sluice::admin
