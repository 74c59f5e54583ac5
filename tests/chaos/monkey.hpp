// Does at random, from a seed, what production does on bad days: kills, pauses, scales, restarts the workers one by one, changes the budget, restarts the
// database, breaks the network. Every deed is remembered with its time, for the reader of a failure. The main thread's only.
#pragma once

#include <sluice/core/clock.hpp>

#include <sys/types.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "database.hpp"
#include "support/cluster.hpp"
#include "support/relay.hpp"

namespace chaos {

class Monkey {
 public:
  Monkey(sluice::test::Cluster& cluster, Database& database, sluice::test::Relay& relay, std::uint64_t seed);

  // One deed, and then a random pause. Each kind of deed is done once before any is done again.
  void act();
  // Has everything been done at least once?
  bool content() const noexcept { return bag_.empty(); }
  // Everything runs again, nothing is paused or cut; as many workers and permits as at first.
  void calm();

  // "kill a worker 12, cut the network 2, …"
  std::string summary() const;
  // One line for each deed, "13:07:12.345 kill worker 3".
  std::string deeds() const;
  int done(const std::string& kind) const;

 private:
  struct Kind {
    const char* name;
    double weight;
    bool (Monkey::*act)();  // false: there was nothing to do it to
  };
  static const std::vector<Kind>& kinds();

  bool kill_worker();
  bool kill_admin();
  bool kill_janitor();
  bool kill_master();
  bool pause_worker();
  bool pause_janitor();
  bool pause_admin();
  bool pause_master();
  bool scale();
  bool restart();
  bool change_budget();
  bool restart_database();
  bool stall_network();
  bool reset_connections();
  bool half_close();
  bool cut_network();

  bool kill(const std::string& title);
  bool pause(pid_t pid, const std::string& title);
  pid_t find(const std::string& title) const;  // a process of the instance whose title begins so, any of them; 0: none
  void spend(sluice::Duration time);           // lets time pass, and does what is due meanwhile
  void keep_running();
  void wait_for_master();
  bool accepts(const std::vector<std::string>& command);  // `ctl <command>`, sooner or later
  int number(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }
  void note(const std::string& deed);

  sluice::test::Cluster& cluster_;
  Database& database_;
  sluice::test::Relay& relay_;
  mutable std::mt19937_64 random_;
  std::vector<std::size_t> bag_;  // kinds not yet done
  std::map<std::string, int> counts_;
  std::vector<std::string> deeds_;
  std::map<pid_t, sluice::TimePoint> paused_;
};

}  // namespace chaos
