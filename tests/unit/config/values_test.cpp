#include "fixture.hpp"

#include <sluice/config/bytes.hpp>
#include <sluice/config/duration.hpp>
#include <sluice/config/variables.hpp>
#include <sluice/config/worker_counts.hpp>

#include <doctest/doctest.h>

using namespace config_test;
using namespace std::chrono_literals;

TEST_CASE("durations are read with each unit and printed in the shortest exact form") {
  CHECK(parse_duration("500ms").value == 500ms);
  CHECK(parse_duration("30s").value == 30s);
  CHECK(parse_duration("10min").value == 10min);
  CHECK(parse_duration("2h").value == 2h);
  CHECK(parse_duration("1d").value == 24h);
  CHECK(parse_duration("7us").value == 7us);
  CHECK(parse_duration("3ns").value == 3ns);
  CHECK(parse_duration("1.5s").value == 1500ms);
  CHECK(parse_duration("0.001s").value == 1ms);
  CHECK(parse_duration("0s").value == 0s);
  CHECK(format_duration(90s) == "90s");
  CHECK(format_duration(120s) == "2min");
  CHECK(format_duration(1500ms) == "1500ms");
  CHECK(format_duration(0s) == "0s");
  for (const char* text : {"1d", "36h", "2min", "1s", "999ms", "1001us", "1ns"}) CHECK(format_duration(parse_duration(text).value) == text);
}

TEST_CASE("a duration without a unit is refused with the unit to write") {
  CHECK(contains(parse_duration("30").problem, "write \"30s\""));
  CHECK(contains(parse_duration("0").problem, "write \"0s\""));
  CHECK(contains(parse_duration("5m").problem, "write \"5min\" or \"5ms\""));
  for (const char* text : {"", "s", "-1s", "nan", "inf", "1e3s", "1 week", "30s30", "40000d", "99999999999999999999s"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_duration(text));
  }
}

TEST_CASE("sizes are plain bytes or carry a binary unit") {
  CHECK(parse_bytes("4096").value == 4096);
  CHECK(parse_bytes("64KiB").value == 65536);
  CHECK(parse_bytes("1MiB").value == 1048576);
  CHECK(parse_bytes("2 GiB").value == 2147483648ULL);
  CHECK(format_bytes(1048576) == "1MiB");
  CHECK(format_bytes(1000) == "1000");
  CHECK(format_bytes(0) == "0");
  for (const char* text : {"", "KiB", "1MB", "-1", "1.5MiB", "99999999999999999999", "99999999999TiB"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_bytes(text));
  }
}

TEST_CASE("worker counts are a number, auto, or numbers by kind") {
  CHECK(parse_workers("4").value.first_kind == 4);
  for (const char* text : {"auto", "all", "-1"}) CHECK(parse_workers(text).value.first_kind == WorkerCounts::automatic);
  const WorkerCounts both = parse_workers("web=4, jobs=auto").value;
  CHECK_FALSE(both.first_kind.has_value());
  CHECK(both.kinds.at("web") == 4);
  CHECK(both.kinds.at("jobs") == WorkerCounts::automatic);
  CHECK(parse_workers("web=0").value.kinds.at("web") == 0);
  CHECK(format_workers(both) == "jobs=auto,web=4");
  CHECK(format_workers(parse_workers("default").value) == "default");
  for (const char* text : {"", "0", "-2", "four", "web", "web=", "=2", "web=2,web=3", "web=2,,jobs=1", "2000", "web=2000"}) {
    CAPTURE(text);
    CHECK_FALSE((parse_workers(text) && (parse_workers(text).value.first_kind || !parse_workers(text).value.kinds.empty())));
  }
}

TEST_CASE("variables in texts are replaced, with fallbacks and a way to write them literally") {
  const Environment environment{{"USER_NAME", "ada"}, {"EMPTY", ""}};
  CHECK(expand_variables("hello ${USER_NAME}!", environment).value == "hello ada!");
  CHECK(expand_variables("${NOBODY:-eve}/${EMPTY:-x}/${EMPTY}", environment).value == "eve/x/");
  CHECK(expand_variables("$${USER_NAME} costs 5$", environment).value == "${USER_NAME} costs 5$");
  CHECK(contains(expand_variables("${NOBODY}", environment).problem, "NOBODY"));
  CHECK_FALSE(expand_variables("${USER_NAME", environment));
}
