// What users of a connection leave behind, and questions that show it.
#pragma once

#include <support/real_database.hpp>

#include <string>
#include <vector>

namespace sluice::test {

// The answer to the question must be the same before and after.
struct Trace {
  std::string what;
  std::vector<std::string> left_by;
  const char* question;
};

// REQUIRES: a pool of one connection, so that the next user certainly gets the same.
inline void check_nothing_leaks(RealDatabase& t, const std::vector<Trace>& traces) {
  auto body = [&]() -> awaitable<void> {
    for (const Trace& trace : traces) {
      CAPTURE(trace.what);
      const sql::Rows before = co_await t.db->query(trace.question);
      for (const std::string& statement : trace.left_by) co_await t.db->query(statement);
      const sql::Rows after = co_await t.db->query(trace.question);
      CHECK(after[0][0].value() == before[0][0].value());
      // The same, in a transaction that is committed.
      sql::Transaction tx = co_await t.db->begin();
      for (const std::string& statement : trace.left_by) co_await tx.query(statement);
      co_await tx.commit();
      const sql::Rows later = co_await t.db->query(trace.question);
      CHECK(later[0][0].value() == before[0][0].value());
    }
  };
  t.run(body);
}

}  // namespace sluice::test
