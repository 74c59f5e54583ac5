#include <sluice/budget/share.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <string_view>
#include <vector>

using namespace sluice;
using namespace sluice::budget;

namespace {

constexpr std::int64_t ms = 1'000'000;

struct Two {
  Two() : rows(10), limits(2), wants(2) {
    resize(rows, 10, 0);
    for (auto& limit : limits) limit = 4;
    for (std::uint16_t i = 0; i < 2; ++i) {
      Terms t;
      t.limits = limits;
      t.wants = wants;
      t.max_connecting = 2;
      t.server = &server;
      t.ring = [this](std::uint32_t slot) { rung.push_back(slot); };
      shares.push_back(std::make_unique<Share>(rows, 1, Life{i, 1}, t));
    }
  }
  std::vector<shm::Row> rows;
  std::vector<std::atomic<std::uint32_t>> limits;
  std::vector<std::atomic<std::uint64_t>> wants;
  shm::Server server{};
  std::vector<std::unique_ptr<Share>> shares;
  std::vector<std::uint32_t> rung;
};

}  // namespace

TEST_CASE("after a failed connect nobody of the instance connects before the backoff has passed, and then one alone") {
  Two t;
  Share &a = *t.shares[0], &b = *t.shares[1];
  const auto row = a.claim(0);
  REQUIRE(row);
  a.released(*row, 0);
  a.server_failed(0, 100ms, 30s, 0.5);  // 150 ms
  CHECK(b.outage());
  CHECK(b.probe_at() == from_nanos(150 * ms));
  CHECK_FALSE(b.claim(149 * ms));
  CHECK(b.refusal() == Refusal::outage);
  const auto probe = b.claim(150 * ms);
  REQUIRE(probe);
  CHECK_FALSE(a.claim(150 * ms));
  CHECK(a.refusal() == Refusal::outage);
  SUBCASE("a probe that succeeds ends the outage for all, and wakes them") {
    b.connected(*probe, 1, 1, 151 * ms);
    b.server_answered();
    CHECK(t.rung == std::vector<std::uint32_t>{0});
    CHECK_FALSE(a.outage());
    CHECK(a.claim(151 * ms));
    CHECK(a.claim(151 * ms));
    CHECK_FALSE(a.claim(151 * ms));
    CHECK(a.refusal() == Refusal::connecting);
  }
  SUBCASE("a probe that fails makes the next pause longer") {
    b.released(*probe, 151 * ms);
    b.server_failed(151 * ms, 100ms, 30s, 0.999);
    CHECK(a.probe_at() > from_nanos(500 * ms));
    CHECK(a.probe_at() <= from_nanos(552 * ms));
  }
  SUBCASE("a prober that dies is replaced once its row is swept") {
    sweep(t.rows, 152 * ms, false, [](Life life) { return life.slot == 1; });
    CHECK(a.claim(152 * ms));
  }
}

TEST_CASE("a claim that is under way when another's connect fails is taken back: its owner waits its turn, too") {
  Two t;
  static Share* other;
  static const char* at;
  other = t.shares[0].get();
  at = "claim";
  RowState before = RowState::free;
  SUBCASE("of a free row") {}
  SUBCASE("of one that was granted") {
    at = "accept";
    before = RowState::granted;
    t.rows[1].owner = Owner{RowState::granted, Life{1, 1}}.pack();
  }
  step_listener = [](const char* what, Moment moment, std::uint64_t) {
    if (moment == Moment::before && std::string_view(what) == at) other->server_failed(0, 100ms, 30s, 0.5);
  };
  const auto row = t.shares[1]->claim(0);
  step_listener = nullptr;
  CHECK_FALSE(row);
  CHECK(t.shares[1]->refusal() == Refusal::outage);
  CHECK(t.shares[1]->held() == 0);
  CHECK(Owner::unpack(t.rows[1].owner).state == before);
  CHECK(t.shares[1]->claim(150 * ms));
}

TEST_CASE("an outage's backoff is capped, and its word survives many failures") {
  Outage outage;
  for (int i = 0; i < 100'000; ++i) outage = after_failure(outage, 0, 100ms, 30s, 0.999);
  CHECK(outage.failures == 0xffff);
  CHECK(outage.probe_at_millis <= 30'000);
  CHECK(Outage::unpack(outage.pack()).probe_at_millis == outage.probe_at_millis);
  CHECK(Outage{}.pack() == 0);
}
