#include <sluice/supervise/budget_keeper.hpp>

#include <sluice/budget/lending.hpp>
#include <sluice/budget/request.hpp>
#include <sluice/config/in_force.hpp>
#include <sluice/core/text.hpp>

#include <algorithm>
#include <cmath>
#include <sstream>

namespace sluice::supervise {

using budget::RowState;
using shm::ServerState;

BudgetKeeper::BudgetKeeper(shm::Segment& segment, const std::vector<config::Server>& order, const std::vector<bool>& local, bool unclean)
    : segment_(segment), states_(order.size()) {
  for (std::uint32_t i = 0; i < order.size(); ++i) {
    shm::Server& s = segment_.servers()[i];
    const config::Server options = config::in_force(order[i]);
    s.local = local[i];
    s.confirm = local[i] ? 0 : 1;
    s.floor = options.floor;
    s.elastic = options.elastic;
    s.max_connecting = local[i] ? 0 : options.max_connecting;
    s.instances = options.instances;
    s.headroom_percent = static_cast<std::uint32_t>(std::lround(options.headroom * 100));
    s.configured_total = options.total.value_or(0);
    s.via_proxy = options.via == config::Via::proxy;
    s.unclean_start = unclean && !local[i];
    s.state.set(static_cast<std::uint64_t>(ServerState::asking));
  }
}

namespace {

// Behind a proxy nobody can be asked: the end of the stream plus this delay is the best effort.
constexpr Duration proxy_release_delay = 5s;

void release_after_delay(std::span<shm::Row> rows, std::int64_t now) {
  for (std::uint32_t i = 0; i < rows.size(); ++i) {
    const budget::RowView row = budget::read(rows, i);
    if (row.owner.state == RowState::quarantined && now - row.changed_nanos > std::chrono::nanoseconds(proxy_release_delay).count())
      budget::release_proven(rows[i], row.owner, now);
  }
}

}  // namespace

std::string BudgetKeeper::refusal(std::uint32_t workers) const {
  for (std::uint32_t i = 0; i < states_.size(); ++i) {
    const budget::Request r = budget::request_of(segment_.servers()[i], workers);
    if (!budget::can_decide(r)) continue;
    const budget::Verdict verdict = budget::decide(r);
    if (verdict.refused) return verdict.arithmetic;
  }
  return {};
}

bool BudgetKeeper::decided() const noexcept {
  return std::all_of(states_.begin(), states_.end(), [](const State& state) { return state.decided; });
}

BudgetKeeper::Answer BudgetKeeper::wish(std::uint32_t server, std::uint32_t total, std::uint32_t workers) {
  shm::Server& s = segment_.servers()[server];
  budget::Request r = budget::request_of(s, std::max(workers, 1u));
  r.configured_total = total != 0 ? total : s.configured_total;
  if (!budget::can_decide(r)) {
    s.wished_total.set(0);
    return {false, text("server '", s.name, "': total auto, as configured; the server has not been asked yet how many connections it accepts")};
  }
  const budget::Verdict verdict = budget::decide(r);
  if (verdict.refused) return {true, verdict.arithmetic};
  s.wished_total.set(total);
  const budget::Counts counts = budget::count(segment_.rows(server));
  const bool confirm_is_free = s.confirm == 1 && budget::Owner::unpack(segment_.rows(server)[0].owner.load()).state == RowState::free;
  const std::uint32_t taken = counts.held() + counts.of(RowState::quarantined) + confirm_is_free;
  const std::string coming = taken > verdict.budget ? text("; ", taken - verdict.budget, taken - verdict.budget == 1 ? " connection has" : " connections have", " to come back first")
                                                    : std::string();
  return {false, text("budget ", s.budget.get(), " → ", verdict.budget, coming, ". ", verdict.arithmetic)};
}

// From what is known now to the budget that shall be in force. What is refused while a budget is in force leaves it as it is.
void BudgetKeeper::decide(std::uint32_t server, std::uint32_t workers, Change& change) {
  shm::Server& s = segment_.servers()[server];
  State& state = states_[server];
  const std::uint64_t answer = s.answered.acquire();
  const bool first_answer = state.answer == 0 && shm::is_answer(answer);
  const bool news = !state.decided || answer != state.answer || s.wished_total.get() != state.wished;

  budget::Request r = budget::request_of(s, std::max(workers, 1u));
  std::atomic_thread_fence(std::memory_order_acquire);
  if (s.answered.get() != answer) return;  // a new answer came in between: the next tick uses it
  budget::Verdict verdict = budget::can_decide(r) ? budget::decide(r) : budget::Verdict{};
  if (verdict.refused && s.wished_total.get() != 0) {
    change.warnings.push_back(text(verdict.arithmetic, "; the configured total is back in force"));
    s.wished_total.set(0);
    r = budget::request_of(s, r.workers);
    verdict = budget::can_decide(r) ? budget::decide(r) : budget::Verdict{};
  }
  state.answer = answer;
  state.wished = s.wished_total.get();
  state.workers = workers;
  if (!budget::can_decide(r)) return;
  if (news && !verdict.warning.empty()) change.warnings.push_back(verdict.warning);
  if (verdict.refused && state.decided && !first_answer) {
    change.warnings.push_back(text(verdict.arithmetic, "; the budget in force stays ", s.budget.get()));
    return;
  }
  s.arithmetic.set(verdict.arithmetic);
  if (verdict.refused) {
    s.state.set(static_cast<std::uint64_t>(ServerState::refused));
    change.refused = verdict.arithmetic;
    return;
  }
  if (news) change.lines.push_back(verdict.arithmetic);
  s.total.set(verdict.total);
  s.budget.set(verdict.budget);
  s.state.set(static_cast<std::uint64_t>(ServerState::ready));
  state.settled = false;
}

void BudgetKeeper::settle(std::uint32_t server, std::int64_t now) {
  shm::Server& s = segment_.servers()[server];
  State& state = states_[server];
  if (!state.decided || state.earlier) {
    // The first rows, or rows added while sessions of an earlier fleet may exist: nobody may use them before that was looked into.
    const bool first = !state.decided;
    const auto waits_for_earlier = [](const shm::Row& row) {
      const budget::Owner owner = budget::Owner::unpack(row.owner.load());
      return owner.state == RowState::quarantined && owner.life.slot == budget::earlier_slot;
    };
    const auto rows = segment_.rows(server);
    state.earlier = s.unclean_start != 0 && (first || s.rows_in_use.get() <= s.confirm || std::any_of(rows.begin(), rows.end(), waits_for_earlier));
    state.decided = true;
    if (first) budget::resize(rows, static_cast<std::uint32_t>(s.budget.get()), now, state.earlier, s.confirm, s.max_connecting, &s.rows_in_use);
  }
  if (state.settled) return;
  const auto budget = static_cast<std::uint32_t>(s.budget.get());
  const std::uint32_t in_force = budget::resize(segment_.rows(server), budget, now, state.earlier, s.confirm, 0, &s.rows_in_use);
  state.settled = in_force == budget && s.rows_in_use.get() == budget;
  const std::uint64_t shrinking = in_force > budget;
  if (s.shrinking.get() == shrinking) return;
  s.shrinking.set(shrinking);
  s.want_epoch.fetch_add(1);  // whoever holds too much looks again
}

// Who may hold how much.
void BudgetKeeper::share_out(std::uint32_t server, std::uint32_t workers, std::span<const bool> active, std::span<const bool> draining) {
  shm::Server& s = segment_.servers()[server];
  const auto limits = segment_.limits(server);
  std::uint32_t rank = 0;
  bool changed = false;
  for (std::uint32_t slot = 0; slot < limits.size(); ++slot) {
    const std::uint32_t before = limits[slot].load(std::memory_order_relaxed);
    std::uint32_t limit = 0;
    if (states_[server].decided && active[slot])
      limit = budget::limit_of(static_cast<std::uint32_t>(s.budget.get()), s.confirm, workers, rank++);
    else if (draining[slot])
      limit = std::min(before, s.floor);  // enough to finish what is in flight
    if (before == limit) continue;
    limits[slot].store(limit, std::memory_order_relaxed);
    changed = true;
  }
  if (changed) s.want_epoch.fetch_add(1);
}

BudgetKeeper::Change BudgetKeeper::tick(std::int64_t now, std::span<const bool> active, std::span<const bool> draining,
                                        const std::function<bool(budget::Life)>& ended) {
  Change change;
  const auto workers = static_cast<std::uint32_t>(std::count(active.begin(), active.end(), true));
  for (std::uint32_t i = 0; i < states_.size(); ++i) {
    shm::Server& s = segment_.servers()[i];
    State& state = states_[i];
    const auto rows = segment_.rows(i);

    // Whoever asks needs the confirm permit first.
    if (!state.decided && s.confirm == 1 && s.rows_in_use.get() == 0) budget::resize(rows, 1, now, false, 1, 0, &s.rows_in_use);
    const std::uint64_t answer = s.answered.acquire();
    if (!shm::is_being_written(answer)) {
      const bool news = answer != state.answer || s.wished_total.get() != state.wished || workers != state.workers;
      change.answered = change.answered || answer != state.answer;
      if (news || (!state.decided && s.configured_total != 0)) decide(i, workers, change);
    }
    if (s.budget.get() != 0) settle(i, now);

    const auto in_use = rows.first(s.rows_in_use.get());
    budget::sweep(in_use, now, s.local != 0, ended);
    budget::forget_wants(segment_.wants(i), ended);
    if (s.via_proxy != 0) release_after_delay(in_use, now);
    share_out(i, workers, active, draining);
  }
  return change;
}

std::string BudgetKeeper::start_times() const {
  std::string lines;
  for (std::uint32_t i = 0; i < states_.size(); ++i) {
    const shm::Server& s = segment_.servers()[i];
    if (const std::uint64_t millis = s.authentication_timeout_ms.get(); millis != 0) lines += text(millis, " ", s.name, "\n");
  }
  return lines;
}

void BudgetKeeper::recall(const std::string& start_times) {
  std::istringstream lines(start_times);
  std::uint64_t millis = 0;
  std::string name;
  while (lines >> millis && std::getline(lines >> std::ws, name)) {
    for (std::uint32_t i = 0; i < states_.size(); ++i) {
      shm::Server& s = segment_.servers()[i];
      if (name == s.name) s.authentication_timeout_ms.set(millis);
    }
  }
}

bool BudgetKeeper::needs_janitor() const {
  for (std::uint32_t i = 0; i < states_.size(); ++i) {
    const shm::Server& s = segment_.servers()[i];
    if (s.local != 0 || s.via_proxy != 0) continue;
    if (!shm::is_answer(s.answered.acquire())) return true;
    for (const shm::Row& row : segment_.rows(i).first(s.rows_in_use.get())) {
      if (row.cancel.load(std::memory_order_relaxed) != 0 || budget::Owner::unpack(row.owner.load()).state == RowState::quarantined) return true;
    }
  }
  return false;
}

bool BudgetKeeper::all_free() const {
  for (std::uint32_t i = 0; i < states_.size(); ++i) {
    // Nobody has looked for the sessions of the earlier fleet while no budget was in force.
    if (segment_.servers()[i].unclean_start != 0 && !states_[i].decided) return false;
    const budget::Counts c = budget::count(segment_.rows(i));
    if (c.held() + c.of(RowState::quarantined) > 0) return false;
  }
  return true;
}

std::uint32_t BudgetKeeper::awaiting_proof() const {
  std::uint32_t n = 0;
  for (std::uint32_t i = 0; i < states_.size(); ++i) {
    if (!segment_.servers()[i].janitor_error.get().empty()) continue;
    for (const shm::Row& row : segment_.rows(i)) {
      const budget::Owner owner = budget::Owner::unpack(row.owner.load());
      n += owner.state == RowState::quarantined && owner.life.slot != budget::earlier_slot;
    }
  }
  return n;
}

}  // namespace sluice::supervise
