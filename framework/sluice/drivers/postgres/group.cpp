#include <sluice/drivers/postgres/group.hpp>
#include <sluice/drivers/postgres/stale_form.hpp>

namespace sluice::postgres {

void Group::ok() {
  const Sent answered = head();
  ++answered_;
  switch (answered.what) {
    case Sent::What::execute: members_[answered.member].ran = true; break;
    case Sent::What::commit:
      if (answered.member != Sent::nobody) {
        members_[answered.member].outcome = Outcome::done;
        break;
      }
      for (Member& member : members_) {
        if (member.ran && member.outcome == Outcome::open) member.outcome = Outcome::done;
      }
      break;
    case Sent::What::sync:
      if (kind_ == GroupKind::single && members_.front().ran && members_.front().outcome == Outcome::open) members_.front().outcome = Outcome::done;
      settle(Outcome::again);
      break;
    case Sent::What::begin:
    case Sent::What::prepare:
    case Sent::What::deallocate: break;
  }
}

std::uint32_t Group::refused(const Refusal& refusal) {
  const Sent answered = head();
  // An error in place of the Sync's answer is the implicit COMMIT's; the answer itself still comes.
  if (answered.what != Sent::What::sync) ++answered_;
  switch (answered.what) {
    case Sent::What::prepare:
    case Sent::What::execute:
    case Sent::What::commit: return answered.member == Sent::nobody ? Sent::nobody : blame(answered.member, refusal);
    case Sent::What::sync: return kind_ == GroupKind::single ? blame(0, refusal) : Sent::nobody;
    case Sent::What::begin:
    case Sent::What::deallocate: break;
  }
  return Sent::nobody;
}

std::uint32_t Group::blame(std::uint32_t at, const Refusal& refusal) {
  Member& member = members_[at];
  const bool company = kind_ != GroupKind::single;
  if (refusal.reused && no_longer_fits(refusal.sqlstate)) {
    member.outcome = Outcome::alone;
  } else if (company && (refusal.sqlstate == "25006" || refusal.sqlstate == "25001")) {
    member.outcome = Outcome::alone;
    member.unfit = true;
  } else if (company && cancel_asked_ && !refusal.expired && refusal.sqlstate == "57014") {
    member.outcome = Outcome::alone;
    member.slow = true;
  } else {
    member.outcome = Outcome::failed;
  }
  return member.outcome == Outcome::failed ? at : Sent::nobody;
}

void Group::lost() {
  answered_ = sent_.size();
  settle(kind_ == GroupKind::reads ? Outcome::again : Outcome::failed);
}

void Group::settle(Outcome rest) {
  for (Member& member : members_) {
    if (member.outcome == Outcome::open) member.outcome = rest;
  }
}

}  // namespace sluice::postgres
