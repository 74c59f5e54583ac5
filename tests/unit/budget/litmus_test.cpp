// Two threads on the real code, where the order of two words decides whether somebody waits in vain: the simulator runs one thread
// and cannot see what a processor reorders.
#include <sluice/budget/share.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

using namespace sluice;
using namespace sluice::budget;

namespace {

constexpr unsigned pairs = 1000;  // of a want and a row; both threads go through all of them at the same time
constexpr unsigned rounds = 100;
const TimePoint now = TimePoint(std::chrono::hours(1));

struct Table {
  std::vector<shm::Row> rows = std::vector<shm::Row>(pairs);
  std::vector<std::atomic<std::uint64_t>> wants = std::vector<std::atomic<std::uint64_t>>(pairs);
  std::vector<std::unique_ptr<Share>> wanting, giving;

  Table() {
    for (std::uint16_t i = 0; i < pairs; ++i) {
      Terms terms;
      terms.wants = wants;
      terms.elastic = true;
      wanting.push_back(std::make_unique<Share>(std::span(rows).subspan(i, 1), 0, Life{i, 1}, terms));
      giving.push_back(std::make_unique<Share>(std::span(rows).subspan(i, 1), 0, Life{0, 2}));
      static_cast<void>(giving.back()->claim(1));
      giving.back()->closing(0, 1);
    }
  }
};

// Rows that came back, and wants that were published, without either side seeing the other.
unsigned missed() {
  Table t;
  std::vector<char> row_seen(pairs), want_seen(pairs);
  std::atomic<int> ready{0};
  const auto together = [&ready] {
    ++ready;
    while (ready.load() < 2) {
    }
  };
  std::thread wanter([&] {
    together();
    for (unsigned i = 0; i < pairs; ++i) {
      t.wanting[i]->want(1, now);
      row_seen[i] = Owner::unpack(t.rows[i].owner.load()).state == RowState::free;
    }
  });
  std::thread giver([&] {
    together();
    const Parts parts{{}, t.wants, 1};
    for (unsigned i = 0; i < pairs; ++i) {
      t.giving[i]->released(0, 2);
      want_seen[i] = parts.want(i) > 0;
    }
  });
  wanter.join();
  giver.join();
  unsigned n = 0;
  for (unsigned i = 0; i < pairs; ++i) n += !row_seen[i] && !want_seen[i];
  return n;
}

}  // namespace

TEST_CASE("a want and a row that comes back at the same time never miss each other") {
  unsigned lost = 0;
  for (unsigned round = 0; round < rounds; ++round) lost += missed();
  CHECK(lost == 0);
}
