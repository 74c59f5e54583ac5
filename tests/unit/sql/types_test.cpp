#include <doctest/doctest.h>
#include <sluice/sql/error.hpp>
#include <sluice/sql/rows.hpp>

#include <limits>
#include <nlohmann/json.hpp>

using namespace sluice::sql;
using namespace std::chrono;

namespace {

// A result of one row and one column "v".
Rows one(Value value) {
  auto set = std::make_shared<ResultSet>();
  set->columns = std::vector<std::string>{"v"};
  set->cells.push_back(std::move(value));
  set->row_count = 1;
  return Rows(std::move(set));
}

template <class T>
T read(Value value) {
  return one(std::move(value))[0]["v"].template as<T>();
}

template <class T>
std::string refusal(Value value) {
  try {
    read<T>(std::move(value));
  } catch (const SqlError& e) {
    CHECK(e.phase() == Phase::decode);
    CHECK(e.error_class() == Class::type);
    return e.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("a date's text is read back, before the year 1 too, and days that do not exist are none") {
  for (const Date date :
       {Date(2024y / 2 / 29), Date(1y / 1 / 1), Date(0y / 12 / 31), Date(-4712y / 1 / 1), Date(9999y / 12 / 31), Date(32767y / 12 / 31)}) {
    CAPTURE(format_date(date));
    CHECK(parse_date(format_date(date)) == date);
  }
  CHECK(format_date(0y / 12 / 31) == "0001-12-31 BC");
  for (const char* none : {"", "2023-02-29", "2024-13-01", "2024-02-30", "24-02-01", "2024-2-1", "2024-02-01 ", "infinity", "99999-01-01"}) {
    CAPTURE(none);
    CHECK_FALSE(parse_date(none));
  }
}

TEST_CASE("a time's text is read back, negative and beyond a day too") {
  for (const Time time : {Time{0us}, Time{23h + 59min + 59s + 999999us}, Time{24h}, Time{-(838h + 59min + 59s)}, Time{838h + 59min + 59s + 1us}}) {
    CAPTURE(format_time(time));
    CHECK(parse_time(format_time(time)) == time);
  }
  CHECK(parse_time("7:05") == Time{7h + 5min});
  CHECK(parse_time("07:05:01.5") == Time{7h + 5min + 1s + 500ms});
  for (const char* none : {"", "12", "12:60", "12:00:61", "12:00:00.", "12:00:00.1234567", "12:00:00+02", "soon"}) {
    CAPTURE(none);
    CHECK_FALSE(parse_time(none));
  }
}

TEST_CASE("a UUID is read in its usual spellings") {
  const std::optional<Uuid> uuid = parse_uuid("f47ac10b-58cc-4372-a567-0e02b2c3d479");
  REQUIRE(uuid);
  CHECK(format_uuid(*uuid) == "f47ac10b-58cc-4372-a567-0e02b2c3d479");
  CHECK(parse_uuid("{F47AC10B-58CC-4372-A567-0E02B2C3D479}") == uuid);
  CHECK(parse_uuid("f47ac10b58cc4372a5670e02b2c3d479") == uuid);
  for (const char* none :
       {"", "f47ac10b", "g47ac10b-58cc-4372-a567-0e02b2c3d479", "f47ac10b58cc4372a5670e02b2c3d4790", "f47ac10b-58cc-4372-a567-0e02b2c3d47"})
    CHECK_FALSE(parse_uuid(none));
}

TEST_CASE("a decimal is any number's exact text, and nothing else") {
  for (const char* good : {"0", "-1", "+1.50", ".5", "5.", "1e10", "1.5E-3", "NaN", "-Infinity", "123456789012345678901234567890.123456789"})
    CHECK(Decimal(good).text() == good);
  for (const char* bad : {"", "-", ".", "1.2.3", "1e", "0x10", " 1", "1 ", "1,5", "one"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(Decimal{bad}, SqlError);
  }
  CHECK_FALSE(Decimal("1.0") == Decimal("1.00"));
}

TEST_CASE("well-formed UTF-8 is told from what is none") {
  for (const char* good :
       {"", "plain ascii, more than eight", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "12345678\xC3\xA9", "\xF4\x8F\xBF\xBF", "\xED\x9F\xBF"})
    CHECK(valid_utf8(good));
  for (const char* bad : {"\xFF", "\x80", "\xC3", "\xC0\xAF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "12345678\xC3",
                          "\xE2\x82", "\xC3("}) {
    CAPTURE(bad);
    CHECK_FALSE(valid_utf8(bad));
  }
}

TEST_CASE("integers of every width are read at their ends and refused beyond") {
  CHECK(read<std::int8_t>(Value(std::int64_t{-128})) == -128);
  CHECK(read<std::uint8_t>(Value(std::int64_t{255})) == 255);
  CHECK(read<std::uint64_t>(Value(std::numeric_limits<std::uint64_t>::max())) == std::numeric_limits<std::uint64_t>::max());
  CHECK(read<std::uint64_t>(Value(Decimal("18446744073709551615"))) == std::numeric_limits<std::uint64_t>::max());
  CHECK(read<std::int64_t>(Value(std::numeric_limits<std::int64_t>::min())) == std::numeric_limits<std::int64_t>::min());
  CHECK(refusal<std::int8_t>(Value(std::int64_t{128})).find("from -128 to 127 (the value is outside)") != std::string::npos);
  CHECK(refusal<std::uint16_t>(Value(std::int64_t{-1})).find("from 0 to 65535 (the value is outside)") != std::string::npos);
  CHECK(refusal<std::int64_t>(Value(std::uint64_t{9223372036854775808u})).find("outside") != std::string::npos);
  CHECK(refusal<int>(Value(Decimal("1.5"))) == "column \"v\" of row 0: asked for an integer from -2147483648 to 2147483647, found decimal");
}

TEST_CASE("a decimal is read exactly or not at all") {
  CHECK(read<Decimal>(Value(Decimal("12.30"))).text() == "12.30");
  CHECK(read<Decimal>(Value(std::string("12.30"))).text() == "12.30");
  CHECK(read<Decimal>(Value(std::int64_t{-7})).text() == "-7");
  CHECK(read<double>(Value(Decimal("12.5"))) == 12.5);
  CHECK(read<std::string>(Value(Decimal("12.30"))) == "12.30");
  CHECK(refusal<Decimal>(Value(12.3)).find("found floating point") != std::string::npos);
}

TEST_CASE("dates, times, UUIDs and JSON are read from their value and from their text") {
  CHECK(read<Date>(Value(Date(2024y / 2 / 29))) == 2024y / 2 / 29);
  CHECK(read<Date>(Value(std::string("2024-02-29"))) == 2024y / 2 / 29);
  CHECK(read<Timestamp>(Value(Date(2024y / 2 / 29))) == sys_days(2024y / 2 / 29));
  CHECK(read<minutes>(Value(Time{90s})) == 1min);
  CHECK(read<Time>(Value(std::string("01:00:00"))) == Time{1h});
  const Uuid uuid = *parse_uuid("f47ac10b-58cc-4372-a567-0e02b2c3d479");
  Bytes raw;
  for (const std::uint8_t byte : uuid) raw.push_back(static_cast<std::byte>(byte));
  CHECK(read<Uuid>(Value(uuid)) == uuid);
  CHECK(read<Uuid>(Value(raw)) == uuid);
  CHECK(read<nlohmann::json>(Value(std::string(R"({"a":[1,null]})")))["a"].size() == 2);
  CHECK(refusal<nlohmann::json>(Value(std::string("{oops"))).find("asked for JSON, found text") != std::string::npos);
  CHECK(refusal<Date>(Value(std::string("soon"))).find("asked for a date, found text") != std::string::npos);
}

TEST_CASE("an array is read element by element, and an error says that it was inside") {
  const Array list{{Value(std::int64_t{1}), Value(Null{}), Value(std::int64_t{3})}};
  const auto numbers = read<std::vector<std::optional<int>>>(Value(list));
  CHECK(numbers == std::vector<std::optional<int>>{1, std::nullopt, 3});
  const Array nested{{Value(Array{{Value(true)}}), Value(Array{{Value(false)}})}};
  CHECK(read<std::vector<std::vector<bool>>>(Value(nested)) == std::vector<std::vector<bool>>{{true}, {false}});
  CHECK(refusal<std::vector<int>>(Value(list)).find("an element of column \"v\" of row 0: asked for an integer") == 0);
  CHECK(refusal<std::vector<int>>(Value(std::int64_t{1})).find("asked for an array, found integer") != std::string::npos);
}
