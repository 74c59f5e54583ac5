#include <doctest/doctest.h>
#include <sluice/sql/error.hpp>
#include <sluice/sql/value.hpp>

#include <limits>
#include <nlohmann/json.hpp>

using namespace sluice::sql;

TEST_CASE("arguments become the values that their types say") {
  CHECK(encode(true) == Value(true));
  CHECK(encode(-5) == Value(std::int64_t{-5}));
  CHECK(encode(static_cast<unsigned char>(200)) == Value(std::int64_t{200}));
  CHECK(encode(std::numeric_limits<std::int64_t>::min()) == Value(std::numeric_limits<std::int64_t>::min()));
  CHECK(encode(1.5f) == Value(1.5));
  CHECK(encode("text") == Value(std::string("text")));
  CHECK(encode(std::string_view("view")) == Value(std::string("view")));
  CHECK(encode(Bytes{std::byte{0}, std::byte{255}}) == Value(Bytes{std::byte{0}, std::byte{255}}));
}

TEST_CASE("everything that means nothing becomes NULL") {
  const char* no_text = nullptr;
  CHECK(encode(nullptr) == Value(Null{}));
  CHECK(encode(Null{}) == Value(Null{}));
  CHECK(encode(no_text) == Value(Null{}));
  CHECK(encode(std::optional<int>{}) == Value(Null{}));
  CHECK(encode(std::optional<int>{7}) == Value(std::int64_t{7}));
}

TEST_CASE("time points are cut to microseconds towards the past") {
  using namespace std::chrono;
  CHECK(encode(sys_time<nanoseconds>(1999ns)) == Value(Timestamp(1us)));
  CHECK(encode(sys_time<nanoseconds>(-1ns)) == Value(Timestamp(-1us)));
  CHECK(encode(sys_days(2024y / 2 / 29)) == Value(Timestamp(sys_days(2024y / 2 / 29))));
}

TEST_CASE("an unsigned number above the largest signed one stays what it is, and smaller ones are plain integers") {
  CHECK(encode(std::uint64_t{9223372036854775807u}) == Value(std::numeric_limits<std::int64_t>::max()));
  CHECK(encode(std::uint64_t{9223372036854775808u}) == Value(std::uint64_t{9223372036854775808u}));
  CHECK(encode(std::numeric_limits<std::uint64_t>::max()) == Value(std::numeric_limits<std::uint64_t>::max()));
}

TEST_CASE("dates, times, decimals, UUIDs, JSON and lists become values of their own") {
  using namespace std::chrono;
  CHECK(encode(2024y / 2 / 29) == Value(Date(2024y / 2 / 29)));
  CHECK(encode(12h + 34min) == Value(Time{12h + 34min}));
  CHECK(encode(Decimal("0.10")) == Value(Decimal("0.10")));
  CHECK(encode(*parse_uuid("f47ac10b-58cc-4372-a567-0e02b2c3d479")).index() == Value(Uuid{}).index());
  CHECK(encode(nlohmann::json{{"a", 1}}) == Value(std::string(R"({"a":1})")));
  const std::vector<std::optional<int>> list{1, std::nullopt};
  CHECK(encode(list) == Value(Array{{Value(std::int64_t{1}), Value(Null{})}}));
  CHECK_THROWS_AS(encode(2023y / 2 / 29), SqlError);
  CHECK_THROWS_AS(encode(nlohmann::json("\xff")), SqlError);
}

TEST_CASE("a statement is shortened to one line of 120 characters, whole UTF-8 characters only") {
  CHECK(shorten("  SELECT  1\n\tFROM t ") == "SELECT 1 FROM t");
  CHECK(shorten(std::string(120, 'x')) == std::string(120, 'x'));
  CHECK(shorten(std::string(121, 'x')) == std::string(120, 'x') + "…");
  CHECK(shorten(std::string(119, 'x') + "é") == std::string(119, 'x') + "…");
  CHECK(shorten("") == "");
}
