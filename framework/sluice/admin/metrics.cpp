#include <sluice/admin/metrics.hpp>

#include <sluice/admin/exposition.hpp>
#include <sluice/admin/views.hpp>
#include <sluice/budget/permit_table.hpp>
#include <sluice/core/text.hpp>
#include <sluice/core/version.hpp>

#include <vector>

namespace sluice::admin {
namespace {

// A slot that has had a life, with its labels as text.
struct UsedSlot {
  const shm::Slot* cells;
  std::uint32_t index;
  std::string number;
  std::string_view kind;
  bool present;  // not `empty`: gauges mean something
};

class Page {
 public:
  Page(const shm::Segment& segment, std::int64_t now) : segment_(segment), now_(now) {
    const auto slots = segment.slots();
    for (std::uint32_t i = 0; i < slots.size(); ++i) {
      const bool present = state_of(slots[i]) != shm::SlotState::empty;
      if (present || slots[i].generation.get() != 0) used_.push_back({&slots[i], i, text(i), segment.kind_name(slots[i].kind.get()), present});
    }
  }

  void instance();
  void workers(const UsageReader& read);
  void requests();
  void budgets();
  void pool_gauges();
  void pool_totals();
  void pool_histograms();
  std::string take() && { return std::move(out_).take(); }

 private:
  template <class Value>
  void by_slot(std::string_view name, std::string_view type, std::string_view help, Value value) {
    out_.family(name, type, help);
    for (const UsedSlot& s : used_) value(s, [&](auto v) { out_.sample({{"slot", s.number}, {"kind", s.kind}}, v); });
  }
  template <class Each>
  void each_pool(Each each) {
    for (std::uint32_t pool = 0; pool < segment_.header().pools; ++pool) {
      for (const UsedSlot& s : used_) each(segment_.pools()[pool], s, segment_.pool_stats(s.index, pool));
    }
  }
  void pool_total(std::string_view name, std::string_view help, shm::Cell shm::PoolStats::*cell) {
    out_.family(name, "counter", help);
    each_pool([&](const auto& info, const auto& s, const auto& stats) {
      out_.sample({{"pool", info.name}, {"worker", s.number}}, (stats.*cell).get());
    });
  }
  void pool_histogram(std::string_view name, std::string_view help, shm::Histogram shm::PoolStats::*cells) {
    out_.family(name, "histogram", help);
    each_pool([&](const auto& info, const auto& s, const auto& stats) { out_.histogram({{"pool", info.name}, {"worker", s.number}}, stats.*cells); });
  }

  const shm::Segment& segment_;
  std::int64_t now_;
  std::vector<UsedSlot> used_;
  Exposition out_;
};

void Page::instance() {
  out_.family("sluice_build_info", "gauge", "Always 1; the version of the framework and the application it runs.");
  out_.sample({{"version", version}, {"application", segment_.header().application}, {"instance_id", segment_.instance()}}, 1.0);
  out_.family("sluice_instance_start_time_seconds", "gauge", "When the master started, in seconds since the epoch.");
  out_.sample({}, static_cast<double>(segment_.header().started_unix_seconds));
  const Totals totals = read_totals(segment_.published());
  out_.family("sluice_instance_config_generation", "gauge", "How many configurations this instance has run, from 1.");
  out_.sample({}, totals.config_generation);
}

void Page::workers(const UsageReader& read) {
  const shm::Header& header = segment_.header();
  out_.family("sluice_workers", "gauge", "Worker slots by kind and state.");
  constexpr unsigned states = 7;
  std::vector<std::uint64_t> count(std::size_t{header.kinds} * states);
  for (const UsedSlot& s : used_) {
    const auto state = static_cast<unsigned>(state_of(*s.cells));
    if (s.present && s.cells->kind.get() < header.kinds && state < states) ++count[s.cells->kind.get() * states + state];
  }
  for (std::uint32_t kind = 0; kind < header.kinds; ++kind) {
    for (unsigned state = 1; state < states; ++state)
      out_.sample({{"kind", segment_.kind_name(kind)}, {"state", to_text(static_cast<shm::SlotState>(state))}}, count[kind * states + state]);
  }
  out_.family("sluice_workers_wanted", "gauge", "Workers that the instance is meant to have.");
  out_.sample({}, read_totals(segment_.published()).workers_wanted);

  out_.family("sluice_worker_exits_total", "counter", "Lives that ended, by reason.");
  for (const UsedSlot& s : used_) {
    for (unsigned reason = 1; reason < shm::exit_reasons; ++reason)
      out_.sample({{"slot", s.number}, {"kind", s.kind}, {"reason", to_text(static_cast<shm::ExitReason>(reason))}}, s.cells->exits[reason].get());
  }
  by_slot("sluice_worker_restarts_total", "counter", "Lives after the first.", [](const UsedSlot& s, auto emit) { emit(s.cells->restarts.get()); });

  const auto usage = usage_by_slot(segment_, read);
  by_slot("sluice_worker_cpu_seconds_total", "counter", "User and system CPU time of the present life: of its process, in thread mode of its thread.",
          [&](const UsedSlot& s, auto emit) {
            if (usage[s.index]) emit(usage[s.index]->cpu_seconds);
          });
  by_slot("sluice_worker_memory_rss_bytes", "gauge", "Resident memory of the worker's process; in thread mode its siblings show the same process.",
          [&](const UsedSlot& s, auto emit) {
            if (usage[s.index]) emit(usage[s.index]->rss_bytes);
          });
  by_slot("sluice_worker_heartbeat_age_seconds", "gauge", "Time since the worker's event loop last turned.", [&](const UsedSlot& s, auto emit) {
    if (const std::int64_t age = heartbeat_age(*s.cells, now_); s.present && age >= 0) emit(static_cast<double>(age) * 1e-9);
  });
  by_slot("sluice_worker_start_time_seconds", "gauge", "When the present life started, in seconds since the epoch.",
          [&](const UsedSlot& s, auto emit) {
            if (!alive(state_of(*s.cells)) || s.cells->started_nanos.get() == 0) return;
            emit(static_cast<double>(header.started_unix_seconds) +
                 static_cast<double>(s.cells->started_nanos.get_signed() - header.started_nanos) * 1e-9);
          });
}

void Page::requests() {
  by_slot("sluice_requests_total", "counter", "Requests answered.", [](const UsedSlot& s, auto emit) { emit(s.cells->requests.get()); });
  by_slot("sluice_request_errors_total", "counter", "Requests answered with a status of 500 or above.",
          [](const UsedSlot& s, auto emit) { emit(s.cells->request_errors.get()); });
  by_slot("sluice_requests_in_flight", "gauge", "Requests being handled.", [](const UsedSlot& s, auto emit) {
    if (s.present) emit(s.cells->requests_in_flight.get());
  });
  by_slot("sluice_client_connections", "gauge", "Open connections of clients.", [](const UsedSlot& s, auto emit) {
    if (s.present) emit(s.cells->client_connections.get());
  });
  out_.family("sluice_request_duration_seconds", "histogram", "Time from a complete request to its response.");
  for (const UsedSlot& s : used_) out_.histogram({{"slot", s.number}, {"kind", s.kind}}, s.cells->request_seconds);
}

void Page::budgets() {
  out_.family("sluice_budget_permits", "gauge", "Rows of the permit table by state; disabled rows lie beyond the budget.");
  for (std::uint32_t i = 0; i < segment_.header().servers; ++i) {
    const budget::Counts rows = budget::count(segment_.rows(i));
    for (unsigned state = 0; state < budget::row_states; ++state)
      out_.sample({{"server", segment_.servers()[i].name}, {"state", to_text(static_cast<budget::RowState>(state))}},
                  std::uint64_t{rows.by_state[state]});
  }
  out_.family("sluice_budget_permits_limit", "gauge", "The budget: permits of this instance for the server.");
  for (const shm::Server& server : segment_.servers()) out_.sample({{"server", server.name}}, server.budget.get());
  out_.family("sluice_budget_permits_all_instances", "gauge", "Permits for the server over all instances; 0 while it is not known.");
  for (const shm::Server& server : segment_.servers()) out_.sample({{"server", server.name}}, server.total.get());
  out_.family("sluice_budget_sessions_ended_total", "counter", "Sessions that nobody could use any more, ended on the server by the janitor.");
  for (const shm::Server& server : segment_.servers()) out_.sample({{"server", server.name}}, server.ended_sessions.get());
  out_.family("sluice_budget_permits_confirmed_total", "counter", "Quarantined permits that the janitor gave back.");
  for (const shm::Server& server : segment_.servers()) out_.sample({{"server", server.name}}, server.confirmed_rows.get());
}

void Page::pool_gauges() {
  constexpr std::pair<const char*, shm::Cell shm::PoolStats::*> states[] = {{"idle", &shm::PoolStats::idle},
                                                                            {"leased", &shm::PoolStats::leased},
                                                                            {"connecting", &shm::PoolStats::connecting},
                                                                            {"closing", &shm::PoolStats::closing}};
  out_.family("sluice_pool_connections", "gauge", "Connections of a worker's pool by state.");
  each_pool([&](const auto& info, const auto& s, const auto& stats) {
    if (!s.present) return;
    for (const auto& [name, cell] : states) out_.sample({{"pool", info.name}, {"worker", s.number}, {"state", name}}, (stats.*cell).get());
  });
  out_.family("sluice_pool_connections_limit", "gauge", "Most connections that the worker's pool may hold now.");
  each_pool([&](const auto& info, const auto& s, const auto&) {
    if (!s.present) return;
    const std::uint32_t part = segment_.limits(info.server)[s.index].load(std::memory_order_relaxed);
    out_.sample({{"pool", info.name}, {"worker", s.number}}, std::uint64_t{info.max == 0 ? part : std::min(part, info.max)});
  });
  out_.family("sluice_pool_pending_requests", "gauge", "Coroutines that wait for a connection.");
  each_pool([&](const auto& info, const auto& s, const auto& stats) {
    if (s.present) out_.sample({{"pool", info.name}, {"worker", s.number}}, stats.waiting.get());
  });
}

void Page::pool_totals() {
  using Stats = shm::PoolStats;
  pool_total("sluice_pool_acquires_total", "Leases given.", &Stats::acquires);
  pool_total("sluice_pool_timeouts_total", "Waits for a connection that ended at their deadline.", &Stats::timeouts);
  pool_total("sluice_pool_queue_full_total", "Acquires refused because the wait queue was full.", &Stats::queue_full);
  pool_total("sluice_pool_connects_total", "Connections opened.", &Stats::connects);
  pool_total("sluice_pool_connect_errors_total", "Connects that failed.", &Stats::connect_errors);
  pool_total("sluice_pool_lost_total", "Connections that broke while open.", &Stats::lost);
  pool_total("sluice_pool_lent_total", "Permits given to another worker.", &Stats::lent);
  pool_total("sluice_pool_borrowed_total", "Permits taken from another worker's share.", &Stats::borrowed);
  pool_total("sluice_pool_statements_total", "Statements sent to the server.", &Stats::statements);
  pool_total("sluice_pool_statement_errors_total", "Statements that failed.", &Stats::statement_errors);
}

void Page::pool_histograms() {
  pool_histogram("sluice_pool_acquire_wait_seconds", "Time from asking for a connection to having it.", &shm::PoolStats::acquire_wait_seconds);
  pool_histogram("sluice_pool_use_seconds", "Time that a lease was held.", &shm::PoolStats::use_seconds);
  pool_histogram("sluice_pool_create_seconds", "Time to open a connection.", &shm::PoolStats::create_seconds);
}

}  // namespace

std::string metrics(const shm::Segment& segment, std::int64_t now, const UsageReader& usage) {
  Page page(segment, now);
  page.instance();
  page.workers(usage);
  page.requests();
  page.budgets();
  page.pool_gauges();
  page.pool_totals();
  page.pool_histograms();
  return std::move(page).take();
}

}  // namespace sluice::admin
