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
  REQUIRE(cache.find("a"));
  CHECK(cache.find("a")->name == "s1");
  CHECK_FALSE(cache.victim());
}

TEST_CASE("A statement cache without room holds nothing and names no victim") {
  const StatementCache cache(0);
  CHECK_FALSE(cache.victim());
  CHECK(cache.size() == 0);
}

TEST_CASE("What is known of a statement is found with it") {
  StatementCache cache(2);
  cache.insert("a", "s1", true, 3u);
  cache.insert("b", "s2");
  REQUIRE(cache.find("a"));
  CHECK(cache.find("a")->plain);
  CHECK(cache.find("a")->parameters == 3u);
  REQUIRE(cache.find("b"));
  CHECK_FALSE(cache.find("b")->plain);
  CHECK_FALSE(cache.find("b")->parameters);
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
  REQUIRE(cache.find("a"));
  CHECK(cache.find("a")->name == "s3");
}
