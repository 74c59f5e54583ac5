#include <sluice/drivers/postgres/protocol.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

using namespace sluice;
using namespace sluice::postgres;
using namespace std::string_literals;

namespace {

std::string message(char type, const std::string& body) {
  const std::size_t length = body.size() + 4;
  std::string out(1, type);
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(length >> shift);
  return out + body;
}

void feed(Incoming& in, std::string_view bytes) {
  const std::span<char> room = in.room(bytes.size());
  REQUIRE(room.size() >= bytes.size());
  std::memcpy(room.data(), bytes.data(), bytes.size());
  in.came(bytes.size());
}

RowShape shape(std::vector<unsigned> types) {
  RowShape shape;
  shape.names = std::vector<std::string>(types.size(), "c");
  shape.types = std::move(types);
  return shape;
}

}  // namespace

TEST_CASE("A run is a Bind with its values and an Execute, to the byte") {
  std::string out = "before";
  put_run(out, "s1", {sql::Value(sql::Null{}), sql::Value(std::int64_t{-5}), sql::Value(std::string("ab"))}, "SELECT");
  put_sync(out);
  const std::string bind = "\0s1\0"s + "\0\0"s + "\0\x03"s + "\xff\xff\xff\xff" + "\0\0\0\x02-5"s + "\0\0\0\x02" "ab"s + "\0\0"s;
  CHECK(out == "before" + message('B', bind) + message('E', "\0\0\0\0\0"s) + message('S', ""));
}

TEST_CASE("Bytes among the parameters go as they are, and every parameter then says how it goes") {
  std::string out;
  put_run(out, "", {sql::Value(sql::Bytes{std::byte{0}, std::byte{7}}), sql::Value(true)}, "SELECT");
  const std::string bind = "\0\0"s + "\0\x02\0\x01\0\0"s + "\0\x02"s + "\0\0\0\x02\0\x07"s + "\0\0\0\x01t"s + "\0\0"s;
  CHECK(out == message('B', bind) + message('E', "\0\0\0\0\0"s));
}

TEST_CASE("What cannot be sent is refused by its number, and nothing of it stays") {
  std::string out = "before";
  try {
    put_run(out, "s", {sql::Value(std::int64_t{1}), sql::Value("a\0b"s)}, "SELECT $1, $2");
    FAIL("it was taken");
  } catch (const sql::SqlError& e) {
    CHECK(e.phase() == sql::Phase::encode);
    CHECK(e.sqlstate() == "22021");
    CHECK(std::string(e.what()).find("parameter $2") != std::string::npos);
    CHECK(e.statement() == "SELECT $1, $2");
  }
  CHECK(out == "before");
  std::vector<sql::Value> many(65536);
  CHECK_THROWS_AS(put_run(out, "s", many, "SELECT"), sql::SqlError);
  CHECK(out == "before");
  many.pop_back();
  put_run(out, "s", many, "SELECT");
  CHECK(out.size() > 4 * 65535);
}

TEST_CASE("Messages come out whole, in whatever pieces their bytes come") {
  const std::string large(100'000, 'x');
  const std::string stream = message('2', "") + message('D', large) + message('C', "SELECT 1\0"s) + message('Z', "I");
  for (const std::size_t piece : {std::size_t{1}, std::size_t{5}, std::size_t{7'001}, stream.size()}) {
    CAPTURE(piece);
    Incoming in;
    std::string types;
    std::size_t longest = 0;
    for (std::size_t at = 0; at < stream.size(); at += piece) {
      feed(in, std::string_view(stream).substr(at, piece));
      while (const std::optional<Message> m = in.next()) {
        types += m->type;
        longest = std::max(longest, m->body.size());
        if (m->type == 'D') CHECK(m->body == large);
      }
    }
    CHECK(types == "2DCZ");
    CHECK(longest == large.size());
    CHECK(in.empty());
  }
}

TEST_CASE("A message that has begun gets room for all of it at once") {
  Incoming in;
  feed(in, message('D', std::string(1'000'000, 'x')).substr(0, 5));
  CHECK_FALSE(in.next());
  CHECK(in.room(1).size() >= 1'000'000);
}

TEST_CASE("What is no message is refused before anybody waits for the rest of it") {
  for (const std::string& bytes : {"\x7f\xff\xff\xff\xff"s, "Z\0\0\0\x03"s, "Z\0\x01\0\0"s, "HTTP/1.1 400 Bad Request"s, "D\xff\xff\xff\xff"s}) {
    CAPTURE(bytes);
    Incoming in;
    feed(in, bytes);
    CHECK_THROWS_AS(in.next(), ProtocolError);
  }
}

TEST_CASE("A row is its columns' values by their types, NULL among them") {
  sql::ResultSet set;
  const RowShape two = shape({23, 25});
  append_row("\0\x02\0\0\0\x02" "42\xff\xff\xff\xff"s, two, set);
  append_row("\0\x02\0\0\0\x01" "7\0\0\0\0"s, two, set);
  CHECK(set.row_count == 2);
  REQUIRE(set.cells.size() == 4);
  CHECK(set.cells[0] == sql::Value(std::int64_t{42}));
  CHECK(set.cells[1] == sql::Value(sql::Null{}));
  CHECK(set.cells[2] == sql::Value(std::int64_t{7}));
  CHECK(set.cells[3] == sql::Value(std::string()));
}

TEST_CASE("A row that does not fit its statement or its own lengths is a protocol error") {
  const RowShape one = shape({25});
  const std::string too_many = "\0\x02\0\0\0\0\0\0\0\0"s, too_short = "\0\x01\0\0\0\x05" "abc"s, too_long = "\0\x01\0\0\0\x01" "abc"s;
  for (const std::string& row : {""s, "\0"s, "\0\0"s, too_many, too_short, too_long, "\0\x01\x7f\xff\xff\xff"s}) {
    CAPTURE(row);
    sql::ResultSet set;
    CHECK_THROWS_AS(append_row(row, one, set), ProtocolError);
  }
}

TEST_CASE("A report has the server's fields, those unknown left out, and must come to its end") {
  const std::string body = "SFEHLER\0VERROR\0C23505\0Mduplicate key\0Hlook there\0P8\0nu_name\0?new\0\0"s;
  const ServerReport report = report_of(std::string_view(body));
  CHECK(report.severity == "ERROR");
  CHECK(report.sqlstate == "23505");
  CHECK(report.message == "duplicate key");
  CHECK(report.hint == "look there");
  CHECK(report.position == "8");
  CHECK(report.constraint == "u_name");
  CHECK_FALSE(report.ends_connection());
  CHECK(report_of(std::string_view("VFATAL\0C57P01\0Mgone\0\0", 22)).ends_connection());
  CHECK_THROWS_AS(report_of(std::string_view("VERROR\0C23505\0", 14)), ProtocolError);
  CHECK_THROWS_AS(report_of(std::string_view("VERR")), ProtocolError);
}

TEST_CASE("A tag ends, and a state is one of three") {
  CHECK(tag_of("UPDATE 3\0"s) == "UPDATE 3");
  CHECK_THROWS_AS(tag_of("UPDATE 3"), ProtocolError);
  CHECK(status_of("T") == 'T');
  CHECK_THROWS_AS(status_of("X"), ProtocolError);
  CHECK_THROWS_AS(status_of(""), ProtocolError);
}

TEST_CASE("Rows changed are told by the tags of commands that change rows") {
  CHECK(affected_by("INSERT 0 5") == 5);
  CHECK(affected_by("UPDATE 3") == 3);
  CHECK(affected_by("DELETE 18446744073709551615") == 18446744073709551615u);
  CHECK(affected_by("MERGE 2") == 2);
  CHECK(affected_by("SELECT 4") == 0);
  CHECK(affected_by("CREATE TABLE") == 0);
  CHECK(affected_by("") == 0);
}
