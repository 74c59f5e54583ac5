#include <sluice/drivers/postgres/values.hpp>
#include <sluice/sql/error.hpp>

#include <doctest/doctest.h>
#include <libpq-fe.h>

#include <cmath>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <memory>

using namespace sluice;
using namespace std::chrono;
using postgres::format_timestamp;
using postgres::Parameters;
using postgres::parse_timestamp;
using sql::Timestamp;

TEST_CASE("Timestamps are read in every form that the ISO style writes") {
  const Timestamp noon = sys_days(2024y / February / 29) + 12h + 34min + 56s + 789ms;
  CHECK(parse_timestamp("2024-02-29 12:34:56.789") == noon);
  CHECK(parse_timestamp("2024-02-29 12:34:56.789+00") == noon);
  CHECK(parse_timestamp("2024-02-29 14:04:56.789+01:30") == noon);
  CHECK(parse_timestamp("2024-02-29 04:34:56.789-08") == noon);
  CHECK(parse_timestamp("2024-02-29 12:50:56.789+00:16:00") == noon);
  CHECK(parse_timestamp("1969-12-31 23:59:59.999999+00") == Timestamp(-1us));
  CHECK(parse_timestamp("0044-03-15 00:00:00 BC") == Timestamp(sys_days(year(-43) / March / 15)));
  CHECK(parse_timestamp("infinity") == Timestamp::max());
  CHECK(parse_timestamp("-infinity") == Timestamp::min());
}

TEST_CASE("What is no timestamp, or beyond the range of one, is not read as one") {
  for (const char* s : {"", "2024-02-29", "12:00:00", "29/02/2024 12:00:00", "2024-02-29 12:00:00 CET", "294276-12-31 23:59:59"}) {
    CAPTURE(s);
    CHECK_FALSE(parse_timestamp(s));
  }
}

TEST_CASE("A written timestamp is read back as itself, far from today too") {
  for (const std::int64_t us : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1709210096789012}, std::int64_t{-62135596800000001},
                                std::int64_t{-210866803200000000}, std::int64_t{9000000000000000000}}) {
    const Timestamp t{microseconds(us)};
    CAPTURE(format_timestamp(t));
    CHECK(parse_timestamp(format_timestamp(t)) == t);
  }
  CHECK(format_timestamp(Timestamp(0us)) == "1970-01-01 00:00:00.000000+00");
  CHECK(format_timestamp(Timestamp::max()) == "infinity");
}

TEST_CASE("Cells are decoded by their column's type, unknown types as their text") {
  CHECK(postgres::decode(16, "t") == sql::Value(true));
  CHECK(postgres::decode(20, "-9223372036854775808") == sql::Value(std::numeric_limits<std::int64_t>::min()));
  CHECK(postgres::decode(701, "0.1") == sql::Value(0.1));
  CHECK(std::isnan(std::get<double>(postgres::decode(701, "NaN"))));
  CHECK(postgres::decode(701, "-Infinity") == sql::Value(-std::numeric_limits<double>::infinity()));
  CHECK(postgres::decode(17, "\\x00ff") == sql::Value(sql::Bytes{std::byte{0}, std::byte{255}}));
  CHECK(postgres::decode(17, "a\\000b") == sql::Value(sql::Bytes{std::byte{'a'}, std::byte{0}, std::byte{'b'}}));
  CHECK(postgres::decode(1700, "1.10") == sql::Value(sql::Decimal("1.10")));
}

TEST_CASE("Parameters are text of no fixed type; bytes are binary") {
  std::vector<sql::Value> values;
  values.emplace_back(sql::Null{});
  values.emplace_back(std::int64_t{-5});
  values.emplace_back(0.1);
  values.emplace_back(sql::Bytes{});
  values.emplace_back(true);
  const Parameters p(std::move(values));
  REQUIRE(p.count() == 5);
  CHECK(p.values()[0] == nullptr);
  CHECK(std::string(p.values()[1]) == "-5");
  CHECK(std::string(p.values()[2]) == "0.1");
  CHECK(p.values()[3] != nullptr);
  CHECK(p.formats()[3] == 1);
  CHECK(p.types()[3] == 17);
  CHECK(p.types()[1] == 0);
  CHECK(std::string(p.values()[4]) == "t");
}

TEST_CASE("A prepared form is named by its text, and by which parameters are bytes") {
  const std::string sql = "SELECT $1, $2, $3";
  std::string room;
  std::vector<sql::Value> values(3);
  values[1] = sql::Value(std::string("a"));
  CHECK(&postgres::prepared_key(sql, values, room) == &sql);
  values[0] = sql::Value(sql::Bytes{});
  values[2] = sql::Value(sql::Bytes{});
  CHECK(postgres::prepared_key(sql, values, room) == sql + "\n0\n2");
  values[0] = sql::Value(std::int64_t{1});
  CHECK(postgres::prepared_key(sql, values, room) == sql + "\n2");
}

TEST_CASE("Parameters without bytes need no types, lengths or formats") {
  std::vector<sql::Value> values;
  values.emplace_back(std::int64_t{1});
  values.emplace_back(std::string("a"));
  const Parameters p(values);
  REQUIRE(p.count() == 2);
  CHECK(p.types() == nullptr);
  CHECK(p.lengths() == nullptr);
  CHECK(p.formats() == nullptr);
}

namespace {

struct Answer {
  Answer(std::initializer_list<const char*> names, const char* cell) {
    std::vector<PGresAttDesc> columns;
    for (const char* name : names) columns.push_back(PGresAttDesc{const_cast<char*>(name), 0, 0, 0, 25, -1, -1});
    PQsetResultAttrs(result.get(), static_cast<int>(columns.size()), columns.data());
    const int size = static_cast<int>(std::strlen(cell));
    for (std::size_t c = 0; c < columns.size(); ++c) PQsetvalue(result.get(), 0, static_cast<int>(c), const_cast<char*>(cell), size);
  }
  std::unique_ptr<PGresult, void (*)(PGresult*)> result{PQmakeEmptyPGresult(nullptr, PGRES_TUPLES_OK), PQclear};
};

}  // namespace

TEST_CASE("The results of a statement share their columns' names, until these are others") {
  postgres::RowShape remembered;
  const auto first = postgres::decode_result(Answer({"id", "name"}, "1").result.get(), &remembered);
  const auto second = postgres::decode_result(Answer({"id", "name"}, "2").result.get(), &remembered);
  CHECK(&first->columns.list() == &second->columns.list());
  CHECK(first->cells[0] == sql::Value(std::string("1")));
  CHECK(second->cells[1] == sql::Value(std::string("2")));
  const auto renamed = postgres::decode_result(Answer({"id", "title"}, "3").result.get(), &remembered);
  const auto more = postgres::decode_result(Answer({"id", "title", "size"}, "4").result.get(), &remembered);
  const auto none = postgres::decode_result(Answer({}, "").result.get(), &remembered);
  CHECK(renamed->columns.list() == std::vector<std::string>{"id", "title"});
  CHECK(more->columns.list() == std::vector<std::string>{"id", "title", "size"});
  CHECK(more->cells.size() == 3);
  CHECK(none->columns.empty());
  CHECK(first->columns.list() == std::vector<std::string>{"id", "name"});
}

TEST_CASE("Text with a zero byte is refused instead of being cut") {
  std::vector<sql::Value> values;
  values.emplace_back(std::string("a\0b", 3));
  CHECK_THROWS_AS(Parameters{std::move(values)}, sql::SqlError);
}
