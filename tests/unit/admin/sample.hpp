// A segment as an instance in mid-life leaves it: two kinds, three used slots of eight, two servers, two pools.
#pragma once

#include <sluice/admin/process_usage.hpp>
#include <sluice/budget/share.hpp>
#include <sluice/shm/segment.hpp>

#include <cstring>
#include <string_view>

namespace sluice::test {

inline constexpr std::int64_t second = 1'000'000'000;
inline constexpr std::int64_t sample_now = 1'000 * second;

inline void start_life(shm::Segment& segment, std::uint32_t slot, std::uint32_t kind, std::uint64_t generation, std::uint64_t pid) {
  shm::Slot& s = segment.slots()[slot];
  s.state.set(static_cast<std::uint64_t>(shm::SlotState::ready));
  s.kind.set(kind);
  s.generation.set(generation);
  s.restarts.set(generation - 1);
  s.pid.set(pid);
  s.started_nanos.set_signed(sample_now - 60 * second);
  s.ready_nanos.set_signed(sample_now - 60 * second + second / 4);
  s.alive_generation.set(generation);
  s.tid.set(pid);
  s.heartbeat_nanos.set_signed(sample_now - second / 100);
  s.ready.set(1);
}

inline void copy(char* to, std::size_t size, std::string_view from) { std::memcpy(to, from.data(), std::min(size - 1, from.size())); }

inline shm::Segment sample_segment() {
  shm::Shape shape;
  shape.instance = "orders@test";
  shape.application = "orders";
  shape.max_workers = 8;
  shape.kinds = {"web", "jobs"};
  shape.servers = {{"main", 32}, {"audit", 8}};
  shape.pools = {{"main", "postgres", 0, 0}, {"audit", "sqlite", 1, 1}};
  shm::Segment segment = shm::Segment::create(shape);
  segment.header().master_pid = 4000;
  segment.header().started_nanos = sample_now - 100 * second;
  segment.header().started_unix_seconds = 1'700'000'000;

  start_life(segment, 0, 0, 1, 4001);
  start_life(segment, 1, 0, 3, 4002);
  start_life(segment, 4, 1, 1, 4003);
  shm::Slot& crashed = segment.slots()[1];
  crashed.last_exit.set(static_cast<std::uint64_t>(shm::ExitReason::signal));
  crashed.last_exit_status.set(137);
  crashed.exits[static_cast<int>(shm::ExitReason::signal)].set(2);
  crashed.requests.set(1000);
  crashed.request_errors.set(3);
  for (int i = 0; i < 1000; ++i) crashed.request_seconds.record(2'000'000);

  for (std::uint32_t i = 0; i < 2; ++i) {
    segment.servers()[i].state.set(static_cast<std::uint64_t>(shm::ServerState::ready));
    segment.servers()[i].arithmetic.set("floor((20 - 3) x 80 / 100) = 13");
  }
  segment.servers()[0].confirm = 1;
  segment.servers()[0].floor = 1;
  segment.servers()[0].instances = 1;
  segment.servers()[0].total.set(13);
  segment.servers()[0].budget.set(13);
  segment.servers()[0].ended_sessions.set(2);
  segment.servers()[0].confirmed_rows.set(5);
  segment.servers()[1].total.set(4);
  segment.servers()[1].budget.set(4);
  budget::resize(segment.rows(0), 13, sample_now - 50 * second);
  budget::resize(segment.rows(1), 4, sample_now - 50 * second);
  for (std::uint32_t slot : {0u, 1u, 4u}) {
    segment.limits(0)[slot].store(4);
    segment.limits(1)[slot].store(2);
  }

  shm::CallSite& site = segment.call_sites(1)[0];
  copy(site.file, sizeof site.file, "/srv/dev/sluice/apps/orders/orders.cpp");
  copy(site.function, sizeof site.function, "create");
  site.line.store(42);
  const std::atomic<std::uint32_t> limit{4};
  budget::Share share(segment.rows(0), 1, budget::Life{1, 3}, &limit);
  const auto leased = share.claim(sample_now - 10 * second);
  share.connected(*leased, 5151, 77, sample_now - 9 * second);
  share.leased(*leased, 1, sample_now - 2 * second);
  const auto idle = share.claim(sample_now - 10 * second);
  share.connected(*idle, 5152, 78, sample_now - 9 * second);

  shm::PoolStats& pool = segment.pool_stats(1, 0);
  pool.leased.set(1);
  pool.idle.set(1);
  pool.acquires.set(500);
  pool.connects.set(2);
  pool.timeouts.set(4);
  pool.reachable.set(1);
  for (int i = 0; i < 500; ++i) pool.acquire_wait_seconds.record(1'500'000);

  shm::Published& published = segment.published();
  published.tick_nanos.set_signed(sample_now - second / 20);
  published.instance_state.set(static_cast<std::uint64_t>(shm::InstanceState::running));
  published.config_generation.set(1);
  published.workers_wanted.set(3);
  published.workers_ready.set(3);
  published.requests.set(1000);
  published.acquires.set(500);
  published.sequence.store(2);
  return segment;
}

inline std::optional<admin::ProcessUsage> sample_usage(std::int64_t pid, std::int64_t tid) {
  if (pid < 4001 || pid > 4003) return std::nullopt;
  return admin::ProcessUsage{tid == 0 ? 1.5 : 0.5, 9'000'000};
}

}  // namespace sluice::test
