#include <sluice/admin/views.hpp>

#include <sluice/admin/presentable.hpp>
#include <sluice/budget/permit_table.hpp>
#include <sluice/core/text.hpp>

#include <algorithm>

namespace sluice::admin {
namespace {

using nlohmann::json;

json null_if_zero(std::uint64_t n) { return n == 0 ? json(nullptr) : json(n); }

std::int64_t millis_since(std::int64_t then, std::int64_t now) { return std::max<std::int64_t>(0, now - then) / 1'000'000; }

json slot_name(std::uint16_t slot) {
  if (slot == budget::janitor_slot) return "janitor";
  if (slot == budget::earlier_slot) return "earlier";
  return slot;
}

json call_site(const shm::Segment& segment, const budget::RowView& row) {
  const std::uint16_t slot = row.owner.life.slot;
  if (row.call_site == 0 || row.call_site > shm::call_sites_per_slot || slot >= segment.header().max_workers) return nullptr;
  const shm::CallSite& site = segment.call_sites(slot)[row.call_site - 1];
  const std::uint32_t line = site.line.load(std::memory_order_acquire);
  if (line == 0) return nullptr;
  const std::string_view file(site.file, ::strnlen(site.file, sizeof site.file));
  const std::string_view function(site.function, ::strnlen(site.function, sizeof site.function));
  return presentable(text(short_path(file), ':', line, ' ', function));
}

json worker_view(const shm::Segment& segment, std::size_t index, std::int64_t now, const std::optional<ProcessUsage>& usage) {
  const shm::Slot& slot = segment.slots()[index];
  const shm::SlotState state = state_of(slot);
  const bool known = slot.alive_generation.get() == slot.generation.get();  // this life has written its own cells
  const std::int64_t age = heartbeat_age(slot, now);
  const std::int64_t started = slot.started_nanos.get_signed(), ready = slot.ready_nanos.get_signed();
  const auto exit = static_cast<shm::ExitReason>(slot.last_exit.get());
  return {
      {"kind", segment.kind_name(slot.kind.get())},
      {"slot", index},
      {"generation", slot.generation.get()},
      {"state", to_text(state)},
      {"pid", null_if_zero(slot.pid.get())},
      {"tid", known && slot.pid.get() != 0 ? null_if_zero(slot.tid.get()) : json(nullptr)},
      {"heartbeat_age_ms", age < 0 ? json(nullptr) : json(age / 1'000'000)},
      {"heartbeat_max_gap_ms", known ? static_cast<double>(slot.heartbeat_max_gap_nanos.get() / 1000) / 1000.0 : 0.0},
      {"restarts", slot.restarts.get()},
      {"uptime_ms", alive(state) && started != 0 ? json(millis_since(started, now)) : json(nullptr)},
      {"ready_ms", ready != 0 && ready >= started ? json((ready - started) / 1'000'000) : json(nullptr)},
      {"retry_in_ms", state == shm::SlotState::backoff ? json(millis_since(now, slot.retry_at_nanos.get_signed())) : json(nullptr)},
      {"last_exit", exit == shm::ExitReason::none ? json(nullptr) : json(to_text(exit))},
      {"last_exit_status", exit == shm::ExitReason::none ? json(nullptr) : json(slot.last_exit_status.get())},
      {"requests", slot.requests.get()},
      {"request_errors", slot.request_errors.get()},
      {"in_flight", slot.requests_in_flight.get()},
      {"client_connections", slot.client_connections.get()},
      {"rss_bytes", usage ? json(usage->rss_bytes) : json(nullptr)},
      {"cpu_seconds", usage ? json(usage->cpu_seconds) : json(nullptr)},
      {"reason", presentable(slot.reason.get())},
  };
}

}  // namespace

bool alive(shm::SlotState state) noexcept {
  return state == shm::SlotState::starting || state == shm::SlotState::ready || state == shm::SlotState::draining;
}

shm::SlotState state_of(const shm::Slot& slot) noexcept { return static_cast<shm::SlotState>(slot.state.get()); }

std::int64_t heartbeat_age(const shm::Slot& slot, std::int64_t now) noexcept {
  const std::int64_t beat = slot.heartbeat_nanos.get_signed();
  if (beat == 0 || slot.pid.get() == 0 || slot.alive_generation.get() != slot.generation.get()) return -1;
  return std::max<std::int64_t>(0, now - beat);
}

std::string_view short_path(std::string_view file) noexcept {
  constexpr std::string_view ours = "sluice/";
  if (const std::size_t at = file.rfind(ours); at != std::string_view::npos) return file.substr(at + ours.size());
  std::size_t slash = file.rfind('/');
  if (slash == std::string_view::npos || slash == 0) return file;
  slash = file.rfind('/', slash - 1);
  return slash == std::string_view::npos ? file : file.substr(slash + 1);
}

nlohmann::json quantile_ms(const shm::Histogram& histogram, double p) {
  std::uint64_t counts[shm::Histogram::buckets];
  std::uint64_t total = 0;
  for (int i = 0; i < shm::Histogram::buckets; ++i) total += counts[i] = histogram.count[i].get();
  if (total == 0) return nullptr;
  const double rank = p * static_cast<double>(total);
  double below = 0;
  for (int i = 0; i < shm::Histogram::buckets - 1; ++i) {
    const auto here = static_cast<double>(counts[i]);
    if (here > 0 && below + here >= rank) {
      const double low = i == 0 ? 0 : shm::Histogram::upper_bound_seconds(i - 1), high = shm::Histogram::upper_bound_seconds(i);
      return (low + (high - low) * (rank - below) / here) * 1e3;
    }
    below += here;
  }
  return shm::Histogram::upper_bound_seconds(shm::Histogram::buckets - 2) * 1e3;  // beyond the last bound: at least that
}

Totals read_totals(const shm::Published& p) noexcept {
  Totals t;
  for (int attempt = 0; attempt < 1000; ++attempt) {
    const std::uint64_t before = p.sequence.load(std::memory_order_acquire);
    t.requests = p.requests.get();
    t.request_errors = p.request_errors.get();
    t.acquires = p.acquires.get();
    t.timeouts = p.timeouts.get();
    t.connects = p.connects.get();
    t.connect_errors = p.connect_errors.get();
    t.lost = p.lost.get();
    t.restarts = p.restarts.get();
    t.exits = p.exits.get();
    t.statements = p.statements.get();
    t.statement_errors = p.statement_errors.get();
    t.config_generation = p.config_generation.get();
    t.workers_wanted = p.workers_wanted.get();
    t.rollout = p.rollout.get();
    t.rollout_workers = p.rollout_workers.get();
    t.rollout_replaced = p.rollout_replaced.get();
    t.rollout_state = static_cast<shm::RolloutState>(p.rollout_state.get() & 3);
    t.tick_nanos = p.tick_nanos.get_signed();
    t.state = static_cast<shm::InstanceState>(p.instance_state.get() & 3);
    std::atomic_thread_fence(std::memory_order_acquire);
    if ((before & 1) == 0 && p.sequence.load(std::memory_order_relaxed) == before) break;
  }
  return t;
}

json workers_view(const shm::Segment& segment, std::int64_t now, const UsageReader& read) {
  json out = json::array();
  const auto usage = usage_by_slot(segment, read);
  for (std::size_t i = 0; i < usage.size(); ++i) {
    if (state_of(segment.slots()[i]) != shm::SlotState::empty) out.push_back(worker_view(segment, i, now, usage[i]));
  }
  return out;
}

json servers_view(const shm::Segment& segment) {
  using budget::RowState;
  json out = json::array();
  for (std::uint32_t i = 0; i < segment.header().servers; ++i) {
    const shm::Server& server = segment.servers()[i];
    const budget::Counts rows = budget::count(segment.rows(i));
    out.push_back({
        {"server", server.name},
        {"state", to_text(static_cast<shm::ServerState>(server.state.get()))},
        {"total", server.total.get()},
        {"budget", server.budget.get()},
        {"wished_total", null_if_zero(server.wished_total.get())},
        {"in_force", static_cast<std::uint32_t>(segment.rows(i).size()) - rows.of(RowState::disabled)},
        {"shrinking", server.shrinking.get() != 0},
        {"held", rows.held()},
        {"free", rows.of(RowState::free)},
        {"quarantined", rows.of(RowState::quarantined)},
        {"granted", rows.of(RowState::granted)},
        {"connecting", rows.of(RowState::connecting)},
        {"idle", rows.of(RowState::idle)},
        {"leased", rows.of(RowState::leased)},
        {"closing", rows.of(RowState::closing)},
        {"disabled", rows.of(RowState::disabled)},
        {"confirm", server.confirm},
        {"floor", server.floor},
        {"elastic", server.elastic != 0},
        {"instances", server.instances},
        {"capacity", server.capacity},
        {"arithmetic", presentable(server.arithmetic.get())},
        {"janitor_error", presentable(server.janitor_error.get())},
        {"sessions_ended", server.ended_sessions.get()},
        {"permits_confirmed", server.confirmed_rows.get()},
    });
  }
  return out;
}

json pools_view(const shm::Segment& segment, PoolWatch* watch, std::int64_t now) {
  json out = json::array();
  for (std::uint32_t pool = 0; pool < segment.header().pools; ++pool) {
    const shm::PoolInfo& info = segment.pools()[pool];
    for (std::uint32_t slot = 0; slot < segment.header().max_workers; ++slot) {
      if (state_of(segment.slots()[slot]) == shm::SlotState::empty) continue;
      const shm::PoolStats& s = segment.pool_stats(slot, pool);
      const std::uint32_t part = segment.limits(info.server)[slot].load(std::memory_order_relaxed);
      const std::uint64_t reachable = s.reachable.get();
      out.push_back({
          {"pool", info.name},
          {"server", segment.servers()[info.server].name},
          {"slot", slot},
          {"limit", info.max == 0 ? part : std::min(part, info.max)},
          {"held", s.idle.get() + s.leased.get() + s.connecting.get() + s.closing.get()},
          {"idle", s.idle.get()},
          {"leased", s.leased.get()},
          {"in_flight", s.leased.get() + s.multiplexed.get()},
          {"connecting", s.connecting.get()},
          {"closing", s.closing.get()},
          {"waiting", s.waiting.get()},
          {"acquires", s.acquires.get()},
          {"timeouts", s.timeouts.get()},
          {"queue_full", s.queue_full.get()},
          {"connects", s.connects.get()},
          {"connect_errors", s.connect_errors.get()},
          {"lost", s.lost.get()},
          {"leaks", s.leaks.get()},
          {"deadlocks", s.deadlocks.get()},
          {"lent", s.lent.get()},
          {"borrowed", s.borrowed.get()},
          {"statements", s.statements.get()},
          {"statement_errors", s.statement_errors.get()},
          {"reachable", reachable == 0 ? json(nullptr) : json(reachable == 1)},
          {"last_error", presentable(s.last_error.get())},
          {"acquire_wait_p50_ms", quantile_ms(s.acquire_wait_seconds, 0.5)},
          {"acquire_wait_p99_ms", quantile_ms(s.acquire_wait_seconds, 0.99)},
          {"health", watch ? to_json(watch->judge(slot, pool, now)) : json(nullptr)},
      });
    }
  }
  return out;
}

json permits_view(const shm::Segment& segment, std::int64_t now) {
  json out = json::array();
  for (std::uint32_t server = 0; server < segment.header().servers; ++server) {
    const auto rows = segment.rows(server);
    for (std::uint32_t i = 0; i < rows.size(); ++i) {
      const budget::RowView row = budget::read(rows, i);
      if (row.owner.state == budget::RowState::disabled) continue;
      const bool owned = row.owner.state != budget::RowState::free;
      out.push_back({
          {"server", segment.servers()[server].name},
          {"row", i},
          {"state", to_text(row.owner.state)},
          {"slot", owned ? slot_name(row.owner.life.slot) : json(nullptr)},
          {"generation", owned ? json(row.owner.life.generation) : json(nullptr)},
          {"session", owned ? null_if_zero(row.session) : json(nullptr)},
          {"since_ms", row.changed_nanos == 0 ? json(nullptr) : json(millis_since(row.changed_nanos, now))},
          {"call_site", owned ? call_site(segment, row) : json(nullptr)},
      });
    }
  }
  return out;
}

// The last rolling restart; null: there was none.
json rollout_view(const shm::Published& published, const Totals& t) {
  if (t.rollout == 0) return nullptr;
  return {{"number", t.rollout}, {"state", to_text(t.rollout_state)}, {"workers", t.rollout_workers}, {"replaced", t.rollout_replaced},
          {"text", presentable(published.rollout_text.get())}};
}

json status_view(const shm::Segment& segment, std::int64_t now, const UsageReader& usage) {
  const Totals t = read_totals(segment.published());
  return {
      {"instance", segment.instance()},
      {"application", segment.header().application},
      {"state", to_text(t.state)},
      {"master_pid", segment.header().master_pid},
      {"uptime_ms", millis_since(segment.header().started_nanos, now)},
      {"tick_age_ms", t.tick_nanos == 0 ? json(nullptr) : json(millis_since(t.tick_nanos, now))},
      {"config_generation", t.config_generation},
      {"workers_wanted", t.workers_wanted},
      {"rollout", rollout_view(segment.published(), t)},
      {"workers", workers_view(segment, now, usage)},
      {"servers", servers_view(segment)},
      {"totals",
       {{"requests", t.requests},
        {"request_errors", t.request_errors},
        {"acquires", t.acquires},
        {"timeouts", t.timeouts},
        {"connects", t.connects},
        {"connect_errors", t.connect_errors},
        {"lost", t.lost},
        {"restarts", t.restarts},
        {"exits", t.exits},
        {"statements", t.statements},
        {"statement_errors", t.statement_errors}}},
  };
}

}  // namespace sluice::admin
