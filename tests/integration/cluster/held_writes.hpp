// Stops the queue's writes inside of the database, one kind of them at one step, for as long as a test wants: triggers on the outbox
// that wait for a lock of the test's session (PostgreSQL, MariaDB), or have more to do than they ever will (SQLite, whose functions cannot wait).
// The application knows nothing of it. One thread.
#pragma once

#include <string>

#include "fixture.hpp"

namespace sluice::test {

enum class Write { claim, renewal, mark, retry, dead };
inline constexpr Write all_writes[] = {Write::claim, Write::renewal, Write::mark, Write::retry, Write::dead};

enum class Step {
  sent,      // the server has it, and has changed nothing
  executed,  // changed, not committed
};

class HeldWrites {
 public:
  // The outbox must be there.
  HeldWrites(const Database& database, const Cluster& cluster);
  ~HeldWrites();
  HeldWrites(const HeldWrites&) = delete;
  HeldWrites& operator=(const HeldWrites&) = delete;

  bool can_hold(Step step) const { return step == Step::executed || !sqlite(); }
  // From now on every such write stops there; of one kind and step at a time.
  void hold(Write write, Step step);
  // Has one stopped?
  bool waits() const;
  // No other will; that one goes on where it is, unless its worker was killed and the server has seen it. SQLite: false if the next
  // worker's write has stopped there too, which only its death ends.
  bool release();

 private:
  bool sqlite() const { return !database_.server && !database_.mariadb; }
  void install();

  const Database& database_;
  const Cluster& cluster_;
  Write held_ = Write::claim;
};

}  // namespace sluice::test
