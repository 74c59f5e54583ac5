// SQLite has one writer at a time and no queue for it: whoever polls at the right moment wins. Inside a worker the queue is
// here, first come first served, so that its connections do not starve each other; only its head competes with other processes.
// A writer that commits the waiting writes together belongs in this place. Called by the connections' threads; thread-safe.
#pragma once

#include <sluice/drivers/sqlite/stop.hpp>

#include <condition_variable>
#include <list>
#include <mutex>

namespace sluice::sqlite {

class WriterGate {
 public:
  // Waits for the turn. False: `stop` said so first.
  bool enter(const Stop& stop);
  // Exactly once for each enter() that returned true.
  void leave();
  // Makes waiters look at their Stop again; call after setting `cancelled`.
  void wake();

 private:
  struct Waiter {
    std::condition_variable changed;
    bool turn = false;
  };
  std::mutex mutex_;
  bool taken_ = false;
  std::list<Waiter*> waiting_;
};

}  // namespace sluice::sqlite
