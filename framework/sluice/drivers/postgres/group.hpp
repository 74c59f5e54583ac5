// Statements of several callers on one connection, between one Sync and the next, as a pure state machine: it is told what was sent
// and what the server answered, and says what became of each statement. No I/O, no libpq, no clock.
//
//   single  s                                           what it changed stands with the Sync
//   reads   BEGIN READ ONLY; s; s; …; COMMIT            all stand with the COMMIT
//   chain   BEGIN; s; COMMIT AND CHAIN; s; …; COMMIT    each stands with the COMMIT behind it
//
// Invariants:
//  - answers come in the order of what was sent; head() is what the server answers next;
//  - a statement is `done` only when the COMMIT (single: the Sync) behind it was answered: what is handed to a caller cannot be
//    undone by a neighbour any more;
//  - after an error the server skips everything up to the Sync. So a neighbour either was committed before (chain), or nothing of it
//    remains: it never ran, or its transaction is rolled back. Only the latter are to run again;
//  - an error is its own statement's, except where it only says that company does not suit it: refused by the read-only
//    transaction (25006), refused in any transaction (25001), its prepared form no longer fits, hit by our own cancel. Then it
//    may run again too, but alone;
//  - when the connection is lost, reads may run again; of others it is unknown what happened.
#pragma once

#include <sluice/sql/session.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace sluice::postgres {

enum class GroupKind : std::uint8_t { single, reads, chain };

// One message of the protocol that the server answers. `member`: whose it is.
struct Sent {
  enum class What : std::uint8_t { begin, prepare, execute, commit, deallocate, sync };
  static constexpr std::uint32_t nobody = UINT32_MAX;
  What what = What::sync;
  std::uint32_t member = nobody;
};

// An error of the server.
struct Refusal {
  std::string_view sqlstate;
  bool reused = false;   // it was met by a statement that had been prepared earlier
  bool expired = false;  // the deadline of that statement has passed
};

class Group {
 public:
  using Outcome = sql::GroupMember::Outcome;

  Group(GroupKind kind, std::size_t members) : kind_(kind), members_(members) { sent_.reserve(2 * members + 3); }

  GroupKind kind() const noexcept { return kind_; }
  void sent(Sent::What what, std::uint32_t member = Sent::nobody) { sent_.push_back(Sent{what, member}); }
  // A member that could not be sent: its failure is its own, and the others do without it.
  void not_sent(std::uint32_t member) { members_[member].outcome = Outcome::failed; }

  // ---- what the server answers. REQUIRES: !over(). Each answers the head and takes it away.
  const Sent& head() const { return sent_[answered_]; }
  bool over() const noexcept { return answered_ == sent_.size(); }
  void ok();
  void skipped() { ++answered_; }
  // Returns whose error it is, if it is anybody's and for its caller to see.
  std::uint32_t refused(const Refusal& refusal);

  // The server was asked to cancel what runs: from now on 57014 is our doing.
  void cancel_asked() noexcept { cancel_asked_ = true; }
  bool was_cancel_asked() const noexcept { return cancel_asked_; }
  // Nothing more will be answered.
  void lost();

  // Not `open` once the group is over.
  Outcome outcome(std::size_t member) const { return members_[member].outcome; }
  bool unfit(std::size_t member) const { return members_[member].unfit; }
  bool slow(std::size_t member) const { return members_[member].slow; }

 private:
  struct Member {
    Outcome outcome = Outcome::open;
    bool ran = false;  // answered, but not yet committed
    bool unfit = false;
    bool slow = false;
  };
  std::uint32_t blame(std::uint32_t member, const Refusal& refusal);
  void settle(Outcome rest);

  GroupKind kind_;
  bool cancel_asked_ = false;
  std::vector<Member> members_;
  std::vector<Sent> sent_;
  std::size_t answered_ = 0;  // so many of them
};

}  // namespace sluice::postgres
