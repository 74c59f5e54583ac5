// A worker's (or the janitor's) hand on one server's permit table: claims, lends, borrows and gives back rows by the rules of
// lending.hpp and governor.hpp. One loop's own; not thread-safe. What others write (limits, wants, the outage) is read anew each time.
#pragma once

#include <sluice/budget/governor.hpp>
#include <sluice/budget/lending.hpp>
#include <sluice/budget/permit_table.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

namespace sluice::budget {

// How the rows of a server are shared. Without limits: no limit, nothing lent.
struct Terms {
  std::span<const std::atomic<std::uint32_t>> limits;  // by slot
  std::span<std::atomic<std::uint64_t>> wants;         // by slot; budget::Want
  std::uint32_t floor = 1;
  bool elastic = false;
  std::uint32_t max_connecting = 0;  // at most this many rows are `connecting` over all workers; 0: unlimited
  shm::Server* server = nullptr;     // what all workers know of the server; null: this share keeps its own
  Duration lend_idle = 30ms;         // a connection above the floor that has been idle for so long is given to whoever wants one
  Duration borrow_after = 5ms;       // so long somebody must have waited before a want above the floor is published
  std::function<void(std::uint32_t slot)> ring;  // wakes a worker: a hint, never needed for correctness
};

// Wants are published again this often, and rows looked at again, while they are not met: rings are hints, this is the guarantee.
inline constexpr Duration rescan_interval = 50ms;

// Why claim() gave nothing.
enum class Refusal : std::uint8_t {
  none,
  limit,       // at the limit, and borrowing is off
  no_row,      // nothing is free
  owed,        // what is free belongs to the others' floors, or to those below their limits
  connecting,  // max_connecting is reached
  outage,      // the server is down, and it is not our turn to probe it
};

class Share {
 public:
  // Rows [first, rows.size()) may be claimed.
  Share(std::span<shm::Row> rows, std::uint32_t first, Life life, Terms terms);
  // A lonely share: `limit` may be null.
  Share(std::span<shm::Row> rows, std::uint32_t first, Life life, const std::atomic<std::uint32_t>* limit = nullptr);
  Share(const Share&) = delete;
  Share& operator=(const Share&) = delete;

  Life life() const noexcept { return life_; }
  std::uint32_t held() const noexcept { return held_; }
  std::uint32_t limit() const noexcept { return limit_ ? limit_->load(std::memory_order_relaxed) : static_cast<std::uint32_t>(rows_.size()); }
  std::uint32_t floor() const noexcept { return std::min(terms_.floor, limit()); }
  // The most permits that this life can ever hold: its limit, or with lending whatever is not others' floor. 0: no limit has come yet.
  std::uint32_t most() const noexcept;
  // Permits that must go back: above the limit, while nothing may be borrowed.
  std::uint32_t excess() const noexcept { return held_ > limit() && !may_borrow() ? held_ - limit() : 0; }
  bool elastic() const noexcept { return terms_.elastic; }
  void set_max_connecting(std::uint32_t n) noexcept { terms_.max_connecting = n; }
  // Nobody borrows while a lower budget waits for its rows.
  bool may_borrow() const noexcept { return terms_.elastic && !(terms_.server && terms_.server->shrinking.get() != 0); }
  // Cheap, for the lease path: does a permit that comes back now need a second look (excess() or promise())?
  bool wanted_elsewhere() const noexcept {
    return terms_.elastic ? epoch_->load(std::memory_order_relaxed) != seen_epoch_ : held_ > limit();
  }

  // ---- claiming

  // A row in state `connecting`, or nothing: see refusal(). A row that was granted to this life comes first. `borrow`: somebody waits
  // for it, so it may be one above the limit.
  std::optional<std::uint32_t> claim(std::int64_t now, bool borrow = true) noexcept;
  Refusal refusal() const noexcept { return refusal_; }
  // Was the row that claim() gave last above the limit, or granted by another worker?
  bool borrowed() const noexcept { return borrowed_; }

  // ---- the life of a row. REQUIRES: it is this life's own.

  // connecting → idle; the payload is published first.
  void connected(std::uint32_t row, std::uint64_t session, std::uint64_t birth, std::int64_t now) noexcept;
  // For pool::StatementCancel.
  std::atomic<std::uint32_t>& cancel_word(std::uint32_t row) const noexcept { return rows_[row].cancel; }
  void leased(std::uint32_t row, std::uint32_t call_site, std::int64_t now) noexcept {
    shm::Row& r = rows_[row];
    r.changed_nanos.store(now, std::memory_order_relaxed);
    r.call_site.store(call_site, std::memory_order_relaxed);
    write_owner(r, leased_word_, "lease", std::memory_order_release);
  }
  void returned(std::uint32_t row, std::int64_t now) noexcept {
    shm::Row& r = rows_[row];
    r.changed_nanos.store(now, std::memory_order_relaxed);
    write_owner(r, idle_word_, "return", std::memory_order_release);
  }
  // connecting, idle or leased → closing.
  void closing(std::uint32_t row, std::int64_t now) noexcept;
  // closing or connecting → free: the server is proven to have let go (or never knew of the connection).
  void released(std::uint32_t row, std::int64_t now) noexcept;
  // closing or connecting → quarantined: no proof. The janitor takes over.
  void quarantined(std::uint32_t row, std::int64_t now) noexcept;

  // ---- lending

  // Publishes how many permits are wanted and cannot be claimed; wakes those that hold idle ones. To be called often while it is true:
  // what has not changed is published again after rescan_interval.
  void want(std::uint32_t permits, TimePoint now) noexcept;
  Duration lend_idle() const noexcept { return terms_.lend_idle; }
  Duration borrow_after() const noexcept { return terms_.borrow_after; }
  // Permits that givers have taken on themselves to grant and that have not been claimed yet: look again with claim() or decline().
  std::uint32_t expected() const noexcept { return expected_; }
  // The life that gets the permit of a connection that can be closed now; one of its wants is taken. `idle_long`: it has been idle for
  // long. Nothing: keep it. Who promises must close the connection and grant() its row, or the want is published again by its owner.
  std::optional<Life> promise(bool idle_long) noexcept;
  // closing → granted for `to`: the server is proven to have let go.
  void grant(std::uint32_t row, Life to, std::int64_t now) noexcept;
  // Rows granted to this life that nobody here needs any more → free. Returns how many.
  std::uint32_t decline(std::int64_t now) noexcept;

  // ---- the governor

  bool outage() const noexcept { return outage_->load() != 0; }
  // During an outage: when the next probe may start.
  TimePoint probe_at() const noexcept { return from_nanos(Outage::unpack(outage_->load()).probe_at_millis * 1'000'000); }
  // A connect failed because of the server. `random` is in [0, 1).
  void server_failed(std::int64_t now, Duration least, Duration most, double random) noexcept;
  // A connect succeeded: the outage, if there was one, is over, and everybody is told.
  void server_answered() noexcept;

 private:
  std::span<shm::Row> in_use() const noexcept;
  Refusal governed(std::uint32_t connecting, std::int64_t now) const noexcept;
  bool may_claim(std::uint32_t stuck, bool borrow) const noexcept;
  Parts parts() const noexcept { return Parts{terms_.limits, terms_.wants, terms_.floor}; }

  std::span<shm::Row> rows_;
  std::uint32_t first_;
  Life life_;
  const std::uint64_t idle_word_ = Owner{RowState::idle, life_}.pack();
  const std::uint64_t leased_word_ = Owner{RowState::leased, life_}.pack();
  Terms terms_;
  const std::atomic<std::uint32_t>* limit_ = nullptr;
  std::atomic<std::uint64_t> own_epoch_{0}, own_outage_{0};
  std::atomic<std::uint64_t>* epoch_ = &own_epoch_;
  std::atomic<std::uint64_t>* outage_ = &own_outage_;
  std::uint64_t seen_epoch_ = 0;
  std::uint32_t held_ = 0;
  std::uint32_t published_ = 0;  // wants, as this life wrote them last
  TimePoint published_at_{};
  std::uint32_t expected_ = 0;
  Refusal refusal_ = Refusal::none;
  bool borrowed_ = false;
  Picture picture_;
};

}  // namespace sluice::budget
