#include <doctest/doctest.h>
#include <sluice/sql/row.hpp>

using namespace sluice::sql;
using namespace std::chrono;

namespace {
const Timestamp noon = sys_days(2024y / 2 / 29) + 12h + 34min + 56s;
}

TEST_CASE("timestamps are read from what SQLite and PostgreSQL write, and from ISO 8601") {
  CHECK(parse_timestamp("2024-02-29") == Timestamp(sys_days(2024y / 2 / 29)));
  CHECK(parse_timestamp("2024-02-29 12:34") == noon - 56s);
  CHECK(parse_timestamp("2024-02-29 12:34:56") == noon);
  CHECK(parse_timestamp("2024-02-29T12:34:56Z") == noon);
  CHECK(parse_timestamp("2024-02-29 12:34:56.000001") == noon + 1us);
  CHECK(parse_timestamp("2024-02-29 12:34:56.5") == noon + 500ms);
  CHECK(parse_timestamp("2024-02-29 12:34:56.123456789") == noon + 123456us);
}

TEST_CASE("an offset is taken off, so that the result is UTC") {
  CHECK(parse_timestamp("2024-02-29 14:34:56+02") == noon);
  CHECK(parse_timestamp("2024-02-29 18:04:56+05:30") == noon);
  CHECK(parse_timestamp("2024-02-29T11:34:56.25-0100") == noon + 250ms);
}

TEST_CASE("what is no timestamp is nothing") {
  for (const char* s : {"", "2024", "2024-2-9", "2023-02-29", "2024-13-01", "2024-02-29 ", "2024-02-29 24:00:00", "2024-02-29 12:60", "2024-02-29 12:34:60",
                        "2024-02-29 12:34:56.", "2024-02-29 12:34:56.1234567890", "2024-02-29 12:34:56 ", "2024-02-29 12:34:56+", "2024-02-29 12:34:56Zx", "noon"}) {
    CAPTURE(s);
    CHECK(!parse_timestamp(s));
  }
}

TEST_CASE("a timestamp is written so that texts sort like instants, and reads back the same") {
  CHECK(format_timestamp(noon + 7us) == "2024-02-29 12:34:56.000007");
  CHECK(format_timestamp(Timestamp(-1us)) == "1969-12-31 23:59:59.999999");
  for (const Timestamp t : {noon, Timestamp(0us), Timestamp(-1us), Timestamp(sys_days(1y / 1 / 1)), Timestamp(sys_days(9999y / 12 / 31)) + 86399999999us})
    CHECK(parse_timestamp(format_timestamp(t)) == t);
}
