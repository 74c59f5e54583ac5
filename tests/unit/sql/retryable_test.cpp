#include <sluice/pool/error.hpp>
#include <sluice/sql/error.hpp>
#include <sluice/sql/retryable.hpp>

#include <doctest/doctest.h>

using namespace sluice;
using namespace sluice::sql;
using pool::Retryable;

namespace {
Retryable of(Phase phase, Class error_class) { return sql::classify(std::make_exception_ptr(SqlError(phase, error_class, "", 0, "of the test"))); }
}  // namespace

TEST_CASE("what the server undid is repeated, what may have been done only if that is harmless") {
  for (const Class undone : {Class::serialization_failure, Class::deadlock, Class::busy}) {
    CHECK(of(Phase::execute, undone) == Retryable::yes);
    CHECK(of(Phase::commit, undone) == Retryable::yes);
  }
  CHECK(of(Phase::connect, Class::connection) == Retryable::yes);
  CHECK(of(Phase::lost, Class::connection) == Retryable::if_idempotent);
  CHECK(of(Phase::commit, Class::connection) == Retryable::if_idempotent);
  CHECK(sql::classify(std::make_exception_ptr(TimedOut("late"))) == Retryable::if_idempotent);
}

TEST_CASE("what the statement itself is to blame for is never repeated") {
  for (const Class blamed : {Class::other, Class::unique_violation, Class::foreign_key_violation, Class::not_null_violation, Class::check_violation, Class::syntax,
                             Class::permission, Class::cancelled, Class::disk, Class::type})
    CHECK(of(Phase::execute, blamed) == Retryable::no);
}

TEST_CASE("the policy of SQL judges the pool's errors too") {
  const pool::RetryPolicy policy = retry_policy(true);
  CHECK(policy.idempotent);
  CHECK(policy.classify(std::make_exception_ptr(pool::PoolError(pool::Phase::connect, "down", {}, ""))) == Retryable::yes);
  CHECK(policy.classify(std::make_exception_ptr(std::runtime_error("else"))) == Retryable::no);
}
