// What becomes of a read in company, by the server's error.
#include <sluice/drivers/mysql/group.hpp>

#include <doctest/doctest.h>

using namespace sluice::mysql;
using Outcome = sluice::sql::GroupMember::Outcome;

TEST_CASE("An error is its own statement's, unless something was cancelled in the group: then nobody knows, and it runs again") {
  for (const unsigned code : {1064u, 1146u, 1365u, 1205u, 1213u}) {
    for (const bool expired : {false, true}) {
      const Verdict v = verdict({.code = code, .expired = expired});
      CHECK(v.outcome == Outcome::failed);
      CHECK_FALSE(v.late);
    }
    CHECK(verdict({.code = code, .cancelled = true}).outcome == Outcome::again);
    CHECK(verdict({.code = code, .cancelled = true, .cancel_meant = true}).outcome == Outcome::alone);
  }
}

TEST_CASE("A hidden write goes alone and never has company again; a stale form goes alone this time") {
  CHECK(verdict({.code = 1792}).outcome == Outcome::alone);
  CHECK(verdict({.code = 1792}).unfit);
  for (const unsigned code : {1243u, 1615u, 2030u}) {
    CHECK(verdict({.code = code}).outcome == Outcome::alone);
    CHECK_FALSE(verdict({.code = code}).unfit);
    CHECK_FALSE(verdict({.code = code}).slow);
  }
}

TEST_CASE("What our KILL QUERY was meant for is late or slow; what it hits instead runs again; others' is an error like any") {
  const Verdict late = verdict({.code = 1317, .expired = true, .cancelled = true, .cancel_meant = true});
  CHECK(late.outcome == Outcome::failed);
  CHECK(late.late);
  const Verdict slow = verdict({.code = 1317, .cancelled = true, .cancel_meant = true});
  CHECK(slow.outcome == Outcome::alone);
  CHECK(slow.slow);
  const Verdict hit = verdict({.code = 1317, .cancelled = true});
  CHECK(hit.outcome == Outcome::again);
  CHECK_FALSE(hit.slow);
  const Verdict strangers = verdict({.code = 1317});
  CHECK(strangers.outcome == Outcome::failed);
  CHECK_FALSE(strangers.late);
}

TEST_CASE("The session's own limit of time: late past the deadline, else too slow for company") {
  CHECK(verdict({.code = 1969, .expired = true}).late);
  CHECK(verdict({.code = 1969}).outcome == Outcome::alone);
  CHECK(verdict({.code = 1969}).slow);
}
