#include <doctest/doctest.h>
#include <sluice/sql/known_texts.hpp>

#include <string>

using namespace sluice;
using namespace sluice::sql;

TEST_CASE("A text has company only once it is known to be quick") {
  KnownText text;
  text.sharing = Sharing::reads;
  CHECK_FALSE(text.quick());
  text.learn(100us);
  CHECK(text.quick());
  text.learn(1s);
  CHECK_FALSE(text.quick());
  for (int i = 0; i < 60; ++i) text.learn(100us);
  CHECK(text.quick());
  text.suspect();
  CHECK_FALSE(text.quick());
  text.learn(200us);
  CHECK(text.takes == Duration(200us));
}

TEST_CASE("A text is judged once, and what is known stays with those who hold it when all is forgotten") {
  KnownTexts texts(2);
  int judged = 0;
  const auto judge = [&](std::string_view) {
    ++judged;
    return Sharing::reads;
  };
  const KnownTextRef first = texts.find("a", judge);
  CHECK(texts.find("a", judge) == first);
  CHECK(judged == 1);
  texts.find("b", judge);
  texts.find("c", judge);
  CHECK(texts.size() == 1);
  CHECK(first->sharing == Sharing::reads);
  CHECK(texts.find("a", judge) != first);
  CHECK(judged == 4);
}

TEST_CASE("A few waiting statements are spread over the connections, many have company") {
  CHECK(group_size(1, 8) == 1);
  CHECK(group_size(8, 8) == 1);
  CHECK(group_size(9, 8) == 2);
  CHECK(group_size(120, 8) == 15);
  CHECK(group_size(5, 1) == 5);
  CHECK(group_size(5, 0) == 1);
}

TEST_CASE("A group that took less than expected corrects its members, each by its part") {
  KnownText slow, fast;
  slow.learn(800us);
  fast.learn(200us);
  slow.learn_in_company(500us, 1ms);
  fast.learn_in_company(500us, 1ms);
  CHECK(slow.takes == Duration(600us));
  CHECK(fast.takes == Duration(150us));
  fast.learn_in_company(500us, 0us);
  CHECK(fast.takes == Duration(150us));
}
