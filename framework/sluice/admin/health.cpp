#include <sluice/admin/health.hpp>

#include <sluice/admin/presentable.hpp>
#include <sluice/admin/views.hpp>
#include <sluice/budget/permit_table.hpp>
#include <sluice/core/text.hpp>

#include <algorithm>

namespace sluice::admin {
namespace {

using nlohmann::json;

class Reasons {
 public:
  void add(std::string subject, std::string reason) { list_.push_back({{"subject", std::move(subject)}, {"reason", std::move(reason)}}); }
  void add(json reasons) {
    for (json& reason : reasons) list_.push_back(std::move(reason));
  }
  bool none() const { return list_.empty(); }
  json take() { return std::move(list_); }

 private:
  json list_ = json::array();
};

std::string worker_name(const shm::Segment& segment, std::size_t slot) {
  return text("worker ", segment.kind_name(segment.slots()[slot].kind.get()), ' ', slot);
}

std::uint64_t ready_workers(const shm::Segment& segment) {
  return static_cast<std::uint64_t>(
      std::count_if(segment.slots().begin(), segment.slots().end(), [](const shm::Slot& s) { return state_of(s) == shm::SlotState::ready; }));
}

void judge_workers(const shm::Segment& segment, const Totals& totals, Reasons& reasons) {
  const std::uint64_t ready = ready_workers(segment);
  if (ready >= totals.workers_wanted) return;
  bool explained = false;
  const auto slots = segment.slots();
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const shm::SlotState state = state_of(slots[i]);
    if (state == shm::SlotState::empty || state == shm::SlotState::ready || state == shm::SlotState::draining) continue;
    const std::string why = presentable(slots[i].reason.get());
    reasons.add(worker_name(segment, i), text(to_text(state), why.empty() ? "" : ": ", why));
    explained = true;
  }
  if (!explained) reasons.add("workers", text(ready, " of ", totals.workers_wanted, " wanted workers are ready"));
}

// After an unclean end no permit is usable until the server has said that the earlier sessions are gone.
bool all_quarantined(const shm::Segment& segment, std::uint32_t server) {
  const budget::Counts rows = budget::count(segment.rows(server).subspan(segment.servers()[server].confirm));
  return rows.of(budget::RowState::quarantined) > 0 && rows.held() + rows.of(budget::RowState::free) == 0;
}

void judge_servers(const shm::Segment& segment, Reasons& reasons) {
  for (std::uint32_t i = 0; i < segment.header().servers; ++i) {
    const shm::Server& server = segment.servers()[i];
    const auto state = static_cast<shm::ServerState>(server.state.get());
    const bool waiting = state == shm::ServerState::ready && all_quarantined(segment, i);
    const bool unaskable = state == shm::ServerState::ready && server.unaskable.get() != 0;
    if (state == shm::ServerState::ready && !waiting && !unaskable) continue;
    const std::string error = presentable(server.janitor_error.get()), arithmetic = presentable(server.arithmetic.get());
    const std::string subject = text("server ", server.name);
    if (waiting) {
      reasons.add(subject, text("every permit waits for the server to confirm that earlier sessions are gone", error.empty() ? "" : ": ", error));
    } else if (unaskable) {
      reasons.add(subject, text("it cannot be asked for its sessions, so the permits of a killed worker do not come back", error.empty() ? "" : ": ", error));
    } else if (state == shm::ServerState::refused) {
      reasons.add(subject, arithmetic.empty() ? "its budget is refused" : text("its budget is refused: ", arithmetic));
    } else {
      reasons.add(subject, text("its capacity has not been asked yet", error.empty() ? "" : ": ", error));
    }
  }
}

struct Reach {
  unsigned reached = 0, failed = 0;
  std::string error;
};

Reach reach(const shm::Segment& segment, std::uint32_t pool) {
  Reach out;
  for (std::uint32_t slot = 0; slot < segment.header().max_workers; ++slot) {
    if (!alive(state_of(segment.slots()[slot]))) continue;
    const shm::PoolStats& stats = segment.pool_stats(slot, pool);
    if (stats.reachable.get() == 1) ++out.reached;
    if (stats.reachable.get() != 2) continue;
    ++out.failed;
    if (out.error.empty()) out.error = presentable(stats.last_error.get());
  }
  return out;
}

void judge_pools(const shm::Segment& segment, Reasons& reasons) {
  for (std::uint32_t pool = 0; pool < segment.header().pools; ++pool) {
    const Reach r = reach(segment, pool);
    if (r.failed == 0) continue;
    reasons.add(text("pool ", segment.pools()[pool].name),
                text("not reachable from ", r.failed, " of ", r.failed + r.reached, " workers", r.error.empty() ? "" : ": ", r.error));
  }
}

void judge_master(const Totals& totals, std::int64_t now, Reasons& reasons) {
  if (totals.tick_nanos == 0) {
    reasons.add("master", "has not ticked yet");
  } else if (const Duration age = std::chrono::nanoseconds(now - totals.tick_nanos); age > tick_age_limit) {
    reasons.add("master", text("has not ticked for ", to_millis(age), " ms"));
  }
}

void judge_instance(const Totals& totals, Reasons& reasons) {
  if (totals.state == shm::InstanceState::stopping || totals.state == shm::InstanceState::stopped)
    reasons.add("instance", text("is ", to_text(totals.state)));
}

json worker_numbers(const shm::Segment& segment, const Totals& totals) {
  return {{"wanted", totals.workers_wanted}, {"ready", ready_workers(segment)}};
}

// What makes the instance useless now, not merely less good.
bool broken(const shm::Segment& segment, const Totals& totals, bool master_silent) {
  if (master_silent || (totals.workers_wanted > 0 && ready_workers(segment) == 0)) return true;
  for (const shm::Server& server : segment.servers()) {
    if (static_cast<shm::ServerState>(server.state.get()) == shm::ServerState::refused) return true;
  }
  for (std::uint32_t pool = 0; pool < segment.header().pools; ++pool) {
    const Reach r = reach(segment, pool);
    if (r.failed > 0 && r.reached == 0) return true;
  }
  return false;
}

json judge_budgets(const shm::Segment& segment, Reasons& reasons) {
  json out = json::array();
  for (std::uint32_t i = 0; i < segment.header().servers; ++i) {
    const shm::Server& server = segment.servers()[i];
    const budget::Counts rows = budget::count(segment.rows(i));
    const std::uint64_t budget = server.budget.get(), quarantined = rows.of(budget::RowState::quarantined);
    std::uint64_t waiting = 0;
    for (std::uint32_t pool = 0; pool < segment.header().pools; ++pool) {
      if (segment.pools()[pool].server != i) continue;
      for (std::uint32_t slot = 0; slot < segment.header().max_workers; ++slot) {
        if (alive(state_of(segment.slots()[slot]))) waiting += segment.pool_stats(slot, pool).waiting.get();
      }
    }
    const std::string subject = text("server ", server.name);
    if (quarantined > 0) reasons.add(subject, text(quarantined, " of ", budget, " permits wait for the server to confirm that it let go"));
    if (waiting > 0 && budget > 0 && rows.of(budget::RowState::free) <= server.confirm)
      reasons.add(subject, text("all ", budget, " permits are taken and ", waiting, " callers wait"));
    out.push_back(
        {{"server", server.name},
         {"budget", budget},
         {"held", rows.held()},
         {"leased", rows.of(budget::RowState::leased)},
         {"free", rows.of(budget::RowState::free)},
         {"quarantined", quarantined},
         {"waiting", waiting},
         {"utilization", budget == 0 ? json(nullptr) : json(static_cast<double>(rows.of(budget::RowState::leased)) / static_cast<double>(budget))}});
  }
  return out;
}

void judge_heartbeats(const shm::Segment& segment, std::int64_t now, Duration hang_timeout, Reasons& reasons) {
  const Duration limit = std::max<Duration>(1s, hang_timeout / 2);
  for (std::size_t i = 0; i < segment.slots().size(); ++i) {
    const shm::Slot& slot = segment.slots()[i];
    if (state_of(slot) != shm::SlotState::ready) continue;
    const std::int64_t age = heartbeat_age(slot, now);
    if (age > limit / 1ns) reasons.add(worker_name(segment, i), text("its event loop has not turned for ", age / 1'000'000, " ms"));
  }
}

}  // namespace

Verdict liveness(const shm::Segment& segment, std::int64_t now) {
  const Totals totals = read_totals(segment.published());
  Reasons reasons;
  judge_master(totals, now, reasons);
  const bool ok = reasons.none();
  const json age = totals.tick_nanos == 0 ? json(nullptr) : json(std::max<std::int64_t>(0, now - totals.tick_nanos) / 1'000'000);
  return {ok, {{"live", ok}, {"tick_age_ms", age}, {"reasons", reasons.take()}}};
}

Verdict startup(const shm::Segment& segment) {
  const Totals totals = read_totals(segment.published());
  const bool ok = totals.state != shm::InstanceState::starting;
  return {ok, {{"started", ok}, {"state", to_text(totals.state)}, {"workers", worker_numbers(segment, totals)}}};
}

Verdict readiness(const shm::Segment& segment) {
  const Totals totals = read_totals(segment.published());
  Reasons reasons;
  if (totals.tick_nanos == 0) reasons.add("master", "has not ticked yet");  // nothing below is known before
  judge_instance(totals, reasons);
  judge_workers(segment, totals, reasons);
  judge_servers(segment, reasons);
  judge_pools(segment, reasons);
  const bool ok = reasons.none();
  return {ok, {{"ready", ok}, {"workers", worker_numbers(segment, totals)}, {"reasons", reasons.take()}}};
}

Verdict health(const shm::Segment& segment, std::int64_t now, Duration hang_timeout, PoolWatch* pools) {
  const Totals totals = read_totals(segment.published());
  Reasons reasons;
  judge_master(totals, now, reasons);
  const bool master_silent = !reasons.none();
  judge_instance(totals, reasons);
  judge_workers(segment, totals, reasons);
  judge_servers(segment, reasons);
  judge_pools(segment, reasons);
  judge_heartbeats(segment, now, hang_timeout, reasons);
  if (pools) reasons.add(pools->reasons(now));
  json servers = judge_budgets(segment, reasons);
  const bool bad = broken(segment, totals, master_silent);
  const char* overall = bad ? "unhealthy" : reasons.none() ? "healthy" : "degraded";
  return {!bad, {{"overall", overall}, {"workers", worker_numbers(segment, totals)}, {"servers", std::move(servers)}, {"reasons", reasons.take()}}};
}

}  // namespace sluice::admin
