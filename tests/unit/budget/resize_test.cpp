#include <sluice/budget/permit_table.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <random>
#include <vector>

using namespace sluice;
using namespace sluice::budget;

namespace {

constexpr Life somebody{3, 1};

struct Table {
  std::array<shm::Row, 24> rows{};
  shm::Cell in_use;
  std::int64_t now = 1;

  std::uint32_t set(std::uint32_t budget, bool quarantine = false) { return resize(rows, budget, ++now, quarantine, 1, 0, &in_use); }
  RowState state(std::uint32_t row) const { return read(rows, row).owner.state; }
  std::uint32_t in_force() const { return static_cast<std::uint32_t>(rows.size()) - count(rows).of(RowState::disabled); }
  std::uint32_t end_of_use() const {
    std::uint32_t end = 0;
    for (std::uint32_t i = 0; i < rows.size(); ++i)
      if (state(i) != RowState::disabled) end = i + 1;
    return end;
  }
  void take(std::uint32_t row) { REQUIRE(claim(rows[row], somebody, now)); }
  void give_back(std::uint32_t row) { REQUIRE(release_proven(rows[row], Owner{RowState::connecting, somebody}, now)); }
};

}  // namespace

TEST_CASE("a raised budget is in force at once, a lowered one once enough rows came back") {
  Table t;
  CHECK(t.set(13) == 13);
  for (std::uint32_t i = 1; i < 13; ++i) t.take(i);
  CHECK(t.set(6) == 13);
  CHECK(t.in_use.get() == 13);
  t.give_back(2);  // any position will do
  CHECK(t.set(6) == 12);
  CHECK(t.state(2) == RowState::disabled);
  for (const std::uint32_t row : {12u, 4u, 5u, 11u, 10u, 3u}) t.give_back(row);
  CHECK(t.set(6) == 6);
  CHECK(t.set(17) == 17);
  CHECK(t.in_use.get() == 17);
}

TEST_CASE("the rows of a lowered budget end up at the front, one leaving before another comes") {
  Table t;
  t.set(13);
  for (std::uint32_t i = 1; i < 13; ++i) t.take(i);
  for (std::uint32_t i = 1; i < 8; ++i) t.give_back(i);  // 8 to 12 stay taken
  CHECK(t.set(6) == 6);
  CHECK(t.in_use.get() == 13);
  CHECK(t.state(1) == RowState::disabled);
  t.give_back(10);
  CHECK(t.set(6) == 6);
  CHECK(t.state(10) == RowState::disabled);
  CHECK(t.state(1) == RowState::free);
  for (const std::uint32_t row : {8u, 9u, 11u, 12u}) t.give_back(row);
  CHECK(t.set(6) == 6);
  CHECK(t.in_use.get() == 6);
  for (std::uint32_t i = 0; i < 6; ++i) CHECK(t.state(i) == RowState::free);
}

TEST_CASE("the confirm permit is never disabled") {
  Table t;
  t.set(4);
  for (std::uint32_t i = 1; i < 4; ++i) t.take(i);
  CHECK(t.set(2) == 4);
  CHECK(t.state(0) == RowState::free);
}

TEST_CASE("rows added while sessions of an earlier fleet may exist wait like the first ones") {
  Table t;
  t.set(4, true);
  CHECK(t.state(0) == RowState::free);
  CHECK(t.state(3) == RowState::quarantined);
  t.set(6, true);
  CHECK(read(t.rows, 5).owner == Owner{RowState::quarantined, Life{earlier_slot, 1}});
}

namespace {

const Table* watched = nullptr;
std::uint32_t most_in_force = 0;
bool hidden = false;

void look(const char*, Moment, std::uint64_t) {
  most_in_force = std::max(most_in_force, watched->in_force());
  hidden = hidden || watched->end_of_use() > watched->in_use.get();
}

}  // namespace

TEST_CASE("at no instant are more rows in force than the larger of old and new budget, nor one behind the rows in use") {
  std::mt19937 random(7);
  Table t;
  watched = &t;
  step_listener = look;
  std::uint32_t before = 0;
  for (int round = 0; round < 3000; ++round) {
    const std::uint32_t target = 1 + random() % 24;
    const std::uint32_t ceiling = std::max({before, target, t.in_force()});
    most_in_force = 0;
    hidden = false;
    for (int tick = 0; tick < 4; ++tick) {
      t.set(target);
      for (std::uint32_t i = 1; i < t.rows.size(); ++i) {
        if (t.state(i) == RowState::free && random() % 3 == 0) t.take(i);
        else if (t.state(i) == RowState::connecting && random() % 3 == 0) t.give_back(i);
      }
    }
    CHECK(most_in_force <= ceiling);
    CHECK_FALSE(hidden);
    before = target;
  }
  step_listener = nullptr;
  for (std::uint32_t i = 1; i < t.rows.size(); ++i)
    if (t.state(i) == RowState::connecting) t.give_back(i);
  t.set(9);
  CHECK(t.set(9) == 9);
  CHECK(t.in_use.get() == 9);
}
