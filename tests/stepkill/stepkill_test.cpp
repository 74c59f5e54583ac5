// Every place where a kill could break the budget, one after the other: a real worker's child process is stopped there, looked
// at, killed, and cleaned up after, on a real PostgreSQL. The list of places is what a first, undisturbed life went through.
#include <doctest/doctest.h>

#include <sluice/budget/permit_table.hpp>

#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

#include "recovery.hpp"
#include "server_sockets.hpp"
#include "story.hpp"
#include "support/eventually.hpp"
#include "support/postgres.hpp"
#include "traced_child.hpp"

namespace stepkill {
namespace {

using namespace std::chrono_literals;
using sluice::Clock;
using sluice::test::PostgresServer;
using sluice::test::scaled;
namespace budget = sluice::budget;
namespace shm = sluice::shm;

constexpr auto authentication_timeout = 5s;  // a traced child on a busy machine needs its time to log in

constexpr int attempts = 10;

int held_rows(const shm::Segment& segment) {
  const auto rows = segment.rows(0);
  return static_cast<int>(rows.size()) - static_cast<int>(budget::count(rows).of(budget::RowState::free));
}

bool is_owner_word(const std::string& point) { return point.find('"') != std::string::npos; }

}  // namespace

TEST_CASE("Killed at any owner word or driver call, a worker leaves no session without its row, and every row comes back") {
  if (!PostgresServer::require()) return;
  PostgresServer server({.max_connections = 60, .ssl = false, .settings = {{"authentication_timeout", "5s"}}});
  server.start();
  std::uint64_t generation = 0;

  // The list. Never more sessions than rows, at every stop of an undisturbed life as well.
  std::vector<std::string> points;
  {
    const shm::Segment segment = make_segment();
    ++generation;
    TracedChild child([&] { live(segment, server.url(), generation); });
    while (const auto point = child.next()) {
      points.push_back(*point);
      const int held = ServerSockets(server.port()).held(child.ports());
      CHECK_MESSAGE(held <= held_rows(segment), *point << ": " << held << " sessions");
    }
    REQUIRE(child.exit_code() == 0);
  }
  const auto words = static_cast<std::size_t>(std::count_if(points.begin(), points.end(), is_owner_word));
  REQUIRE(words > 0);
  for (const char* word : {"claim", "connected", "lease", "return", "close", "release", "grant", "accept"})
    CHECK_MESSAGE(std::any_of(points.begin(), points.end(), [&](const std::string& p) { return p.find('"' + std::string(word) + '"') != p.npos; }),
                  word);

  std::cout << "stepkill: " << points.size() << " points, " << words << " of them at owner words" << std::endl;

  Recovery recovery(server.url(), server.port(), authentication_timeout);
  std::size_t killed = 0, sessions_at_kill = 0;
  std::vector<std::string> missed;
  const auto began = Clock::now();
  for (const std::string& target : points) {
    bool met = false;
    // A socket may be read once more or less from life to life, so a life may lack a point; not every one of them.
    for (int attempt = 0; attempt < attempts && !met; ++attempt) {
      shm::Segment segment = make_segment();
      ++generation;
      TracedChild child([&] { live(segment, server.url(), generation); });
      for (auto point = child.next(); point; point = child.next()) {
        met = *point == target;
        if (met) break;
      }
      if (!met) {
        CHECK(child.exit_code() == 0);
        continue;
      }
      const int held = ServerSockets(server.port()).held(child.ports());
      sessions_at_kill += static_cast<std::size_t>(held);
      CHECK_MESSAGE(held <= held_rows(segment), target << ": " << held << " sessions for " << held_rows(segment) << " rows");
      child.kill();
      ++killed;
      recovery.take(std::move(segment), generation, target, child.ports());
      recovery.look();
    }
    if (!met) missed.push_back(target);
  }
  const auto limit = authentication_timeout + scaled(5s);
  while (!recovery.empty() && recovery.findings(limit).empty()) recovery.look();
  std::cout << "stepkill: " << killed << " lives killed in " << sluice::to_millis(Clock::now() - began) / 1000.0 << " s, " << sessions_at_kill
            << " sessions were there at the kill, " << recovery.ended_sessions() << " were ended; the last row was free after at most "
            << sluice::to_millis(recovery.longest()) << " ms; " << missed.size() << " points not met again" << std::endl;
  CHECK(recovery.findings(limit) == "");
  CHECK(recovery.empty());
  CHECK(sessions_at_kill > 0);
  std::string not_met;
  for (const std::string& point : missed) not_met += point + "\n";
  CHECK(not_met == "");
  CHECK(server.refused() == 0);
}

}  // namespace stepkill
