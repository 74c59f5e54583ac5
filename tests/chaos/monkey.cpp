#include "monkey.hpp"

#include <doctest/doctest.h>

#include "support/eventually.hpp"

#include <signal.h>

#include <algorithm>
#include <ctime>
#include <iterator>
#include <numeric>
#include <thread>

namespace chaos {

using namespace std::chrono_literals;
using sluice::Clock;
using sluice::Duration;
using sluice::test::eventually;

namespace {

std::string time_of_day() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%H:%M:%S", &utc);
  const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::string fraction = std::to_string(millis);
  return std::string(text) + "." + std::string(3 - fraction.size(), '0') + fraction;
}

}  // namespace

const std::vector<Monkey::Kind>& Monkey::kinds() {
  static const std::vector<Kind> all = {
      {"kill a worker", 22, &Monkey::kill_worker},
      {"kill the admin", 4, &Monkey::kill_admin},
      {"kill the janitor", 8, &Monkey::kill_janitor},
      {"kill the master", 3, &Monkey::kill_master},
      {"pause a worker", 10, &Monkey::pause_worker},
      {"pause the janitor", 4, &Monkey::pause_janitor},
      {"pause the admin", 2, &Monkey::pause_admin},
      {"pause the master", 3, &Monkey::pause_master},
      {"scale", 14, &Monkey::scale},
      {"begin a rolling restart", 8, &Monkey::restart},
      {"change the budget", 8, &Monkey::change_budget},
      {"restart the database", 3, &Monkey::restart_database},
      {"stall the network", 5, &Monkey::stall_network},
      {"reset connections", 8, &Monkey::reset_connections},
      {"half-close connections", 6, &Monkey::half_close},
      {"cut the network", 3, &Monkey::cut_network},
  };
  return all;
}

Monkey::Monkey(sluice::test::Cluster& cluster, Database& database, sluice::test::Relay& relay, std::uint64_t seed)
    : cluster_(cluster), database_(database), relay_(relay), random_(seed), bag_(kinds().size()) {
  std::iota(bag_.begin(), bag_.end(), std::size_t{0});
  std::shuffle(bag_.begin(), bag_.end(), random_);
  REQUIRE(accepts({"budget", "set", "main=" + std::to_string(permits)}));
}

void Monkey::act() {
  std::size_t chosen = 0;
  if (!bag_.empty()) {
    chosen = bag_.back();
    bag_.pop_back();
  } else {
    std::vector<double> weights;
    for (const Kind& kind : kinds()) weights.push_back(kind.weight);
    chosen = std::discrete_distribution<std::size_t>(weights.begin(), weights.end())(random_);
  }
  const Kind& kind = kinds()[chosen];
  const bool done = (this->*kind.act)();
  if (done)
    ++counts_[kind.name];
  else if (counts_[kind.name] == 0)
    bag_.insert(bag_.begin(), chosen);  // again, later
  spend(std::chrono::milliseconds(number(30, 500)));
}

void Monkey::note(const std::string& deed) { deeds_.push_back(time_of_day() + " " + deed); }

std::string Monkey::summary() const {
  std::string out;
  for (const Kind& kind : kinds()) out += (out.empty() ? "" : ", ") + std::string(kind.name) + " " + std::to_string(done(kind.name));
  return out;
}

std::string Monkey::deeds() const {
  std::string out;
  for (const std::string& deed : deeds_) out += deed + "\n";
  return out;
}

int Monkey::done(const std::string& kind) const {
  const auto found = counts_.find(kind);
  return found == counts_.end() ? 0 : found->second;
}

void Monkey::spend(Duration time) {
  const auto until = Clock::now() + time;
  do {
    keep_running();
    for (auto it = paused_.begin(); it != paused_.end();) {
      if (it->second > Clock::now()) {
        ++it;
        continue;
      }
      ::kill(it->first, SIGCONT);  // to whoever has the number now: it only continues
      it = paused_.erase(it);
    }
    std::this_thread::sleep_for(10ms);
  } while (Clock::now() < until);
}

// What systemd would do.
void Monkey::keep_running() {
  if (cluster_.wait_exit(0s) < 0) return;
  note("the master ended; started again");
  cluster_.start();
}

pid_t Monkey::find(const std::string& title) const {
  std::vector<pid_t> found;
  for (const auto& process : cluster_.processes())
    if (sluice::test::command_line(process.pid).starts_with("chaosapp: " + title)) found.push_back(process.pid);
  if (found.empty()) return 0;
  return found[std::uniform_int_distribution<std::size_t>(0, found.size() - 1)(random_)];
}

bool Monkey::kill(const std::string& title) {
  const pid_t pid = find(title);
  if (pid == 0) return false;
  note("kill " + sluice::test::command_line(pid));
  ::kill(pid, SIGKILL);
  return true;
}

bool Monkey::pause(pid_t pid, const std::string& title) {
  if (pid == 0) return false;
  const auto time = std::chrono::milliseconds(number(20, number(0, 3) == 0 ? 4000 : 800));
  note("pause " + title + " for " + std::to_string(time.count()) + " ms");
  ::kill(pid, SIGSTOP);
  paused_[pid] = Clock::now() + time;
  return true;
}

bool Monkey::kill_worker() { return kill("web"); }
bool Monkey::kill_admin() { return kill("admin"); }

bool Monkey::kill_janitor() {
  eventually(1s, [this] { return find("janitor") != 0; });
  return kill("janitor");
}

bool Monkey::kill_master() {
  note("kill the master");
  ::kill(cluster_.master(), SIGKILL);
  cluster_.wait_exit(5s);
  cluster_.start();
  return true;
}

bool Monkey::pause_worker() {
  const pid_t pid = find("web");
  return pause(pid, sluice::test::command_line(pid));
}
bool Monkey::pause_janitor() {
  eventually(1s, [this] { return find("janitor") != 0; });
  return pause(find("janitor"), "janitor");
}
bool Monkey::pause_admin() { return pause(find("admin"), "admin"); }
bool Monkey::pause_master() { return pause(cluster_.master(), "master"); }

// A paused master answers nobody: that would only cost time.
void Monkey::wait_for_master() {
  while (paused_.contains(cluster_.master())) spend(10ms);
}

bool Monkey::scale() {
  wait_for_master();
  const int workers = number(1, permits - 1);
  const auto finished = cluster_.ctl({"scale", "web=" + std::to_string(workers)}, 5s);
  note("scale to " + std::to_string(workers) + ": exit code " + std::to_string(finished.exit_code));
  return finished.exit_code == 0;
}

// It goes on while other things happen; one that is still under way refuses the next.
bool Monkey::restart() {
  wait_for_master();
  const auto finished = cluster_.ctl({"restart", "--no-wait"}, 5s);
  note("rolling restart: exit code " + std::to_string(finished.exit_code));
  return finished.exit_code == 0;
}

// To what the present workers allow, for a budget below their floors is refused; now and then to one that is.
bool Monkey::change_budget() {
  wait_for_master();
  const int budget = number(2, permits);
  if (number(0, 3) > 0) cluster_.ctl({"scale", "web=" + std::to_string(number(1, budget - 1))}, 5s);
  const auto finished = cluster_.ctl({"budget", "set", "main=" + std::to_string(budget)}, 5s);
  note("budget " + std::to_string(budget) + ": exit code " + std::to_string(finished.exit_code));
  return finished.exit_code == 0;
}

bool Monkey::restart_database() {
  const auto how = static_cast<Outage>(number(0, 2));
  note(std::string("stop the database ") + to_text(how));
  database_.stop(how);
  spend(std::chrono::milliseconds(number(0, 800)));
  database_.start();
  note("the database is back");
  return true;
}

bool Monkey::stall_network() {
  note("stall the network");
  relay_.stall();
  spend(std::chrono::milliseconds(number(20, 1500)));
  relay_.resume();
  note("the network moves again");
  return true;
}

// The server hears of it before the janitor stops waiting for the end of its own lost session (2 s): of that one alone it has no
// proof, and what a server does not hear of for longer is out of its reach.
bool Monkey::reset_connections() {
  const auto late = std::chrono::milliseconds(number(0, 1500));
  const double share = std::uniform_real_distribution<double>(0.1, 1)(random_);
  std::size_t count = 0;
  eventually(3s, [&] { return (count = relay_.reset(share, late)) > 0; });  // there may be none just now
  note("reset " + std::to_string(count) + " connections, the server hears of it " + std::to_string(late.count()) + " ms later");
  return count > 0;
}

bool Monkey::half_close() {
  const double share = std::uniform_real_distribution<double>(0.1, 1)(random_);
  std::size_t count = 0;
  eventually(3s, [&] { return (count = relay_.half_close(share)) > 0; });
  note("half-close " + std::to_string(count) + " connections");
  return count > 0;
}

bool Monkey::cut_network() {
  note("cut the network");
  relay_.cut();
  spend(std::chrono::milliseconds(number(200, 3000)));
  relay_.heal();
  note("the network is back");
  return true;
}

void Monkey::calm() {
  note("calm");
  relay_.resume();
  relay_.heal();
  for (const auto& [pid, until] : paused_) ::kill(pid, SIGCONT);
  paused_.clear();
  database_.start();
  keep_running();
  CHECK(accepts({"budget", "set", "main=" + std::to_string(permits)}));
  CHECK(accepts({"scale", "web=" + std::to_string(permits - 1)}));
}

bool Monkey::accepts(const std::vector<std::string>& command) {
  return eventually(20s, [&] {
    const bool done = cluster_.ctl(command).exit_code == 0;
    if (!done) spend(200ms);
    return done;
  });
}

}  // namespace chaos
