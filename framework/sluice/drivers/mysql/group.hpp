// Reads of several callers on one connection: what becomes of each, by what the server answered to it. Pure.
//
// Each is a transaction of its own, in a session that is read-only meanwhile. So an answer is final, an error is its own
// statement's, and whatever was not answered may run again. An error is not for its caller to see where it only says that company does
// not suit the statement: refused because the session is read-only, its prepared form is stale, or our own KILL QUERY may be behind
// it. Such a request names the session: it may come late, and hit the one behind; and not every statement that it ends says 1317.
#pragma once

#include <sluice/drivers/mysql/errors.hpp>
#include <sluice/sql/session.hpp>

namespace sluice::mysql {

// An error as the answer to one member.
struct Refusal {
  unsigned code = 0;          // never one of a lost connection
  bool expired = false;       // the member's deadline has passed
  bool cancelled = false;     // the janitor was asked to end what runs, in this group
  bool cancel_meant = false;  // … because this one took so long
};

struct Verdict {
  sql::GroupMember::Outcome outcome = sql::GroupMember::Outcome::failed;  // with the server's words
  bool unfit = false;
  bool slow = false;
  bool late = false;  // failed: the deadline is what its caller hears of
};

constexpr Verdict verdict(const Refusal& refusal) noexcept {
  using Outcome = sql::GroupMember::Outcome;
  constexpr unsigned too_long = 1969;
  if (is_write_refused(refusal.code)) return {.outcome = Outcome::alone, .unfit = true};
  if (is_stale(refusal.code)) return {.outcome = Outcome::alone};
  if (!refusal.cancelled && refusal.code != too_long) return {};
  if (refusal.expired) return {.late = true};
  if (refusal.cancel_meant || refusal.code == too_long) return {.outcome = Outcome::alone, .slow = true};
  return {.outcome = Outcome::again};
}

}  // namespace sluice::mysql
