// The application that bench_fleet runs: workers that put load on one pool by a plan, from one instant on, and write down what
// they saw. The plan is JSON in --app.plan:
//
//   out        directory of the results, one <slot>.json for each worker; the file `go` in it holds the instant of the start
//              (nanoseconds of CLOCK_MONOTONIC)
//   mode       "open": arrivals of a Poisson process; "closed": so many callers, each with its next statement at once;
//              "starve": the others fill up and fall idle, then this worker wants one connection more than its limit
//   rates      open: arrivals a second, by slot            callers    closed: by slot
//   converge   seconds that do not count, then `seconds` that do
//   rounds     starve
#include <sluice/launch.hpp>
#include <sluice/sql/session.hpp>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

using namespace sluice;

namespace {

constexpr const char* statement = "SELECT pg_sleep(0.002)::text";

struct Plan {
  std::string out;
  std::string mode;
  double rate = 0;
  int callers = 0;
  int rounds = 0;
  Duration converge{}, counted{};
};

Duration seconds(double s) { return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(s)); }

Plan read_plan(const std::string& app_json, std::uint32_t slot) {
  nlohmann::json json = nlohmann::json::parse(app_json).at("plan");
  if (json.is_string()) json = nlohmann::json::parse(json.get<std::string>());
  const auto mine = [&](const char* key, double otherwise) {
    return json.contains(key) && slot < json.at(key).size() ? json.at(key).at(slot).get<double>() : otherwise;
  };
  return {json.at("out"),
          json.at("mode"),
          mine("rates", 0),
          static_cast<int>(mine("callers", 0)),
          json.value("rounds", 0),
          seconds(json.value("converge", 0.0)),
          seconds(json.value("seconds", 0.0))};
}

class Load : public Worker {
 public:
  static constexpr std::string_view kind = "load";
  static constexpr int default_workers = 1;

  awaitable<void> run() override {
    plan_ = read_plan(context().config().app_json, context().slot());
    random_.seed(1000 + context().slot());
    const TimePoint begin = co_await wait_for_go();
    from_ = begin + plan_.converge;
    until_ = from_ + plan_.counted;
    co_await wait_until(begin);
    if (plan_.mode == "open") {
      co_await arrivals(begin);
    } else if (plan_.mode == "closed") {
      for (int i = 0; i < plan_.callers; ++i) asio::co_spawn(context().loop(), calls(), Finished{this});
      co_await wait_until(until_);
    } else {
      co_await starve(begin);
    }
    co_await wait_until(until_ + 200ms);
    write();
    co_await context().until_draining();
  }

 private:
  struct Finished {
    Load* load;
    void operator()(const std::exception_ptr& error) const { load->errors_ += error != nullptr; }
  };

  awaitable<void> wait_until(TimePoint when) {
    asio::steady_timer timer(context().loop(), when);
    co_await timer.async_wait(use_awaitable);
  }

  awaitable<TimePoint> wait_for_go() {
    for (;;) {
      std::ifstream file(plan_.out + "/go");
      std::int64_t nanos = 0;
      if (file >> nanos) co_return from_nanos(nanos);
      co_await wait_until(Clock::now() + 10ms);
    }
  }

  bool counts(TimePoint when) const { return when >= from_ && when < until_; }

  awaitable<void> one() {
    const TimePoint wanted = Clock::now();
    pool::Lease lease = co_await context().pool("main").acquire();
    if (counts(wanted)) waits_.push_back(std::chrono::duration<double, std::milli>(Clock::now() - wanted).count());
    auto& session = static_cast<sql::Session&>(lease.connection());
    sql::Statement sleep = sql::make_statement(statement);
    co_await session.run(std::move(sleep), Deadline::after(10s));
    completed_ += counts(Clock::now());
  }

  awaitable<void> calls() {
    while (Clock::now() < until_) co_await one();
  }

  // An open loop: who arrives does not care how the others fare. What was due while the loop was busy arrives at once.
  awaitable<void> arrivals(TimePoint begin) {
    std::exponential_distribution<double> gap(plan_.rate);
    TimePoint next = begin;
    while (plan_.rate > 0 && next < until_) {
      if (next > Clock::now()) co_await wait_until(next);
      for (const TimePoint now = Clock::now(); next <= now && next < until_; next += seconds(gap(random_))) {
        offered_ += counts(next);
        asio::co_spawn(context().loop(), one(), Finished{this});
      }
    }
    co_await wait_until(until_);
  }

  // Each round: all others take what they may, give it back and fall idle. Then slot 0 takes its own, and one more.
  awaitable<void> starve(TimePoint begin) {
    pool::Pool& pool = context().pool("main");
    for (int round = 0; round < plan_.rounds; ++round) {
      const TimePoint start = begin + round * 600ms;
      co_await wait_until(start);
      std::vector<pool::Lease> held;
      const std::uint32_t own = 4;
      if (context().slot() != 0) {
        while (held.size() < own) held.push_back(co_await pool.acquire());
        co_await wait_until(start + 150ms);
        held.clear();
      } else {
        co_await wait_until(start + 350ms);
        while (held.size() < own) held.push_back(co_await pool.acquire());
        const TimePoint wanted = Clock::now();
        held.push_back(co_await pool.acquire());
        waits_.push_back(std::chrono::duration<double, std::milli>(Clock::now() - wanted).count());
        held.clear();
      }
    }
  }

  void write() {
    const std::string path = plan_.out + "/" + std::to_string(context().slot()) + ".json";
    std::ofstream(path + ".new")
        << nlohmann::json{{"offered", offered_}, {"completed", completed_}, {"errors", errors_}, {"waits_ms", waits_}}.dump();
    std::rename((path + ".new").c_str(), path.c_str());
  }

  Plan plan_;
  TimePoint from_{}, until_{};
  std::mt19937_64 random_;
  std::vector<double> waits_;
  std::uint64_t offered_ = 0, completed_ = 0, errors_ = 0;
};

}  // namespace

int main(int argc, char** argv) { return launch<Load>(argc, argv); }
