// Which quarantined rows may be freed and which sessions must be ended, given what a server shows: a pure function.
// The rows must have been read before the server was asked: then a session that is absent from the answer is gone.
#pragma once

#include <sluice/budget/permit_table.hpp>
#include <sluice/core/clock.hpp>

#include <cstdint>
#include <functional>
#include <vector>

namespace sluice::budget {

// A session of this instance id, as the server shows it (the asker's own excluded).
//
// Where the server's list has no names (MySQL) a session is ours if a row holds its id; otherwise it may be (`maybe_ours`: it is
// of our user), and is never ended, but as many rows of unknown session stay quarantined as there are such sessions.
struct Session {
  std::uint64_t id = 0;
  std::uint64_t birth = 0;
  Life life;
  bool this_fleet = true;  // its boot nonce is ours
  Duration age{};          // by the server's clock
  bool named = true;       // false: life, this_fleet and age above say nothing
  bool maybe_ours = false;  // without a name
  bool older = true;        // without a name: it began before the asker did
};

struct SweepInput {
  std::vector<RowView> rows;
  std::vector<Session> sessions;
  std::int64_t now_nanos = 0;            // when the rows were read
  Duration authentication_timeout = 60s;  // sessions still starting are invisible for at most this long
  std::function<bool(Life)> ended;        // is this life over?
};

struct SweepPlan {
  std::vector<RowView> release;      // proven gone
  std::vector<std::size_t> end;      // indices into SweepInput::sessions
  std::uint32_t waiting = 0;         // quarantined rows that need another look
};

SweepPlan plan_sweep(const SweepInput& input);

// Since when the asker itself has seen each row quarantined. A row's own time may be older than the quarantine: whoever wrote it can
// have been stopped between reading the clock and writing the word, and its age would then prove too much. One asker's own.
class Sightings {
 public:
  // Raises changed_nanos of quarantined rows to the first time that they were seen so.
  void look(std::vector<RowView>& rows, std::int64_t now_nanos);
  // The row has been released: what is seen there next is another quarantine.
  void forget(std::uint32_t row) noexcept;

 private:
  struct Seen {
    Owner owner;
    std::int64_t since = 0;
  };
  std::vector<Seen> seen_;  // by row
};

// A living owner's own row is given this long to disappear by itself before its session is ended.
inline constexpr Duration own_close_grace = 1s;
inline constexpr Duration invisibility_margin = 500ms;

}  // namespace sluice::budget
