#include <sluice/admin/tables.hpp>

#include <sluice/admin/views.hpp>

#include "sample.hpp"

#include <doctest/doctest.h>

using namespace sluice;
using namespace sluice::admin;

TEST_CASE("columns are as wide as their widest cell, numbers to the right, no trailing blanks") {
  CHECK(table({"NAME", "N", "NOTE"}, {{"a", "1", "-"}, {"größer", "200", "x y"}}) ==
        "NAME      N  NOTE\n"
        "a         1  -\n"
        "größer  200  x y\n");
  CHECK(table({"NAME", "N"}, {}) == "NAME  N\n");
}

TEST_CASE("durations and sizes are short") {
  CHECK(human_millis(0) == "0ms");
  CHECK(human_millis(950) == "950ms");
  CHECK(human_millis(12'345) == "12.3s");
  CHECK(human_millis(125'000) == "2m05s");
  CHECK(human_millis(7'500'000) == "2h05m");
  CHECK(human_millis(200'000'000) == "2d07h");
  CHECK(human_bytes(12) == "12B");
  CHECK(human_bytes(9'830'400) == "9.4M");
}

TEST_CASE("the tables show the documents' values") {
  const auto segment = test::sample_segment();
  const std::string status = status_text(status_view(segment, test::sample_now, test::sample_usage));
  INFO(status);
  CHECK(status.find("orders@test: running, up 1m40s, master 4000, configuration 1\n") == 0);
  CHECK(status.find("floor((20 - 3) x 80 / 100) = 13") != std::string::npos);
  CHECK(status.find("totals: 1000 requests (0 errors)") != std::string::npos);
  const std::string permits = permits_text(permits_view(segment, test::sample_now));
  CHECK(permits.find("apps/orders/orders.cpp:42 create\n") != std::string::npos);
  const std::string pools = pools_text(pools_view(segment));
  CHECK(pools.find("WAIT P99") != std::string::npos);
  CHECK(pools.find("yes") != std::string::npos);
}

TEST_CASE("an answer of another version shows dashes instead of failing") {
  CHECK_NOTHROW(status_text(nlohmann::json::object()));
  CHECK(workers_text(nlohmann::json::parse(R"([{"slot": "x", "rss_bytes": null}])")).find("x") != std::string::npos);
  CHECK_NOTHROW(health_text(nlohmann::json::object()));
}
