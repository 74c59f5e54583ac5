#include <sluice/supervise/budget_keeper.hpp>

#include <sluice/budget/request.hpp>

#include <algorithm>
#include <cmath>

namespace sluice::supervise {

using budget::RowState;
using shm::ServerState;

BudgetKeeper::BudgetKeeper(shm::Segment& segment, const std::vector<config::Server>& order, const std::vector<bool>& local, bool unclean)
    : segment_(segment), states_(order.size()) {
  for (std::uint32_t i = 0; i < order.size(); ++i) {
    shm::Server& s = segment_.servers()[i];
    s.local = local[i];
    s.confirm = local[i] ? 0 : 1;
    s.floor = order[i].floor;
    s.elastic = order[i].elastic;
    s.max_connecting = local[i] ? 0 : order[i].max_connecting;
    s.instances = order[i].instances;
    s.headroom_percent = static_cast<std::uint32_t>(std::lround(order[i].headroom * 100));
    s.configured_total = order[i].total.value_or(0);
    s.via_proxy = order[i].via == config::Via::proxy;
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

void BudgetKeeper::enforce(std::uint32_t server, const budget::Verdict& verdict, std::int64_t now) {
  shm::Server& s = segment_.servers()[server];
  s.total.set(verdict.total);
  s.budget.set(verdict.budget);
  budget::resize(segment_.rows(server), verdict.budget, now, s.unclean_start != 0, s.confirm, s.max_connecting);
  s.state.set(static_cast<std::uint64_t>(ServerState::ready));
}

BudgetKeeper::Change BudgetKeeper::tick(std::int64_t now, std::span<const bool> active, std::span<const bool> draining,
                                        const std::function<bool(budget::Life)>& ended) {
  Change change;
  const auto workers = static_cast<std::uint32_t>(std::count(active.begin(), active.end(), true));
  for (std::uint32_t i = 0; i < states_.size(); ++i) {
    shm::Server& s = segment_.servers()[i];
    State& state = states_[i];
    const auto rows = segment_.rows(i);

    if (!state.decided && s.confirm == 1) {  // whoever asks needs the confirm permit first
      if (budget::Owner::unpack(rows[0].owner.load()).state == RowState::disabled) budget::resize(rows.first(1), 1, now);
    }
    const bool fresh_answer = !state.answer_used && s.answered.acquire() != 0;
    if ((!state.decided && s.configured_total != 0) || fresh_answer || (state.decided && workers != state.workers)) {
      const budget::Request r = budget::request_of(s, std::max(workers, 1u));
      const budget::Verdict verdict = budget::decide(r);
      s.arithmetic.set(verdict.arithmetic);
      if (fresh_answer) {
        state.answer_used = true;
        if (!verdict.warning.empty()) change.warnings.push_back(verdict.warning);
      }
      if (verdict.refused) {
        s.state.set(static_cast<std::uint64_t>(ServerState::refused));
        change.refused = verdict.arithmetic;
      } else {
        if (!state.decided || fresh_answer) change.lines.push_back(verdict.arithmetic);
        enforce(i, verdict, now);
        state.decided = true;
      }
      state.workers = workers;
    }

    budget::sweep(rows, now, s.local != 0, ended);
    if (s.via_proxy != 0) release_after_delay(rows, now);

    std::uint32_t rank = 0;
    const auto limits = segment_.limits(i);
    for (std::uint32_t slot = 0; slot < limits.size(); ++slot) {
      std::uint32_t limit = 0;
      if (state.decided && active[slot])
        limit = budget::limit_of(static_cast<std::uint32_t>(s.budget.get()), s.confirm, workers, rank++);
      else if (draining[slot])
        limit = std::min(limits[slot].load(std::memory_order_relaxed), s.floor);  // enough to finish what is in flight
      if (limits[slot].load(std::memory_order_relaxed) != limit) limits[slot].store(limit, std::memory_order_relaxed);
    }
  }
  return change;
}

bool BudgetKeeper::needs_janitor() const {
  for (std::uint32_t i = 0; i < states_.size(); ++i) {
    const shm::Server& s = segment_.servers()[i];
    if (s.local != 0 || s.via_proxy != 0) continue;
    if (s.answered.acquire() == 0) return true;
    if (budget::count(segment_.rows(i)).of(RowState::quarantined) > 0) return true;
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
