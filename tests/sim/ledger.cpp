#include <sim/ledger.hpp>

#include <sluice/core/text.hpp>

namespace sluice::sim {

void Ledger::begin(std::span<shm::Row> rows) {
  rows_ = rows;
  words_.assign(rows.size(), 0);
  sessions_.assign(rows.size(), 0);
  changed_.assign(rows.size(), TimePoint{});
  counts_ = {};
  counts_[static_cast<unsigned>(RowState::disabled)] = size();
}

Ledger::Change Ledger::find(Actor actor, std::string_view step, std::uint64_t word) const {
  Change change;
  change.to = budget::Owner::unpack(word);
  for (change.row = 0; change.row < words_.size(); ++change.row) {
    if (rows_[change.row].owner.load(std::memory_order_relaxed) != words_[change.row]) break;
  }
  if (change.row == words_.size()) {
    // The word that was there before was written again: it can only be one of the writer's own.
    change.row = 0;
    while (change.row + 1 < words_.size() && words_[change.row] != word) ++change.row;
  }
  change.from = budget::Owner::unpack(words_[change.row]);
  change.transition = find_transition(actor, step, change.from.state, change.to.state);
  return change;
}

std::string Ledger::accept(const Change& change, TimePoint now) {
  --counts_[static_cast<unsigned>(change.from.state)];
  ++counts_[static_cast<unsigned>(change.to.state)];
  words_[change.row] = change.to.pack();
  changed_[change.row] = now;
  if (change.transition < 0)
    return text("nobody may take row ", change.row, " from ", to_text(change.from.state), " to ", to_text(change.to.state), " by this step");
  if (rows_[change.row].owner.load(std::memory_order_relaxed) != change.to.pack()) return text("row ", change.row, " does not hold what was written");
  const bool owned = change.to.state != RowState::free && change.to.state != RowState::granted && change.to.state != RowState::disabled;
  if (!owned && sessions_[change.row] > 0)
    return text("row ", change.row, " becomes ", to_text(change.to.state), " while its session is still on the server");
  const bool stays = change.from.state != RowState::free && change.from.state != RowState::disabled && owned;
  if (stays && !(change.from.life == change.to.life)) return text("row ", change.row, " changes its owner while it is held");
  return {};
}

std::string Ledger::check_enabled(std::uint32_t budget) {
  if (enabled() <= budget || budget > ceiling_) ceiling_ = budget;
  if (enabled() > ceiling_) return text(enabled(), " rows are enabled where at most ", ceiling_, " may be");
  return {};
}

}  // namespace sluice::sim
