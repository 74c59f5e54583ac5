#include <sluice/budget/confirmation.hpp>

#include <algorithm>
#include <set>

namespace sluice::budget {
namespace {

bool same_session(const RowView& row, const Session& s) {
  return row.session == s.id && (row.session_birth == 0 || s.birth == 0 || row.session_birth == s.birth);
}

}  // namespace

SweepPlan plan_sweep(const SweepInput& in) {
  SweepPlan plan;
  std::set<std::size_t> end;
  const auto accounted = [&in](const Session& s) {
    return std::any_of(in.rows.begin(), in.rows.end(),
                       [&s](const RowView& r) { return r.session != 0 && r.owner.life == s.life && same_session(r, s); });
  };

  // A life that is connecting has sessions whose id nobody has published yet.
  const auto connecting = [&in](Life life) {
    return std::any_of(in.rows.begin(), in.rows.end(), [life](const RowView& r) { return r.owner == Owner{RowState::connecting, life}; });
  };

  std::size_t earlier_sessions = 0;
  std::size_t strangers = 0, older_strangers = 0;  // without a name and without a row
  for (std::size_t i = 0; i < in.sessions.size(); ++i) {
    const Session& s = in.sessions[i];
    if (!s.named) {
      const auto row = std::find_if(in.rows.begin(), in.rows.end(), [&s](const RowView& r) { return r.session != 0 && same_session(r, s); });
      if (row != in.rows.end()) {
        if (in.ended(row->owner.life)) end.insert(i);
      } else if (s.maybe_ours) {
        ++strangers;
        older_strangers += s.older;
      }
      continue;
    }
    if (!s.this_fleet) ++earlier_sessions;
    // Nobody can still use a session of an earlier fleet or of an ended life.
    if (!s.this_fleet || in.ended(s.life)) end.insert(i);
  }

  for (const RowView& row : in.rows) {
    if (row.owner.state != RowState::quarantined) continue;
    const Duration since = std::chrono::nanoseconds(in.now_nanos - row.changed_nanos);
    const bool invisible_possible = since < in.authentication_timeout + invisibility_margin;
    bool gone = true;
    if (row.owner.life.slot == earlier_slot) {
      gone = earlier_sessions == 0 && !(row.owner.life.generation == 2 && invisible_possible);
    } else if (row.session != 0) {
      for (std::size_t i = 0; i < in.sessions.size(); ++i) {
        const Session& s = in.sessions[i];
        if ((s.named && !s.this_fleet) || !same_session(row, s)) continue;
        gone = false;
        if (since >= own_close_grace) end.insert(i);
      }
    } else {
      // It died, or was given up, while connecting: its session may not be visible yet, and its id is unknown.
      gone = !invisible_possible;
      for (std::size_t i = 0; i < in.sessions.size(); ++i) {
        const Session& s = in.sessions[i];
        if (!s.named || !s.this_fleet || !(s.life == row.owner.life) || accounted(s)) continue;
        // What began after the row was given up is another connect of a living life. An ended life connects no more, but what it
        // had begun may have reached the server later.
        if (s.age < since && !in.ended(s.life)) continue;
        gone = false;
        if (since >= own_close_grace && !connecting(s.life)) end.insert(i);
      }
    }
    if (gone)
      plan.release.push_back(row);
    else
      ++plan.waiting;
  }
  // Each stranger may be what one of the rows of unknown session stands for: that many of them stay.
  std::erase_if(plan.release, [&](const RowView& row) {
    if (row.session != 0) return false;
    std::size_t& uncovered = row.owner.life.slot == earlier_slot ? older_strangers : strangers;
    if (uncovered == 0) return false;
    --uncovered;
    ++plan.waiting;
    return true;
  });
  plan.end.assign(end.begin(), end.end());
  return plan;
}

void Sightings::look(std::vector<RowView>& rows, std::int64_t now_nanos) {
  for (RowView& row : rows) {
    if (row.row >= seen_.size()) seen_.resize(row.row + 1);
    Seen& seen = seen_[row.row];
    if (!(seen.owner == row.owner)) seen = {row.owner, now_nanos};
    if (row.owner.state == RowState::quarantined) row.changed_nanos = std::max(row.changed_nanos, seen.since);
  }
}

void Sightings::forget(std::uint32_t row) noexcept {
  if (row < seen_.size()) seen_[row] = {};
}

}  // namespace sluice::budget
