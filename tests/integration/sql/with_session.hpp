// A PostgreSQL session for the time of a test's body, on a loop that must turn all the while.
#pragma once

#include "fixture.hpp"

#include <memory>
#include <utility>

namespace sluice::test {

// Opens a session, runs the body on it, and closes it with proof.
template <class Body>
void with_session(Client& client, Body body) {
  Loop loop;
  loop.run([&]() -> awaitable<void> {
    std::unique_ptr<postgres::PostgresSession> session = co_await client.connect();
    co_await body(*session);
    const bool gone = co_await client.close(std::move(session));
    CHECK(gone);
  });
  loop.check_responsive();
}

}  // namespace sluice::test
