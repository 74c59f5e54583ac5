// The master's side of the budget: turns answers into budgets, budgets into rows and limits, and sweeps the rows of ended
// lives. Touches shared memory only: no I/O, no clock. One thread, in the process that supervises.
#pragma once

#include <sluice/budget/allocation.hpp>
#include <sluice/budget/permit_table.hpp>
#include <sluice/config/config.hpp>
#include <sluice/shm/segment.hpp>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace sluice::supervise {

class BudgetKeeper {
 public:
  // Writes the configuration of the servers into the segment; `order[i]` configures server i. With `unclean`, sessions of an earlier fleet may exist.
  BudgetKeeper(shm::Segment& segment, const std::vector<config::Server>& order, const std::vector<bool>& local, bool unclean);

  // May this many workers run? "" or the refusal with its arithmetic.
  std::string refusal(std::uint32_t workers) const;
  // Every server's budget is in force: none waits for its first answer.
  bool decided() const noexcept;

  // ctl budget set: another total from the next tick on; 0: as configured. Refused with the arithmetic, or told what will happen.
  struct Answer {
    bool refused = false;
    std::string text;
  };
  Answer wish(std::uint32_t server, std::uint32_t total, std::uint32_t workers);

  struct Change {
    std::vector<std::string> lines;     // worth a log line
    std::vector<std::string> warnings;
    std::string refused;                // a server's answer makes the configuration impossible
    bool answered = false;              // a server's answer was new
  };
  // Once per tick. `active`: for each slot, whether it counts for the split; `draining`: whether it still may finish its work.
  Change tick(std::int64_t now, std::span<const bool> active, std::span<const bool> draining, const std::function<bool(budget::Life)>& ended);

  // How long sessions may start unseen, of each server that was asked: lines for a later fleet, which may have to wait that long before
  // it can ask. recall() takes them; what is unknown or malformed there is ignored.
  std::string start_times() const;
  void recall(const std::string& start_times);

  // Is there something to ask a server: auto unanswered, a number unchecked, rows to confirm?
  bool needs_janitor() const;
  // Every row is free or disabled, and an unclean start was looked into: nothing is left on any server.
  bool all_free() const;
  // Rows of this fleet whose sessions may still exist, on servers that can be asked. The rest, and what an earlier fleet
  // left, is for the next start to find out.
  std::uint32_t awaiting_proof() const;

 private:
  struct State {
    bool decided = false;       // a budget is in force
    bool settled = false;       // exactly the rows [0, budget) are
    bool earlier = false;       // rows may still wait for the sessions of an earlier fleet
    std::uint64_t answer = 0;   // the server's answer that was used last
    std::uint64_t wished = 0;
    std::uint32_t workers = 0;
  };
  void decide(std::uint32_t server, std::uint32_t workers, Change& change);
  void settle(std::uint32_t server, std::int64_t now);
  void share_out(std::uint32_t server, std::uint32_t workers, std::span<const bool> active, std::span<const bool> draining);

  shm::Segment& segment_;
  std::vector<State> states_;
};

}  // namespace sluice::supervise
