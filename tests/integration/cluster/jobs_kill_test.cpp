// Kill -9 at every step of a job's way, one by one: the worker is stopped where the step's name says, looked at, and killed there. Then
// the job must come to its end, with its effect once. The list of steps is printed.
#include <signal.h>

#include <iostream>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>

#include "held_writes.hpp"
#include "payments.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

// Has a socket whose local (or remote) port this is bytes that nobody has read? By the kernel's table of TCP sockets, which counts an end of
// stream as one.
bool unread_bytes(const char* end, std::uint16_t port) {
  std::istringstream lines(read_file("/proc/net/tcp"));
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string number, local_end, remote_end, state, queues;
    words >> number >> local_end >> remote_end >> state >> queues;
    const std::string& asked = std::string(end) == "local" ? local_end : remote_end;
    const auto after_colon = [](const std::string& text) { return std::stoul(text.substr(text.find(':') + 1), nullptr, 16); };
    const bool listens = state == "0A";  // there it is the number of connections
    if (!listens && after_colon(asked) == port && after_colon(queues) > 1) return true;
  }
  return false;
}

// One instance with one worker for jobs, who has one job at a time in his hands.
class KilledJobs {
 public:
  explicit KilledJobs(const Database& database)
      : database_(database),
        cluster_({.workers = "web=1,jobs=1",
                  .url = database.url(),
                  .flags = payment_flags(service_, {"--app.job_concurrency", "1", "--app.job_attempts", "50", "--app.payment_timeout", "1h", "--app.job_claim",
                                                    std::to_string(to_millis(claim_)) + "ms"})}) {
    place();
    finish("nothing");
    held_.emplace(database_, cluster_);
  }

  Cluster& cluster() noexcept { return cluster_; }
  const std::vector<std::string>& steps() const noexcept { return steps_; }
  void end() { held_.reset(); }

  void at_the_payment() {
    INFO("the payment");
    service_.set([](const std::string&, int request) -> PaymentService::Reply { return request == 1 ? 0 : 200; });
    const std::string first = place();
    REQUIRE(eventually(10s, [&] { return service_.requests().contains(first); }));
    place();  // the worker's hands are full
    CHECK(value("attempts") == "0");
    service_.set({});
    kill("before its claim, while another job is paid for");
    finish("before its claim");

    service_.pause();
    place();
    REQUIRE(eventually(10s, [&] { return unread_bytes("local", service_.port()); }));
    CHECK(value("attempts") == "1");
    CHECK_FALSE(service_.requests().contains(job_));
    kill("claimed, its payment asked for and not heard");
    service_.resume();
    finish("not heard");

    service_.set([](const std::string&, int request) -> PaymentService::Reply { return request == 1 ? 0 : 200; });
    place();
    REQUIRE(eventually(10s, [&] { return service_.requests().contains(job_); }));
    CHECK_FALSE(service_.effects().contains(job_));
    kill("its payment heard and not made");
    finish("not made");

    service_.set([](const std::string&, int request) { return PaymentService::Reply(200, request > 1); });
    place();
    REQUIRE(eventually(10s, [&] { return service_.effects().contains(job_); }));
    kill("its payment made and not answered");
    finish("not answered");

    const pid_t worker = worker_pid();
    service_.set([worker](const std::string&, int request) -> PaymentService::Reply {
      if (request == 1) freeze(worker);
      return 200;
    });
    place();
    REQUIRE(eventually(10s, [&] { return unread_bytes("remote", service_.port()); }));
    CHECK(process(worker).state == 'T');
    CHECK(value("done_at").empty());
    kill("its payment answered, the answer not read");
    finish("not read");
    service_.set({});
  }

  // The statement that `write` is, and the job that leads to it.
  void at(Write write) {
    static const char* const names[] = {"claim", "renewal of the claim", "mark as done", "retry", "mark as dead"};
    const std::string name = names[static_cast<int>(write)];
    INFO(name);
    service_.set([write](const std::string&, int request) -> PaymentService::Reply {
      if (write == Write::dead) return 422;
      if (request > 1) return 200;
      return write == Write::renewal ? 0 : write == Write::retry ? 503 : 200;
    });
    for (const Step step : {Step::sent, Step::executed}) {
      if (!held_->can_hold(step)) continue;
      held_->hold(write, step);
      place();
      REQUIRE(eventually(20s, [&] { return held_->waits(); }));
      kill(name + (step == Step::sent ? ": sent, nothing changed" : ": executed, not committed"));
      while (!held_->release()) kill_again();
      finish(name);
    }
    if (!held_->can_hold(Step::sent)) return;
    // The server goes on while the worker stands still.
    const pid_t worker = worker_pid();
    held_->hold(write, Step::sent);
    place();
    REQUIRE(eventually(20s, [&] { return held_->waits(); }));
    freeze(worker);
    const std::string before = value("run_at");
    held_->release();
    const bool transaction = database_.mariadb && write == Write::claim;  // of several statements
    const auto committed = [&] {
      switch (write) {
        case Write::claim: return transaction ? !held_->waits() : value("attempts") == "1";
        case Write::renewal: return value("run_at") != before;
        case Write::mark: return !value("done_at").empty();
        case Write::retry: return !value("last_error").empty();
        case Write::dead: return !value("dead_at").empty();
      }
      return false;
    };
    REQUIRE(eventually(10s, committed));
    CHECK(process(worker).state == 'T');
    kill(name + (transaction ? ": executed, COMMIT not sent" : ": committed, the worker does not know"));
    finish(name);
  }

  // Every job has ended, and so often as it should.
  void check_books() {
    service_.set({});
    const auto rows = database_.query(cluster_, "SELECT id, attempts, done_at, dead_at FROM outbox");
    const auto effects = service_.effects();
    const auto requests = service_.requests();
    CHECK(static_cast<int>(rows.size()) == placed_);
    std::size_t paid = 0;
    for (const auto& row : rows) {
      INFO("job ", row[0]);
      CHECK((row[2].empty() != row[3].empty()));
      if (!row[2].empty()) {
        ++paid;
        CHECK(effects.at(row[0]) == 1);
      } else {
        CHECK_FALSE(effects.contains(row[0]));
      }
      CHECK(requests.at(row[0]) <= std::stoi(row[1]));  // each was one claim's
    }
    CHECK(effects.size() == paid);
    // Nobody asks again.
    const int total = service_.total();
    CHECK(always(2 * claim_, [&] { return service_.total() == total; }));
  }

 private:
  static void freeze(pid_t pid) {
    ::kill(pid, SIGSTOP);
    if (!eventually(5s, [&] { return process(pid).state == 'T'; })) throw std::runtime_error("the worker does not stop");
  }
  pid_t worker_pid() {
    pid_t pid = 0;
    if (!eventually(10s, [&] { return (pid = cluster_.process_titled("jobs 1")) != 0; })) throw std::runtime_error("there is no worker for jobs");
    return pid;
  }
  std::string place() {
    make_orders(cluster_, 1);
    ++placed_;
    return job_ = database_.query(cluster_, "SELECT max(id) FROM outbox")[0][0];
  }
  // Of the job's row; NULL is "".
  std::string value(const std::string& column) const { return database_.query(cluster_, "SELECT " + column + " FROM outbox WHERE id = " + job_)[0][0]; }
  void kill(const std::string& step) {
    steps_.push_back(step);
    killed_ = worker_pid();
    ::kill(killed_, SIGKILL);
  }
  void kill_again() {
    killed_ = worker_pid();
    ::kill(killed_, SIGKILL);
  }
  void finish(const std::string& step) {
    INFO(step, ", job ", job_);
    CHECK(eventually(20s, [&] { return count_jobs(database_, cluster_, "done_at IS NULL AND dead_at IS NULL") == 0; }));
    // Its successor is there: what the next step wants to stop is not the killed one.
    CHECK(eventually(10s, [&] { return worker_pid() != killed_; }));
  }

  const Duration claim_ = 600ms;  // not scaled: nobody is there to take a job whose claim runs out while its worker is slow
  const Database& database_;
  PaymentService service_;
  Cluster cluster_;
  std::optional<HeldWrites> held_;
  std::string job_;
  int placed_ = 0;
  pid_t killed_ = 0;
  std::vector<std::string> steps_;
};

}  // namespace

TEST_CASE("Killed at any step of its way, one after the other, a job comes to its end once and has its effect once") {
  Database database;
  std::string where = "SQLite";
  std::size_t expected = 10;
  SUBCASE("on SQLite") {}
  SUBCASE("on PostgreSQL") {
    database.server = postgres();
    if (!database.server) return;
    where = "PostgreSQL";
    expected = 20;
  }
  SUBCASE("on MariaDB") {
    database.mariadb = mariadb();
    if (!database.mariadb) return;
    where = "MariaDB";
    expected = 20;
  }
  empty_outbox(database);
  KilledJobs jobs(database);
  SHOW_LOG_OF(jobs.cluster());
  jobs.at_the_payment();
  for (const Write write : all_writes) jobs.at(write);
  jobs.check_books();
  jobs.end();
  std::cout << "jobs on " << where << ": killed at " << jobs.steps().size() << " steps" << std::endl;
  for (const std::string& step : jobs.steps()) std::cout << "  " << step << std::endl;
  CHECK(jobs.steps().size() == expected);
  CHECK(std::set<std::string>(jobs.steps().begin(), jobs.steps().end()).size() == expected);
  check_clean_end(jobs.cluster(), database);
}

}  // namespace sluice::test
