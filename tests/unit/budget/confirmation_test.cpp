#include <sluice/budget/confirmation.hpp>

#include <doctest/doctest.h>

using namespace sluice;
using namespace sluice::budget;

namespace {

constexpr Life dead{1, 4};
constexpr Life living{2, 9};
constexpr std::int64_t second = 1'000'000'000;

SweepInput input_at(std::int64_t now) {
  SweepInput in;
  in.now_nanos = now;
  in.authentication_timeout = 2s;
  in.ended = [](Life life) { return life == dead; };
  return in;
}

RowView quarantined(Life life, std::uint64_t session, std::int64_t since, std::uint64_t birth = 50) {
  RowView row;
  row.row = 3;
  row.owner = Owner{RowState::quarantined, life};
  row.session = session;
  row.session_birth = session ? birth : 0;
  row.changed_nanos = since;
  return row;
}

Session seen(std::uint64_t id, Life life, Duration age = 1h, std::uint64_t birth = 50) {
  Session s;
  s.id = id;
  s.birth = birth;
  s.life = life;
  s.age = age;
  return s;
}

}  // namespace

TEST_CASE("a session that the server no longer shows frees its row") {
  SweepInput in = input_at(10 * second);
  in.rows = {quarantined(dead, 42, 9 * second)};
  const SweepPlan plan = plan_sweep(in);
  REQUIRE(plan.release.size() == 1);
  CHECK(plan.release[0].row == 3);
  CHECK(plan.end.empty());
  CHECK(plan.waiting == 0);
}

TEST_CASE("an ended life's session is ended first and its row freed only when it is gone") {
  SweepInput in = input_at(10 * second);
  in.rows = {quarantined(dead, 42, 9 * second)};
  in.sessions = {seen(42, dead)};
  const SweepPlan plan = plan_sweep(in);
  CHECK(plan.release.empty());
  CHECK(plan.end == std::vector<std::size_t>{0});
  CHECK(plan.waiting == 1);
}

TEST_CASE("a session id used again by another session does not keep the row") {
  SweepInput in = input_at(10 * second);
  in.rows = {quarantined(dead, 42, 9 * second, 50)};
  in.sessions = {seen(42, living, 1s, 51)};
  const SweepPlan plan = plan_sweep(in);
  CHECK(plan.release.size() == 1);
  CHECK(plan.end.empty());
}

TEST_CASE("a living owner's slow close is given time before its session is ended") {
  SweepInput in = input_at(10 * second);
  in.rows = {quarantined(living, 42, 10 * second - second / 2)};
  in.sessions = {seen(42, living)};
  CHECK(plan_sweep(in).end.empty());
  in.now_nanos = 12 * second;
  CHECK(plan_sweep(in).end == std::vector<std::size_t>{0});
  CHECK(plan_sweep(in).release.empty());
}

TEST_CASE("a row whose owner died while connecting waits out the authentication timeout") {
  SweepInput in = input_at(10 * second);
  in.rows = {quarantined(dead, 0, 9 * second)};
  CHECK(plan_sweep(in).release.empty());
  CHECK(plan_sweep(in).waiting == 1);
  in.now_nanos = 12 * second;
  CHECK(plan_sweep(in).release.size() == 1);
}

TEST_CASE("a late session of a row without a session id is ended before the row is freed") {
  SweepInput in = input_at(20 * second);
  in.rows = {quarantined(living, 0, 10 * second)};
  in.sessions = {seen(42, living, 11s)};
  const SweepPlan plan = plan_sweep(in);
  CHECK(plan.release.empty());
  CHECK(plan.end == std::vector<std::size_t>{0});
}

TEST_CASE("a connect that reached the server only after its worker had died holds the row too") {  // sim seed 74793
  SweepInput in = input_at(10 * second);
  in.rows = {quarantined(dead, 0, 4 * second)};
  in.sessions = {seen(42, dead, 5900ms)};  // a little younger than the quarantine
  const SweepPlan plan = plan_sweep(in);
  CHECK(plan.release.empty());
  CHECK(plan.end == std::vector<std::size_t>{0});
}

TEST_CASE("while a living life connects, none of its sessions is ended: the new one has no known id yet") {
  SweepInput in = input_at(20 * second);
  in.rows = {quarantined(living, 0, 10 * second)};
  RowView connecting;
  connecting.row = 5;
  connecting.owner = Owner{RowState::connecting, living};
  in.rows.push_back(connecting);
  in.sessions = {seen(42, living, 11s)};
  CHECK(plan_sweep(in).end.empty());
  CHECK(plan_sweep(in).release.empty());
}

TEST_CASE("a living life's other sessions are not taken for a lost connect") {
  SweepInput in = input_at(20 * second);
  in.rows = {quarantined(living, 0, 10 * second)};
  RowView other = quarantined(living, 42, 5 * second);
  other.row = 4;
  other.owner.state = RowState::leased;
  in.rows.push_back(other);
  in.sessions = {seen(42, living, 15s), seen(43, living, 2s)};  // 43 is younger than the lost connect
  const SweepPlan plan = plan_sweep(in);
  CHECK(plan.release.size() == 1);
  CHECK(plan.end.empty());
}

TEST_CASE("sessions of an earlier fleet are ended and hold back every row of the unclean start") {
  SweepInput in = input_at(10 * second);
  in.rows = {quarantined(Life{earlier_slot, 1}, 0, 9 * second), quarantined(Life{earlier_slot, 2}, 0, 9 * second)};
  Session old = seen(42, living);
  old.this_fleet = false;
  in.sessions = {old};
  SweepPlan plan = plan_sweep(in);
  CHECK(plan.end == std::vector<std::size_t>{0});
  CHECK(plan.release.empty());
  in.sessions.clear();
  plan = plan_sweep(in);
  REQUIRE(plan.release.size() == 1);  // the other may still be a connect in flight
  CHECK(plan.release[0].owner.life.generation == 1);
  in.now_nanos = 12 * second;
  CHECK(plan_sweep(in).release.size() == 2);
}

TEST_CASE("a living life's session in a row that it holds is left alone") {
  SweepInput in = input_at(10 * second);
  RowView row = quarantined(living, 42, 0);
  row.owner.state = RowState::leased;
  in.rows = {row};
  in.sessions = {seen(42, living)};
  const SweepPlan plan = plan_sweep(in);
  CHECK(plan.end.empty());
  CHECK(plan.release.empty());
  CHECK(plan.waiting == 0);
}

// ---- a server whose list of sessions has no names (MySQL)

namespace {

Session nameless(std::uint64_t id, bool of_our_user = true, bool older = true, std::uint64_t birth = 50) {
  Session s;
  s.id = id;
  s.birth = birth;
  s.named = false;
  s.this_fleet = false;
  s.maybe_ours = of_our_user;
  s.older = older;
  return s;
}

}  // namespace

TEST_CASE("a nameless session is known by the row that holds its id, of any user") {
  SweepInput in = input_at(10 * second);
  in.rows = {quarantined(living, 42, 10 * second - second / 2), quarantined(living, 43, 10 * second - second / 2)};
  in.sessions = {nameless(42, false)};
  const SweepPlan plan = plan_sweep(in);
  REQUIRE(plan.release.size() == 1);
  CHECK(plan.release[0].session == 43);
  CHECK(plan.waiting == 1);
  CHECK(plan.end.empty());  // its owner closes it: it has a second
}

TEST_CASE("a nameless session is ended when its life is over, or when its close takes too long, but not after a restart of the server") {
  SweepInput in = input_at(10 * second);
  in.rows = {quarantined(dead, 42, 10 * second), quarantined(living, 43, 8 * second), quarantined(dead, 44, 8 * second)};
  in.sessions = {nameless(42), nameless(43), nameless(44, true, true, 60)};
  const SweepPlan plan = plan_sweep(in);
  CHECK(plan.end == std::vector<std::size_t>{0, 1});
  REQUIRE(plan.release.size() == 1);
  CHECK(plan.release[0].session == 44);
}

TEST_CASE("nameless sessions without a row are never ended, and hold back as many rows of unknown session") {
  SweepInput in = input_at(10 * second);
  for (int i = 0; i < 4; ++i) in.rows.push_back(quarantined(Life{earlier_slot, 1}, 0, 5 * second));
  in.sessions = {nameless(7), nameless(8), nameless(99, true, false), nameless(9, false)};
  const SweepPlan plan = plan_sweep(in);
  CHECK(plan.end.empty());
  CHECK(plan.release.size() == 2);  // the younger session and another user's are not the earlier fleet's
  CHECK(plan.waiting == 2);
}

TEST_CASE("a life that died while connecting to a server without names waits out the authentication timeout, then for strangers") {
  SweepInput in = input_at(10 * second);
  in.rows = {quarantined(dead, 0, 9 * second), quarantined(dead, 0, 5 * second), quarantined(dead, 0, 5 * second)};
  in.sessions = {nameless(99, true, false)};
  const SweepPlan plan = plan_sweep(in);
  CHECK(plan.release.size() == 1);
  CHECK(plan.waiting == 2);
  CHECK(plan.end.empty());
}

TEST_CASE("a quarantine is as old as its asker has seen it, whatever the row says") {
  // Its owner had read the clock, was stopped for nine seconds, and then wrote the word.
  Sightings sightings;
  std::vector<RowView> rows = {quarantined(living, 0, 1 * second)};
  sightings.look(rows, 10 * second);
  CHECK(rows[0].changed_nanos == 10 * second);
  rows = {quarantined(living, 0, 1 * second)};
  sightings.look(rows, 11 * second);
  CHECK(rows[0].changed_nanos == 10 * second);
  sightings.forget(3);  // released; the next one is another quarantine
  rows = {quarantined(living, 0, 1 * second)};
  sightings.look(rows, 12 * second);
  CHECK(rows[0].changed_nanos == 12 * second);
}
