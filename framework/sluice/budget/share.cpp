#include <sluice/budget/share.hpp>

#include <utility>

namespace sluice::budget {

Share::Share(std::span<shm::Row> rows, std::uint32_t first, Life life, Terms terms) : rows_(rows), first_(first), life_(life), terms_(std::move(terms)) {
  if (life.slot < terms_.limits.size()) limit_ = &terms_.limits[life.slot];
  if (terms_.server) {
    epoch_ = &terms_.server->want_epoch;
    outage_ = &terms_.server->outage;
  }
  seen_epoch_ = epoch_->load() - 1;  // the first look is a real one
}

Share::Share(std::span<shm::Row> rows, std::uint32_t first, Life life, const std::atomic<std::uint32_t>* limit)
    : rows_(rows), first_(first), life_(life), limit_(limit) {}

std::span<shm::Row> Share::in_use() const noexcept {
  const std::uint64_t rows = terms_.server ? terms_.server->rows_in_use.get() : 0;
  return rows == 0 || rows > rows_.size() ? rows_ : rows_.first(rows);
}

std::uint32_t Share::most() const noexcept {
  const auto rows = static_cast<std::uint32_t>(in_use().size());
  const std::uint32_t claimable = rows > first_ ? rows - first_ : 0;
  const std::uint32_t own = std::min(limit(), claimable);
  if (own == 0 || !terms_.elastic) return own;
  std::uint32_t owed = 0;
  for (std::uint32_t slot = 0; slot < terms_.limits.size(); ++slot) {
    if (slot != life_.slot) owed += parts().floor_of(slot);
  }
  return std::max(own, claimable > owed ? claimable - owed : 0);
}

// ---- claiming

// Ended lives of this slot keep their permits until these are confirmed (`stuck`); the floor may be reached all the same.
bool Share::may_claim(std::uint32_t stuck, bool borrow) const noexcept {
  return held_ + stuck < limit() || held_ < floor() || (borrow && may_borrow());
}

// The governor's word on a connect, if with it `connecting` are under way.
Refusal Share::governed(std::uint32_t connecting, std::int64_t now) const noexcept {
  const Outage outage = Outage::unpack(outage_->load());
  const Allowance allowed = allowance(outage, terms_.max_connecting, now);
  if (!allowed.any) return Refusal::outage;
  if (allowed.most == 0 || connecting <= allowed.most) return Refusal::none;
  return outage.failures > 0 ? Refusal::outage : Refusal::connecting;
}

std::optional<std::uint32_t> Share::claim(std::int64_t now, bool borrow) noexcept {
  const std::span<shm::Row> rows = in_use();
  const std::uint64_t granted = Owner{RowState::granted, life_}.pack();
  std::uint32_t connecting = 0, stuck = 0;
  std::optional<std::uint32_t> free_row, granted_row;
  // Mostly rows are in use by somebody and say nothing here: one load and one branch for each of these.
  constexpr auto bit = [](RowState s) { return 1u << static_cast<unsigned>(s); };
  constexpr unsigned telling = bit(RowState::free) | bit(RowState::granted) | bit(RowState::connecting) | bit(RowState::quarantined);
  for (std::uint32_t i = 0; i < rows.size(); ++i) {
    const std::uint64_t word = rows[i].owner.load();
    if ((telling >> (word & 7) & 1) == 0) continue;
    const Owner owner = Owner::unpack(word);
    if (owner.state == RowState::free) {
      if (!free_row && i >= first_) free_row = i;
      continue;
    }
    connecting += owner.state == RowState::connecting;
    stuck += owner.state == RowState::quarantined && owner.life.slot == life_.slot;
    if (word == granted && i >= first_) granted_row = i;
  }
  refusal_ = Refusal::none;
  borrowed_ = false;
  const auto refuse = [this](Refusal why) {
    refusal_ = why;
    return std::nullopt;
  };
  if (const Refusal why = governed(connecting + 1, now); why != Refusal::none) return refuse(why);

  const auto connecting_now = [this] {
    std::uint32_t n = 0;
    for (const shm::Row& row : in_use()) n += Owner::unpack(row.owner.load()).state == RowState::connecting;
    return n;
  };
  if (granted_row) {
    shm::Row& row = rows[*granted_row];
    if (swap_owner(row, Owner{RowState::granted, life_}, Owner{RowState::connecting, life_}, "accept")) {
      row.changed_nanos.store(now, std::memory_order_relaxed);
      if (const Refusal why = governed(connecting_now(), now); why != Refusal::none) {
        write_owner(row, Owner{RowState::granted, life_}, "accept back");
        return refuse(why);
      }
      ++held_;
      if (expected_ > 0) --expected_;
      borrowed_ = true;
      return granted_row;
    }
  }
  if (!may_claim(stuck, borrow)) return refuse(Refusal::limit);
  for (std::uint32_t i = free_row.value_or(static_cast<std::uint32_t>(rows.size())); i < rows.size(); ++i) {
    if (Owner::unpack(rows[i].owner.load(std::memory_order_relaxed)).state != RowState::free || !budget::claim(rows[i], life_, now)) continue;
    ++held_;
    // Others may have claimed since the first look, or found the server down. Whoever sees too many afterwards, or that it is not its
    // turn, steps back; two that both do try again.
    if (terms_.limits.empty()) {
      picture_.connecting = connecting_now();
    } else {
      survey(in_use(), 0, static_cast<std::uint32_t>(terms_.limits.size()), life_.slot, picture_);
      if (first_ > 0 && Owner::unpack(rows[0].owner.load()).state == RowState::free) --picture_.free;  // the confirm permit is nobody's
    }
    if (const Refusal why = governed(picture_.connecting, now); why != Refusal::none) {
      released(i, now);
      return refuse(why);
    }
    if (!terms_.limits.empty() && !may_keep(picture_, parts(), life_.slot)) {
      released(i, now);
      return refuse(Refusal::owed);
    }
    borrowed_ = held_ > limit();
    return i;
  }
  return refuse(Refusal::no_row);
}

// ---- the life of a row

void Share::connected(std::uint32_t row, std::uint64_t session, std::uint64_t birth, std::int64_t now) noexcept {
  shm::Row& r = rows_[row];
  r.session_birth.store(birth, std::memory_order_release);
  r.session.store(session, std::memory_order_release);
  r.changed_nanos.store(now, std::memory_order_relaxed);
  write_owner(r, Owner{RowState::idle, life_}, "connected");
}

void Share::closing(std::uint32_t row, std::int64_t now) noexcept {
  rows_[row].changed_nanos.store(now, std::memory_order_relaxed);
  write_owner(rows_[row], Owner{RowState::closing, life_}, "close");
}

void Share::released(std::uint32_t row, std::int64_t now) noexcept {
  shm::Row& r = rows_[row];
  clear_payload(r);
  r.changed_nanos.store(now, std::memory_order_relaxed);
  write_owner(r, Owner{RowState::free, {}}, "release");
  --held_;
}

void Share::quarantined(std::uint32_t row, std::int64_t now) noexcept {
  rows_[row].changed_nanos.store(now, std::memory_order_relaxed);
  write_owner(rows_[row], Owner{RowState::quarantined, life_}, "quarantine");
  --held_;
}

// ---- lending

void Share::want(std::uint32_t permits, TimePoint now) noexcept {
  if (!terms_.elastic || life_.slot >= terms_.wants.size()) return;
  permits = std::min(permits, 0xffffu);
  if (permits == 0 ? published_ == 0 : permits <= published_ && now - published_at_ < rescan_interval) return;
  published_at_ = now;
  const Want before = Want::unpack(terms_.wants[life_.slot].exchange(Want{static_cast<std::uint16_t>(permits), life_.generation}.pack()));
  if (before.generation == life_.generation && before.permits < published_) expected_ += published_ - before.permits;
  published_ = permits;
  if (permits == 0) return;
  epoch_->fetch_add(1);
  if (!terms_.ring) return;
  // Whoever is busy looks when its next connection comes back; who has idle ones must be woken.
  std::uint32_t last = ~0u;
  for (const shm::Row& row : in_use()) {
    const Owner owner = Owner::unpack(row.owner.load(std::memory_order_relaxed));
    if (owner.state != RowState::idle || owner.life.slot == life_.slot || owner.life.slot == last || owner.life.slot >= terms_.limits.size()) continue;
    terms_.ring(last = owner.life.slot);
  }
}

std::optional<Life> Share::promise(bool idle_long) noexcept {
  if (!terms_.elastic || life_.slot >= terms_.limits.size()) return std::nullopt;
  const std::uint64_t epoch = epoch_->load();
  for (;;) {
    survey(in_use(), first_, static_cast<std::uint32_t>(terms_.limits.size()), life_.slot, picture_);
    const auto slot = receiver(picture_, parts(), life_.slot, idle_long);
    if (!slot) {
      seen_epoch_ = epoch;
      return std::nullopt;
    }
    std::uint64_t word = terms_.wants[*slot].load();
    const Want want = Want::unpack(word);
    if (want.permits == 0) continue;  // another giver was faster
    if (terms_.wants[*slot].compare_exchange_strong(word, Want{static_cast<std::uint16_t>(want.permits - 1), want.generation}.pack()))
      return Life{static_cast<std::uint16_t>(*slot), want.generation};
  }
}

void Share::grant(std::uint32_t row, Life to, std::int64_t now) noexcept {
  clear_payload(rows_[row]);
  rows_[row].changed_nanos.store(now, std::memory_order_relaxed);
  write_owner(rows_[row], Owner{RowState::granted, to}, "grant");
  --held_;
  if (terms_.ring) terms_.ring(to.slot);
}

std::uint32_t Share::decline(std::int64_t now) noexcept {
  if (expected_ == 0) return 0;
  std::uint32_t declined = 0;
  for (shm::Row& row : in_use()) {
    if (!release_proven(row, Owner{RowState::granted, life_}, now)) continue;
    ++declined;
    if (expected_ > 0) --expected_;
  }
  return declined;
}

// ---- the governor

void Share::server_failed(std::int64_t now, Duration least, Duration most, double random) noexcept {
  std::uint64_t word = outage_->load();
  while (!outage_->compare_exchange_weak(word, after_failure(Outage::unpack(word), now, least, most, random).pack())) {
  }
}

void Share::server_answered() noexcept {
  if (outage_->load() == 0 || outage_->exchange(0) == 0 || !terms_.ring) return;
  for (std::uint32_t slot = 0; slot < terms_.limits.size(); ++slot) {
    if (slot != life_.slot && parts().limit(slot) > 0) terms_.ring(slot);
  }
}

}  // namespace sluice::budget
