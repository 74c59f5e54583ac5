#include <sluice/drivers/postgres/errors.hpp>

#include <doctest/doctest.h>

using namespace sluice;
using postgres::connect_cause;
using sql::Class;

TEST_CASE("SQLSTATEs are classified by what an application can do about them") {
  CHECK(postgres::classify("23505") == Class::unique_violation);
  CHECK(postgres::classify("40001") == Class::serialization_failure);
  CHECK(postgres::classify("40P01") == Class::deadlock);
  CHECK(postgres::classify("57014") == Class::cancelled);
  CHECK(postgres::classify("53300") == Class::busy);
  CHECK(postgres::classify("57P01") == Class::connection);
  CHECK(postgres::classify("08006") == Class::connection);
  CHECK(postgres::classify("42601") == Class::syntax);
  CHECK(postgres::classify("42501") == Class::permission);
  CHECK(postgres::classify("22P02") == Class::type);
  CHECK(postgres::classify("XX000") == Class::other);
}

TEST_CASE("A failed connect's cause is one line with its SQLSTATE and a remedy") {
  const auto password = connect_cause(
      "connection to server at \"127.0.0.1\", port 5432 failed: FATAL:  28P01: password authentication failed for user \"app\"\nLOCATION:  "
      "auth_failed, auth.c:326\n",
      "main");
  CHECK(password.sqlstate == "28P01");
  CHECK(password.permanent);
  CHECK(password.text.starts_with("password authentication failed for user \"app\" [28P01]; check user and password"));
  CHECK(password.text.find('\n') == std::string::npos);

  const auto refused = connect_cause("connection to server at \"127.0.0.1\", port 1 failed: Connection refused\n\tIs the server running?\n", "main");
  CHECK(refused.sqlstate.empty());
  CHECK_FALSE(refused.permanent);
  CHECK(refused.text.starts_with("Connection refused; is the server running"));

  CHECK(connect_cause("connection to server at \"h\", port 1 failed: server does not support SSL, but SSL was required\n", "main").no_tls);
  CHECK(connect_cause("", "main").text == "unknown reason");
}
