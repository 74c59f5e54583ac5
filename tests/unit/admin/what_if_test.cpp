#include <sluice/admin/arguments.hpp>
#include <sluice/admin/what_if.hpp>
#include <sluice/budget/permit_table.hpp>
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

TEST_CASE("while a lower budget waits, the view says how many connections have to come back and who holds them") {
  using namespace budget;
  const shm::Segment segment = segment_of(20);
  shm::Server& server = segment.servers()[0];
  const auto rows = segment.rows(0);
  resize(rows, 13, 1);
  for (std::uint32_t i = 1; i < 12; ++i) claim(rows[i], Life{static_cast<std::uint16_t>(i < 8 ? 0 : 1), 1}, 1);
  quarantine(rows[11], Owner{RowState::connecting, Life{1, 1}}, 1);
  server.wished_total.set(6);
  server.budget.set(6);
  segment.limits(0)[0] = 3;
  segment.limits(0)[1] = 3;
  resize(rows, 6, 1, false, 1);
  const auto view = budget_view(segment, {});
  CHECK(view[0]["budget"] == 6);
  CHECK(view[0]["wished_total"] == 6);
  CHECK(view[0]["in_force"] == 12);
  CHECK(view[0]["to_come_back"] == 6);
  CHECK(view[0]["holders"] == nlohmann::json::parse(R"([{"slot": 0, "held": 7, "limit": 3}])"));
  const std::string said = budget_text(view);
  INFO(said);
  CHECK(said.find("total 6 was set while running") != std::string::npos);
  CHECK(said.find("12 in force, 6 have to come back; worker 0 holds 7 of 3; 1 waits for the server's word") != std::string::npos);
}

TEST_CASE("without the server's answer the arithmetic says that nobody knows yet") {
  const shm::Segment segment = segment_of(0);
  const auto view = budget_view(segment, {8, std::nullopt});
  CHECK(view[0]["total"] == nullptr);
  CHECK(budget_text(view).find("has not been asked") != std::string::npos);
}

TEST_CASE("what to set a budget to is checked before anybody is asked") {
  const auto set = parse_budget_set(parse_arguments({"budget", "set", "main=30"}));
  REQUIRE(set);
  CHECK(set->server == "main");
  CHECK(set->total == 30);
  CHECK_FALSE(parse_budget_set(parse_arguments({"budget", "set", "main=auto"}))->total);
  CHECK_FALSE(parse_budget_set(parse_arguments({"budget"})));
  for (const auto& wrong : {std::vector<std::string>{"budget", "set"},
                            {"budget", "set", "main"},
                            {"budget", "set", "main="},
                            {"budget", "set", "=30"},
                            {"budget", "set", "main=0"},
                            {"budget", "set", "main=-1"},
                            {"budget", "set", "main=1e3"},
                            {"budget", "set", "main=99999999999"},
                            {"budget", "set", "main=30", "--what-if"}})
    CHECK_THROWS_AS(parse_budget_set(parse_arguments(wrong)), ExitError);
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
