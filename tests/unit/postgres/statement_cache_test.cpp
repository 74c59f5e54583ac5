#include <sluice/drivers/postgres/statement_cache.hpp>

#include <doctest/doctest.h>

using sluice::postgres::StatementCache;

TEST_CASE("The statement cache gives up the statement that was not used for the longest time") {
  StatementCache cache(2);
  cache.insert("a", "s1");
  CHECK_FALSE(cache.victim());
  cache.insert("b", "s2");
  REQUIRE(cache.find("a"));
  REQUIRE(cache.victim());
  CHECK(*cache.victim() == "s2");
  cache.drop_victim();
  CHECK(cache.find("b") == nullptr);
  CHECK(*cache.find("a") == "s1");
  CHECK_FALSE(cache.victim());
}

TEST_CASE("A statement cache without room holds nothing and names no victim") {
  const StatementCache cache(0);
  CHECK_FALSE(cache.victim());
  CHECK(cache.size() == 0);
}

TEST_CASE("Erasing and clearing forget statements, and their names may come again") {
  StatementCache cache(3);
  cache.insert("a", "s1");
  cache.insert("b", "s2");
  cache.erase("a");
  cache.erase("never there");
  CHECK(cache.find("a") == nullptr);
  CHECK(cache.size() == 1);
  cache.clear();
  CHECK(cache.size() == 0);
  cache.insert("a", "s3");
  CHECK(*cache.find("a") == "s3");
}
