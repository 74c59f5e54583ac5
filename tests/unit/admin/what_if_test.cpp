#include <sluice/admin/arguments.hpp>
#include <sluice/admin/what_if.hpp>
#include <sluice/core/error.hpp>

#include <doctest/doctest.h>

using namespace sluice;
using namespace sluice::admin;

namespace {

shm::Segment segment_of(std::uint32_t max_connections) {
  shm::Shape shape;
  shape.max_workers = 8;
  shape.servers = {{"main", 1024}};
  shm::Segment segment = shm::Segment::create(shape);
  shm::Server& server = segment.servers()[0];
  server.confirm = 1;
  server.floor = 1;
  server.instances = 1;
  server.headroom_percent = 20;
  if (max_connections != 0) {
    server.max_connections.set(max_connections);
    server.reserved.set(3);
    server.answered.publish(1);
  }
  segment.published().workers_wanted.set(2);
  return segment;
}

}  // namespace

TEST_CASE("the budget as it is, and as it would be with other numbers of workers and instances") {
  const shm::Segment segment = segment_of(20);
  const auto now = budget_view(segment, {});
  CHECK(now[0]["budget"] == 13);
  CHECK(now[0]["limits"] == nlohmann::json({6, 6}));
  const auto eight = budget_view(segment, {8, std::nullopt});
  CHECK(eight[0]["limits"] == nlohmann::json({2, 2, 2, 2, 1, 1, 1, 1}));
  CHECK(eight[0]["refused"] == false);
  const auto machines = budget_view(segment, {8, 3});
  CHECK(machines[0]["refused"] == true);
  CHECK(machines[0]["limits"].empty());
  CHECK(budget_text(machines).find("13 / 3 instances") != std::string::npos);
  CHECK(budget_text(machines).find("8 workers × floor 1 + 1 = 9 > 4") != std::string::npos);
}

TEST_CASE("without the server's answer the arithmetic says that nobody knows yet") {
  const shm::Segment segment = segment_of(0);
  const auto view = budget_view(segment, {8, std::nullopt});
  CHECK(view[0]["total"] == nullptr);
  CHECK(budget_text(view).find("has not been asked") != std::string::npos);
}

TEST_CASE("what-if numbers are checked before anybody is asked") {
  CHECK(what_if_query(parse_arguments({"budget"})).empty());
  CHECK(what_if_query(parse_arguments({"budget", "--what-if", "workers=8", "instances=3"})) == "?workers=8&instances=3");
  for (const auto& wrong : {std::vector<std::string>{"budget", "workers=8"},
                            {"budget", "--what-if"},
                            {"budget", "--what-if", "workers"},
                            {"budget", "--what-if", "workers=-1"},
                            {"budget", "--what-if", "workers=9999999"},
                            {"budget", "--what-if", "wrokers=8"}})
    CHECK_THROWS_AS(what_if_query(parse_arguments(wrong)), ExitError);
}
