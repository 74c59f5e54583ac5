#include <sluice/pool/statement_cancel.hpp>

#include <doctest/doctest.h>

using sluice::pool::StatementCancel;

TEST_CASE("a request that nobody has taken can be withdrawn, and is not carried out then") {
  std::atomic<std::uint32_t> word{0};
  StatementCancel owner(word), janitor(word);
  CHECK(owner.settle());
  CHECK_FALSE(janitor.is_asked());
  owner.ask();
  CHECK(janitor.is_asked());
  CHECK(owner.settle());
  CHECK_FALSE(janitor.take());
  CHECK(word.load() == 0);
}

TEST_CASE("a request that was taken is settled only once it is done") {
  std::atomic<std::uint32_t> word{0};
  StatementCancel owner(word), janitor(word);
  owner.ask();
  CHECK(janitor.take());
  CHECK_FALSE(janitor.is_asked());
  CHECK_FALSE(janitor.take());
  CHECK_FALSE(owner.settle());
  owner.ask();  // asking again changes nothing
  CHECK_FALSE(owner.settle());
  janitor.done();
  CHECK(owner.settle());
  CHECK(word.load() == 0);
}
