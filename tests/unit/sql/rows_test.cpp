#include <boost/describe/class.hpp>
#include <doctest/doctest.h>
#include <sluice/sql/rows.hpp>

#include <functional>

using namespace sluice::sql;
using namespace std::chrono;

namespace {

Rows rows_of(std::vector<std::string> columns, std::vector<Value> cells) {
  auto set = std::make_shared<ResultSet>();
  set->row_count = cells.size() / columns.size();
  set->columns = std::move(columns);
  set->cells = std::move(cells);
  return Rows(std::move(set));
}

Field field(Value v) { return rows_of({"c"}, {std::move(v)})[0]["c"]; }

// The message of the SqlError(decode) that reading throws; "" if it throws none.
std::string refusal(const std::function<void()>& read) {
  try {
    read();
  } catch (const SqlError& e) {
    CHECK(e.phase() == Phase::decode);
    return e.what();
  }
  return "";
}
template <class T>
std::string refusal_of(Value v) {
  const Field f = field(std::move(v));
  return refusal([&] { (void)f.as<T>(); });
}

struct User {
  std::int64_t id = 0;
  std::string name;
  std::optional<double> score;
};
BOOST_DESCRIBE_STRUCT(User, (), (id, name, score))

struct Named {
  std::string name;
};
BOOST_DESCRIBE_STRUCT(Named, (), (name))
struct Account : Named {
  bool active = false;
};
BOOST_DESCRIBE_STRUCT(Account, (Named), (active))

}  // namespace

TEST_CASE("integers are read at any width, and refused outside of it") {
  CHECK(field(std::int64_t{127}).as<std::int8_t>() == 127);
  CHECK(field(std::int64_t{-128}).as<signed char>() == -128);
  CHECK(field(std::int64_t{65535}).as<std::uint16_t>() == 65535);
  CHECK(field(std::numeric_limits<std::int64_t>::max()).as<std::uint64_t>() == 9223372036854775807u);
  CHECK(field(std::numeric_limits<std::int64_t>::min()).as<long long>() == std::numeric_limits<std::int64_t>::min());
  CHECK(refusal_of<std::int8_t>(std::int64_t{128}).find("from -128 to 127") != std::string::npos);
  CHECK(refusal_of<std::uint64_t>(std::int64_t{-1}) != "");
  CHECK(refusal_of<std::int32_t>(std::int64_t{2147483648}) != "");
}

TEST_CASE("integers come from text only if it is exactly one") {
  CHECK(field(std::string("-42")).as<int>() == -42);
  for (const char* s : {"", " 42", "42 ", "4.2", "0x2a", "42abc", "99999999999999999999"}) CHECK(refusal_of<std::int64_t>(std::string(s)) != "");
  CHECK(refusal_of<int>(1.0) != "");
  CHECK(refusal_of<int>(true) != "");
}

TEST_CASE("booleans come from booleans, 0 and 1, and their names") {
  CHECK(field(true).as<bool>());
  CHECK(field(std::int64_t{1}).as<bool>());
  CHECK(!field(std::int64_t{0}).as<bool>());
  CHECK(field(std::string("t")).as<bool>());
  CHECK(!field(std::string("false")).as<bool>());
  CHECK(refusal_of<bool>(std::int64_t{2}).find("asked for a boolean, found integer") != std::string::npos);
  CHECK(refusal_of<bool>(std::string("yes")) != "");
}

TEST_CASE("floating point numbers come from numbers and from the text of one") {
  CHECK(field(0.25).as<double>() == 0.25);
  CHECK(field(std::int64_t{3}).as<double>() == 3.0);
  CHECK(field(std::string("12.50")).as<float>() == 12.5f);
  CHECK(refusal_of<double>(std::string("12.50 EUR")) != "");
}

TEST_CASE("text, bytes and timestamps are not confused") {
  CHECK(field(std::string("a\0b", 3)).as<std::string>() == std::string("a\0b", 3));
  CHECK(field(Bytes{std::byte{1}}).as<Bytes>() == Bytes{std::byte{1}});
  CHECK(refusal_of<std::string>(Bytes{}) != "");
  CHECK(refusal_of<Bytes>(std::string()) != "");
  CHECK(refusal_of<std::string>(std::int64_t{1}) != "");
  CHECK(field(Timestamp(1500ms)).as<Timestamp>() == Timestamp(1500ms));
  CHECK(field(Timestamp(1500ms)).as<sys_seconds>() == sys_seconds(1s));
  CHECK(field(std::string("1970-01-01 00:00:01")).as<Timestamp>() == Timestamp(1s));
  CHECK(refusal_of<Timestamp>(std::string("soon")) != "");
}

TEST_CASE("NULL is an empty optional and never a plain value") {
  CHECK(field(Null{}).is_null());
  CHECK(!field(Null{}).as<std::optional<int>>());
  CHECK(field(std::int64_t{5}).as<std::optional<int>>() == 5);
  CHECK(field(Null{}).as<Value>() == Value(Null{}));
  CHECK(refusal_of<int>(Null{}) == "column \"c\" of row 0: asked for an integer from -2147483648 to 2147483647, found NULL (a column that may be NULL is read as std::optional)");
  CHECK(refusal_of<std::string>(Null{}) != "");
}

TEST_CASE("columns are found by name and by position; an unknown one is answered with those that exist") {
  const Rows rows = rows_of({"id", "name"}, {Value(std::int64_t{1}), Value(std::string("Ada"))});
  CHECK(rows[0]["name"].as<std::string>() == "Ada");
  CHECK(rows[0][1].as<std::string>() == "Ada");
  CHECK(rows[0].has("id"));
  CHECK(!rows[0].has("ID"));
  CHECK(refusal([&] { (void)rows[0]["nam"]; }) == "the result has no column \"nam\"; its columns: id, name");
  CHECK(refusal([&] { (void)rows[0][2]; }).find("position 2") != std::string::npos);
  CHECK(refusal([&] { (void)rows[1]; }).find("no row 1") != std::string::npos);
  CHECK(refusal([&] { (void)Rows()[0]; }) != "");
}

TEST_CASE("rows are iterated in order, and fields outlive the rows they came from") {
  const Rows rows = rows_of({"n"}, {Value(std::int64_t{1}), Value(std::int64_t{2}), Value(std::int64_t{3})});
  int sum = 0, seen = 0;
  for (const auto row : rows) sum = sum * 10 + row["n"].as<int>(), ++seen;
  CHECK(seen == 3);
  CHECK(sum == 123);
  CHECK(rows.from(1).as<int>() == std::vector<int>{2, 3});
  CHECK(rows.from(1).columns() == rows.columns());
  CHECK(rows.from(3).empty());
  std::optional<Field> kept;
  {
    const Rows gone = rows_of({"n"}, {Value(std::string("still here"))});
    kept = gone[0]["n"];
  }
  CHECK(kept->as<std::string>() == "still here");
  for (const auto row : Rows()) FAIL("an empty result has no row ", row.index());
}

TEST_CASE("structs are filled by column name; more columns are ignored, missing ones are not") {
  const Rows rows = rows_of({"score", "extra", "name", "id"}, {Value(Null{}), Value(true), Value(std::string("Ada")), Value(std::int64_t{1}),  //
                                                               Value(0.5), Value(true), Value(std::string("Bob")), Value(std::int64_t{2})});
  const auto users = rows.as<User>();
  REQUIRE(users.size() == 2);
  CHECK(users[0].id == 1);
  CHECK(users[0].name == "Ada");
  CHECK(!users[0].score);
  CHECK(users[1].score == 0.5);
  const Rows narrow = rows_of({"id"}, {Value(std::int64_t{1})});
  CHECK(refusal([&] { (void)narrow.as<User>(); }).find("no column \"name\"") != std::string::npos);
}

TEST_CASE("members of a described base are filled too") {
  const auto accounts = rows_of({"name", "active"}, {Value(std::string("Ada")), Value(std::int64_t{1})}).as<Account>();
  REQUIRE(accounts.size() == 1);
  CHECK(accounts[0].name == "Ada");
  CHECK(accounts[0].active);
}

TEST_CASE("a plain type reads the only column") {
  CHECK(rows_of({"n"}, {Value(std::int64_t{1}), Value(std::int64_t{2})}).as<int>() == std::vector<int>{1, 2});
  CHECK(refusal([] { (void)rows_of({"a", "b"}, {Value(Null{}), Value(Null{})}).as<int>(); }) != "");
  CHECK(Rows().as<int>().empty());
}
