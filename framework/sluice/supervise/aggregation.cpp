#include <sluice/supervise/aggregation.hpp>

#include <atomic>

namespace sluice::supervise {

void publish(const shm::Segment& segment, const Summary& summary, std::int64_t now) noexcept {
  std::uint64_t requests = 0, request_errors = 0, restarts = 0, exits = 0;
  std::uint64_t acquires = 0, timeouts = 0, connects = 0, connect_errors = 0, lost = 0, statements = 0, statement_errors = 0;
  for (std::uint32_t i = 0; i < segment.header().max_workers; ++i) {
    const shm::Slot& slot = segment.slots()[i];
    if (slot.generation.get() == 0) continue;
    requests += slot.requests.get();
    request_errors += slot.request_errors.get();
    restarts += slot.restarts.get();
    for (const auto& n : slot.exits) exits += n.get();
    for (std::uint32_t p = 0; p < segment.header().pools; ++p) {
      const shm::PoolStats& stats = segment.pool_stats(i, p);
      acquires += stats.acquires.get();
      timeouts += stats.timeouts.get();
      connects += stats.connects.get();
      connect_errors += stats.connect_errors.get();
      lost += stats.lost.get();
      statements += stats.statements.get();
      statement_errors += stats.statement_errors.get();
    }
  }
  shm::Published& out = segment.published();
  const std::uint64_t sequence = out.sequence.load(std::memory_order_relaxed);
  out.sequence.store(sequence + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  out.tick_nanos.set_signed(now);
  out.ticks.add();
  out.instance_state.set(static_cast<std::uint64_t>(summary.state));
  out.config_generation.set(summary.config_generation);
  out.workers_wanted.set(summary.workers_wanted);
  out.workers_ready.set(summary.workers_ready);
  out.rollout.set(summary.rollout);
  out.rollout_state.set(static_cast<std::uint64_t>(summary.rollout_state));
  out.rollout_workers.set(summary.rollout_workers);
  out.rollout_replaced.set(summary.rollout_replaced);
  out.requests.set(requests);
  out.request_errors.set(request_errors);
  out.restarts.set(restarts);
  out.exits.set(exits);
  out.acquires.set(acquires);
  out.timeouts.set(timeouts);
  out.connects.set(connects);
  out.connect_errors.set(connect_errors);
  out.lost.set(lost);
  out.statements.set(statements);
  out.statement_errors.set(statement_errors);
  out.sequence.store(sequence + 2, std::memory_order_release);
}

}  // namespace sluice::supervise
