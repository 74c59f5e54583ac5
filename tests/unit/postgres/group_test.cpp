#include <doctest/doctest.h>
#include <sluice/drivers/postgres/group.hpp>

#include <optional>
#include <set>
#include <string>
#include <vector>

using sluice::postgres::Group;
using sluice::postgres::GroupKind;
using sluice::postgres::Refusal;
using sluice::postgres::Sent;
using Outcome = Group::Outcome;
using What = Sent::What;

namespace {

// What the session sends for `members` statements; the first of them is new to the connection.
std::vector<Sent> script(GroupKind kind, std::uint32_t members) {
  std::vector<Sent> all;
  if (kind != GroupKind::single) all.push_back({What::begin, Sent::nobody});
  for (std::uint32_t m = 0; m < members; ++m) {
    if (m == 0) all.push_back({What::prepare, m});
    all.push_back({What::execute, m});
    if (kind == GroupKind::chain) all.push_back({What::commit, m});
  }
  if (kind == GroupKind::reads) all.push_back({What::commit, Sent::nobody});
  if (kind != GroupKind::single) all.push_back({What::deallocate, Sent::nobody});
  all.push_back({What::sync, Sent::nobody});
  return all;
}

Group sent(GroupKind kind, std::uint32_t members) {
  Group group(kind, members);
  for (const Sent& message : script(kind, members)) group.sent(message.what, message.member);
  return group;
}

// A server as the protocol describes it: after an error it skips up to the Sync; a transaction that was not committed is undone.
struct Server {
  std::set<std::uint32_t> open, committed;
  bool failed = false;
  void ran(const Sent& message, GroupKind kind) {
    if (message.what == What::execute) open.insert(message.member);
    if (message.what == What::commit || (message.what == What::sync && kind == GroupKind::single && !failed)) {
      committed.insert(open.begin(), open.end());
      open.clear();
    }
  }
};

void answer_until(Group& group, What what, std::uint32_t member = Sent::nobody) {
  while (group.head().what != what || group.head().member != member) group.ok();
}

void skip_the_rest(Group& group) {
  while (group.head().what != What::sync) group.skipped();
  group.ok();
}

}  // namespace

TEST_CASE("Wherever a group fails or its connection is lost: done is committed, again and alone left nothing, and nobody stays without an outcome") {
  for (const GroupKind kind : {GroupKind::single, GroupKind::reads, GroupKind::chain}) {
    for (std::uint32_t members = 1; members <= (kind == GroupKind::single ? 1u : 4u); ++members) {
      const std::vector<Sent> messages = script(kind, members);
      for (std::size_t at = 0; at <= messages.size(); ++at) {
        for (const char* how : {"22012", "25006", "25001", "57014", "0A000", "lost"}) {
          for (const bool cancelled : {false, true}) {
            CAPTURE(static_cast<int>(kind));
            CAPTURE(members);
            CAPTURE(at);
            CAPTURE(how);
            Group group = sent(kind, members);
            Server server;
            if (cancelled) group.cancel_asked();
            bool lost = false;
            std::uint32_t failed_one = Sent::nobody;
            for (std::size_t i = 0; i < messages.size() && !lost; ++i) {
              if (i == at && std::string(how) == "lost") {
                group.lost();
                lost = true;
              } else if (i == at) {
                server.failed = true;
                Refusal refusal;
                refusal.sqlstate = how;
                refusal.reused = messages[i].what == What::execute && messages[i].member != 0;
                if (messages[i].what != What::deallocate)
                  failed_one = messages[i].what == What::sync ? (kind == GroupKind::single ? 0 : Sent::nobody) : messages[i].member;
                const std::uint32_t whose = group.refused(refusal);
                if (whose != Sent::nobody) CHECK(whose == failed_one);
                if (messages[i].what == What::sync) group.ok();
              } else if (server.failed && messages[i].what != What::sync) {
                group.skipped();
              } else {
                server.ran(messages[i], kind);
                group.ok();
              }
            }
            CHECK(group.over());
            for (std::uint32_t m = 0; m < members; ++m) {
              const Outcome outcome = group.outcome(m);
              CAPTURE(m);
              CHECK(outcome != Outcome::open);
              if (outcome == Outcome::done) CHECK(server.committed.count(m) == 1);
              if (outcome == Outcome::again || outcome == Outcome::alone) CHECK(server.committed.count(m) == 0);
              // Not lost: an error is its own statement's alone.
              if (!lost && outcome == Outcome::failed) CHECK(m == failed_one);
              if (!lost && server.committed.count(m) == 1) CHECK(outcome == Outcome::done);
              if (lost && kind == GroupKind::reads && server.committed.count(m) == 0) CHECK(outcome == Outcome::again);
              if (lost && kind != GroupKind::reads) CHECK((outcome == Outcome::failed || outcome == Outcome::done));
            }
          }
        }
      }
    }
  }
}

TEST_CASE("A read is delivered only after the COMMIT of its group, however early its rows came") {
  Group group = sent(GroupKind::reads, 3);
  answer_until(group, What::commit);
  for (std::size_t m = 0; m < 3; ++m) CHECK(group.outcome(m) == Outcome::open);
  group.ok();
  for (std::size_t m = 0; m < 3; ++m) CHECK(group.outcome(m) == Outcome::done);
}

TEST_CASE("A chain's statements are delivered one by one, each after its own COMMIT") {
  Group group = sent(GroupKind::chain, 3);
  answer_until(group, What::execute, 1);
  CHECK(group.outcome(0) == Outcome::done);
  group.ok();
  CHECK(group.outcome(1) == Outcome::open);
  group.ok();
  CHECK(group.outcome(1) == Outcome::done);
}

TEST_CASE("A neighbour's error in a read group sends all others again, in a chain only those behind it") {
  for (const GroupKind kind : {GroupKind::reads, GroupKind::chain}) {
    Group group = sent(kind, 3);
    answer_until(group, What::execute, 1);
    CHECK(group.refused(Refusal{"22012"}) == 1);
    skip_the_rest(group);
    CHECK(group.outcome(0) == (kind == GroupKind::reads ? Outcome::again : Outcome::done));
    CHECK(group.outcome(1) == Outcome::failed);
    CHECK(group.outcome(2) == Outcome::again);
  }
}

TEST_CASE("A write among the reads, and what no transaction may hold, goes alone and never has company again") {
  for (const char* code : {"25006", "25001"}) {
    Group group = sent(GroupKind::reads, 2);
    answer_until(group, What::execute, 0);
    CHECK(group.refused(Refusal{code}) == Sent::nobody);
    skip_the_rest(group);
    CHECK(group.outcome(0) == Outcome::alone);
    CHECK(group.unfit(0));
    CHECK(group.outcome(1) == Outcome::again);
    CHECK_FALSE(group.unfit(1));
  }
}

TEST_CASE("Alone, a refused write is its caller's to see") {
  Group group = sent(GroupKind::single, 1);
  answer_until(group, What::execute, 0);
  CHECK(group.refused(Refusal{"25006"}) == 0);
  group.ok();
  CHECK(group.outcome(0) == Outcome::failed);
}

TEST_CASE("What our cancel hits goes alone, unless its own deadline has passed; a cancel of others' is an error like any") {
  for (const bool asked : {false, true}) {
    for (const bool expired : {false, true}) {
      Group group = sent(GroupKind::reads, 2);
      if (asked) group.cancel_asked();
      answer_until(group, What::execute, 0);
      Refusal refusal{"57014"};
      refusal.expired = expired;
      group.refused(refusal);
      skip_the_rest(group);
      CHECK(group.outcome(0) == (asked && !expired ? Outcome::alone : Outcome::failed));
      CHECK(group.slow(0) == (asked && !expired));
      CHECK(group.outcome(1) == Outcome::again);
    }
  }
}

TEST_CASE("A prepared form that no longer fits is no error of the statement; of a fresh one it is") {
  for (const bool reused : {true, false}) {
    Group group = sent(GroupKind::reads, 2);
    answer_until(group, What::execute, 1);
    Refusal refusal{"0A000"};
    refusal.reused = reused;
    group.refused(refusal);
    skip_the_rest(group);
    CHECK(group.outcome(1) == (reused ? Outcome::alone : Outcome::failed));
    CHECK_FALSE(group.unfit(1));
  }
}

TEST_CASE("An error of the implicit COMMIT at the Sync is the single statement's") {
  Group group = sent(GroupKind::single, 1);
  answer_until(group, What::sync);
  CHECK(group.outcome(0) == Outcome::open);
  CHECK(group.refused(Refusal{"23505"}) == 0);
  CHECK_FALSE(group.over());
  group.ok();
  CHECK(group.over());
  CHECK(group.outcome(0) == Outcome::failed);
}

TEST_CASE("A member that could not be sent fails by itself") {
  Group group(GroupKind::reads, 2);
  group.sent(What::begin);
  group.not_sent(0);
  group.sent(What::execute, 1);
  group.sent(What::commit);
  group.sent(What::sync);
  while (!group.over()) group.ok();
  CHECK(group.outcome(0) == Outcome::failed);
  CHECK(group.outcome(1) == Outcome::done);
}
