#include <sluice/budget/allocation.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <vector>

using namespace sluice::budget;

namespace {

std::vector<unsigned> limits(unsigned budget, unsigned confirm, unsigned workers) {
  std::vector<unsigned> out;
  for (unsigned i = 0; i < workers; ++i) out.push_back(limit_of(budget, confirm, workers, i));
  return out;
}

Request postgres(unsigned workers) {
  Request r;
  r.server = "main";
  r.workers = workers;
  r.answer = Answer{20, 3, 0};
  return r;
}

}  // namespace

TEST_CASE("auto keeps the headroom of what the server leaves open, in integers") {
  CHECK(auto_total(20, 3, 20) == 13);
  CHECK(auto_total(100, 3, 20) == 77);
  CHECK(auto_total(100, 0, 0) == 100);
  CHECK(auto_total(3, 3, 20) == 0);
  CHECK(auto_total(2, 3, 20) == 0);
}

TEST_CASE("limits split the budget without the confirm permit, the remainder to the lowest slots") {
  CHECK(limits(13, 1, 2) == std::vector<unsigned>{6, 6});
  CHECK(limits(13, 1, 8) == std::vector<unsigned>{2, 2, 2, 2, 1, 1, 1, 1});
  CHECK(limits(13, 1, 3) == std::vector<unsigned>{4, 4, 4});
  CHECK(limits(13, 1, 1) == std::vector<unsigned>{12});
}

TEST_CASE("limits never add up to more than what is shared, for every budget and worker count") {
  for (unsigned budget = 0; budget <= 130; ++budget) {
    for (unsigned workers = 1; workers <= 70; ++workers) {
      for (unsigned confirm : {0u, 1u}) {
        const auto all = limits(budget, confirm, workers);
        const unsigned shared = budget > confirm ? budget - confirm : 0;
        REQUIRE(std::accumulate(all.begin(), all.end(), 0u) == shared);
        REQUIRE(std::is_sorted(all.rbegin(), all.rend()));
      }
    }
  }
}

TEST_CASE("auto takes the server's answer and shows its arithmetic") {
  const Verdict v = decide(postgres(2));
  CHECK_FALSE(v.refused);
  CHECK(v.total == 13);
  CHECK(v.budget == 13);
  CHECK(v.arithmetic.find("max_connections 20 − 3 reserved") != std::string::npos);
  CHECK(v.arithmetic.find("12 shared by 2 workers: 6 each") != std::string::npos);
}

TEST_CASE("the role's connection limit binds auto where it is smaller") {
  Request r = postgres(1);
  r.answer->user_limit = 10;
  CHECK(decide(r).total == 8);
  r.answer->user_limit = 1000;
  CHECK(decide(r).total == 13);
}

TEST_CASE("a budget that cannot cover every worker's floor is refused with the arithmetic and the remedy") {
  const Verdict v = decide(postgres(13));
  CHECK(v.refused);
  CHECK(v.arithmetic.find("13 workers × floor 1 + 1 = 14 > 13") != std::string::npos);
  CHECK(v.arithmetic.find("servers.main.total") != std::string::npos);
  CHECK_FALSE(decide(postgres(12)).refused);
}

TEST_CASE("a configured total is used as it is, warned about above 80 % and refused above what the server accepts") {
  Request r = postgres(1);
  r.configured_total = 13;
  CHECK(decide(r).total == 13);
  CHECK(decide(r).warning.empty());
  r.configured_total = 17;
  CHECK_FALSE(decide(r).refused);
  CHECK(decide(r).warning.find("80 %") != std::string::npos);
  r.configured_total = 18;
  CHECK(decide(r).refused);
  CHECK(decide(r).arithmetic.find("accepts 17") != std::string::npos);
}

TEST_CASE("several instances divide the total and the rest of the division is left unused") {
  Request r = postgres(1);
  r.configured_total = 17;
  r.instances = 3;
  CHECK(decide(r).budget == 5);
  r.instances = 20;
  CHECK(decide(r).refused);
}

TEST_CASE("a budget beyond the table's capacity is refused, never cut") {
  Request r = postgres(1);
  r.answer.reset();
  r.configured_total = 2000;
  const Verdict v = decide(r);
  CHECK(v.refused);
  CHECK(v.arithmetic.find("capacity 1024") != std::string::npos);
}
