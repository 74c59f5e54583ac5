#include <doctest/doctest.h>
#include <sluice/core/error.hpp>
#include <sluice/drivers/sqlite/location.hpp>

using namespace sluice;
using namespace sluice::sqlite;

namespace {
std::string complaint(const std::string& url) {
  try {
    parse_location(url);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}
}  // namespace

TEST_CASE("a url names a relative file, an absolute one, or memory") {
  CHECK(parse_location("sqlite:orders.db").path == "orders.db");
  CHECK(parse_location("sqlite:data/orders.db").path == "data/orders.db");
  CHECK(parse_location("sqlite:/var/lib/orders.db").path == "/var/lib/orders.db");
  CHECK(parse_location("sqlite:///var/lib/orders.db").path == "/var/lib/orders.db");
  CHECK(parse_location("sqlite:a%20b%3F.db").path == "a b?.db");
  CHECK(parse_location("sqlite::memory:").memory);
  CHECK(!parse_location("sqlite:memory.db").memory);
  CHECK(parse_location("SQLite:orders.db").path == "orders.db");
}

TEST_CASE("parameters choose how it is opened") {
  CHECK(parse_location("sqlite:a.db").mode == OpenMode::create);
  CHECK(!parse_location("sqlite:a.db").full_sync);
  const Location l = parse_location("sqlite:a.db?mode=ro&synchronous=full");
  CHECK(l.path == "a.db");
  CHECK(l.mode == OpenMode::read_only);
  CHECK(l.full_sync);
  CHECK(parse_location("sqlite:a.db?mode=rw").mode == OpenMode::existing);
}

TEST_CASE("a malformed url is refused with the reason") {
  CHECK(complaint("orders.db").find("must begin with sqlite:") != std::string::npos);
  CHECK(complaint("sqlite:").find("names no file") != std::string::npos);
  CHECK(complaint("sqlite://orders.db").find("a relative one is written sqlite:app.db") != std::string::npos);
  CHECK(complaint("sqlite:/tmp/").find("a directory") != std::string::npos);
  CHECK(complaint("sqlite:a.db?mode=x").find("ro, rw, rwc") != std::string::npos);
  CHECK(complaint("sqlite:a.db?mod=ro").find("unknown parameter \"mod\"") != std::string::npos);
  CHECK(complaint("sqlite:a%2.db").find("hexadecimal") != std::string::npos);
  CHECK(complaint("sqlite:a%00.db") != "");
}
