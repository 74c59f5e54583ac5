// A caller is cancelled after the first, the second, the third, … step of the loop, until it has ended before: at every point where it
// can be suspended. With every call of the pool, on drivers that do each of their operations in every way. Time is the test's own.
#include "behaviour.hpp"
#include "manual_clock.hpp"

#include <support/eventually.hpp>
#include <support/permit_rows.hpp>

#include <sluice/pool/health.hpp>
#include <sluice/pool/pool.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <doctest/doctest.h>
#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace sluice;
using namespace sluice::pool;
using namespace sluice::test;
using budget::RowState;

namespace {

enum class Call { acquire, acquire_shared, acquire_many, pin, check, refresh, refresh_all, warm_up, preallocate, close };
constexpr std::array calls = {Call::acquire, Call::acquire_shared, Call::acquire_many, Call::pin,         Call::check,
                              Call::refresh, Call::refresh_all,    Call::warm_up,      Call::preallocate, Call::close};
const char* name(Call c) {
  static constexpr const char* names[] = {"acquire", "acquire_shared", "acquire_many", "pin", "check", "refresh", "refresh_all", "warm_up", "preallocate", "close"};
  return names[static_cast<int>(c)];
}

constexpr Duration patience_of_callers = 12ms;
constexpr Duration limit_of_operations = 3ms;
constexpr Duration work_time = 2ms;
constexpr std::uint32_t rows = 8;
constexpr int others = 3;
constexpr int most_steps = 2000;

// Two connections, one of them there already; each is pinged before it is used again, and reset when it comes back.
config::Pool options() {
  config::Pool o;
  o.name = "steps";
  o.max = 2;
  o.acquire_timeout = patience_of_callers;
  o.connect_timeout = o.close_timeout = limit_of_operations;
  o.connect_backoff_min = o.connect_backoff_max = 1ms;
  o.validate_after = 0s;
  o.reset_on_return = config::ResetOnReturn::always;
  return o;
}

// One caller that may be cancelled, among others that came before and after it.
class Run {
 public:
  Run(const Behaviour& b, Call call, bool interrupting) : behaviour_(b), call_(call), interrupting_(interrupting), works_(loop_, b.cancel) {
    server_->slow_time = 1ms;
    server_->max_requests = call == Call::acquire_shared ? 2 : 1;
    server_->interrupted = [this](std::uint64_t session) { works_.interrupt(session); };
    PoolResources resources;
    resources.share = table_.share;
    resources.stats = &stats_;
    resources.seed = 7;
    pool_ = std::make_unique<Pool>(loop_, options(), std::make_unique<StubConnector>(loop_, server_), std::move(resources));
    pool_->ready();
    bool warm = false;
    asio::co_spawn(loop_, pool_->warm_up(Deadline::never()), [&](std::exception_ptr, bool result) { warm = result; });
    while (!warm) clock_.step(loop_);
    clock_.settle(loop_);
    behaviour_.rule(*server_);
  }

  // Cancels the caller after so many steps. False: it had ended before, uncancelled, and all steps have been tried.
  bool cancel_after(int steps) {
    spawn_other(0);
    auto ended = [this](const std::exception_ptr& error) { end(error, true); };
    asio::co_spawn(loop_, cancelled_one(), asio::bind_cancellation_slot(cancel_.slot(), ended));
    for (int i = 1; i < others; ++i) spawn_other(i);
    for (int i = 0; i < steps && !ended_; ++i) clock_.step(loop_);
    const bool cancelled = !ended_;
    if (cancelled) {
      const TimePoint now = Clock::now();
      cancel_.emit(asio::cancellation_type::terminal);
      clock_.settle(loop_);
      if (!ended_) complain("the cancelled caller does not end at once");
      if (Clock::now() != now) complain("time has passed");
    }
    finish();
    return cancelled;
  }

  // What was lost or came out of order; "": nothing.
  const std::string& complaints() const noexcept { return complaints_; }
  int leases() const noexcept { return leases_; }
  // Could anybody get a connection? A new one, or the one that is there, if it passes its check and is not to be replaced.
  bool servable() const noexcept { return works(behaviour_.connect) || (works(behaviour_.ping) && call_ != Call::refresh_all); }

 private:
  // One wait for connections: its place in the queue and its time.
  class Wait {
   public:
    explicit Wait(Run& run) : run_(run), number_(++run.arrived_), since_(Clock::now()) {}
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;
    ~Wait() { end(); }
    void served() {
      if (number_ < run_.last_served_) run_.complain("a caller was served before one that came earlier");
      run_.last_served_ = number_;
      ++run_.leases_;
      end();
    }

   private:
    void end() {
      if (!std::exchange(ended_, true) && Clock::now() - since_ > patience_of_callers + ManualClock::tick) run_.complain("a caller waited for longer than it wanted");
    }
    Run& run_;
    int number_;
    TimePoint since_;
    bool ended_ = false;
  };

  static bool works(Does d) noexcept { return d == Does::ok || d == Does::slow; }
  void complain(const std::string& what) {
    if (complaints_.find(what) == std::string::npos) complaints_ += what + "\n";
  }
  void require(bool condition, const char* what) {
    if (!condition) complain(std::string("not so: ") + what);
  }

  // ---- callers

  awaitable<void> work(std::uint64_t session) {
    if (interrupting_ && !std::exchange(interrupted_, true)) {
      asio::post(loop_, [this] {
        pool_->clear(Pending::interrupt);
        pool_->ready();
      });
    }
    return works_.run(session, work_time);
  }
  awaitable<void> use_one(bool shared) {
    Wait waiting(*this);
    auto wait = shared ? pool_->acquire_shared() : pool_->acquire();
    Lease lease = co_await std::move(wait);
    waiting.served();
    auto working = work(lease->session);
    co_await std::move(working);
  }
  awaitable<void> use_two() {
    Wait waiting(*this);
    auto wait = pool_->acquire_many(2);
    const std::vector<Lease> leases = co_await std::move(wait);
    waiting.served();
    auto working = work(leases[0]->session);
    co_await std::move(working);
  }
  awaitable<void> use_pinned() {
    Wait waiting(*this);
    auto wait = pool_->pin();
    Pinned pinned = co_await std::move(wait);
    waiting.served();
    auto working = work(pinned->session);
    co_await std::move(working);
  }
  awaitable<void> check_one() {
    Wait waiting(*this);
    Lease lease = co_await pool_->acquire();
    waiting.served();
    const TimePoint start = Clock::now();
    co_await check(*pool_, lease, within(limit_of_operations));
    require(Clock::now() - start <= limit_of_operations + ManualClock::tick, "a check ends within its limit");
    auto working = work(lease->session);
    co_await std::move(working);
  }
  awaitable<void> refresh_one() {
    Wait waiting(*this);
    Lease lease = co_await pool_->acquire();
    waiting.served();
    Wait again(*this);
    co_await refresh(*pool_, lease);
    again.served();
    auto working = work(lease->session);
    co_await std::move(working);
  }
  awaitable<void> refresh_all() {
    pool_->refresh();
    return use_one(false);
  }
  template <class T>
  awaitable<void> within_its_time(awaitable<T> call) {
    Wait waiting(*this);
    co_await std::move(call);
  }

  awaitable<void> cancelled_one() {
    const Deadline deadline = Deadline::after(patience_of_callers);
    switch (call_) {
      case Call::acquire_shared: return use_one(true);
      case Call::acquire_many: return use_two();
      case Call::pin: return use_pinned();
      case Call::check: return check_one();
      case Call::refresh: return refresh_one();
      case Call::refresh_all: return refresh_all();
      case Call::warm_up: return within_its_time(pool_->warm_up(deadline));
      case Call::preallocate: return within_its_time(pool_->preallocate(2, deadline));
      case Call::close: return within_its_time(pool_->close(deadline));
      default: return use_one(false);
    }
  }
  // Whoever is refused, as by a clear, comes once more.
  awaitable<void> other(bool shared) {
    bool again = false;
    try {
      auto use = use_one(shared);
      co_await std::move(use);
    } catch (const PoolError&) {
      again = true;
    }
    if (!again) co_return;
    auto use = use_one(shared);
    co_await std::move(use);
  }
  void spawn_other(int number) {
    const bool shared = call_ == Call::acquire_shared && number == 1;
    asio::co_spawn(loop_, other(shared), [this](const std::exception_ptr& error) { end(error, false); });
  }
  void end(const std::exception_ptr& error, bool may_be_cancelled) {
    if (may_be_cancelled)
      ended_ = true;
    else
      ++others_ended_;
    try {
      if (error) std::rethrow_exception(error);
    } catch (const Error&) {  // of the pool, or of what was interrupted
    } catch (const boost::system::system_error&) {
      require(may_be_cancelled, "only who is cancelled ends so");
    } catch (...) {
      complain("an unexpected exception");
    }
  }

  // ---- the end

  bool run_until(const bool& done) {
    for (int i = 0; i < most_steps && !done; ++i) clock_.step(loop_);
    return done;
  }
  void finish() {
    for (int i = 0; i < most_steps && !(ended_ && others_ended_ == others); ++i) clock_.step(loop_);
    if (!ended_ || others_ended_ < others) return complain("a caller does not end");
    bool closed = false, empty = false;
    asio::co_spawn(loop_, pool_->close(Deadline::after(1s)), [&](std::exception_ptr, bool result) {
      closed = true;
      empty = result;
    });
    run_until(closed);
    if (!closed) return complain("the pool does not close");
    require(empty, "nothing is left when the pool is closed");
    const Numbers n = pool_->numbers();
    require(n.waiting == 0, "nobody waits");
    require(n.in_flight == 0 && n.detached == 0, "nothing is leased");
    require(table_.share->held() == 0, "no permit is held");
    require(server_->sessions.empty(), "no session is left");
    require(server_->most_sessions <= 2, "there are never more connections than max");
    require(table_.free() + table_.in(RowState::quarantined) == rows, "every row is free or quarantined");
    // What is known of a connect that was interrupted is that it was.
    const bool proven = works(behaviour_.close) && behaviour_.connect != Does::never && !(interrupting_ && behaviour_.connect == Does::slow);
    require(!proven || table_.free() == rows, "whatever was proven to be closed is free");
    require(stats_.waiting.get() == 0 && stats_.leased.get() == 0 && stats_.idle.get() == 0 && stats_.connecting.get() == 0, "the statistics say so, too");
  }

  ManualClock clock_;
  PermitRows table_{rows};
  shm::PoolStats stats_{};  // written to by what the loop still runs at its end
  asio::io_context loop_{1};
  Behaviour behaviour_;
  Call call_;
  bool interrupting_;  // the first that works is interrupted by a clear
  Works works_;
  std::shared_ptr<StubServer> server_ = std::make_shared<StubServer>();
  std::unique_ptr<Pool> pool_;
  asio::cancellation_signal cancel_;
  std::string complaints_;
  bool ended_ = false, interrupted_ = false;
  int others_ended_ = 0, arrived_ = 0, last_served_ = 0, leases_ = 0;
};

// Every step of one call on one driver. Returns how many there are.
int every_step(const Behaviour& behaviour, Call call, bool interrupting) {
  int steps = 0;
  for (bool cancelled = true; cancelled && steps < most_steps; ++steps) {
    Run run(behaviour, call, interrupting);
    cancelled = run.cancel_after(steps);
    const bool served = run.leases() > 0;
    CAPTURE(behaviour.text());
    CAPTURE(std::string(name(call)));
    CAPTURE(interrupting);
    CAPTURE(steps);
    CHECK(run.complaints() == "");
    if (call != Call::close) CHECK(served == run.servable());
  }
  CHECK(steps < most_steps);  // the caller has ended by itself
  return steps;
}

// Sanitizers are slow: there a part of the combinations, another one for each call.
constexpr std::size_t stride(std::size_t whole, std::size_t under_sanitizers) { return sanitized ? under_sanitizers : whole; }

int every_step_of_every(const std::vector<Behaviour>& behaviours, Call call, bool interrupting, std::size_t stride) {
  int runs = 0;
  for (std::size_t i = static_cast<std::size_t>(call) % stride; i < behaviours.size(); i += stride) runs += every_step(behaviours[i], call, interrupting);
  return runs;
}

}  // namespace

TEST_CASE("a caller that is cancelled at any step of any call loses nothing, on every combination of ok, error, slow and never") {
  int runs = 0;
  for (Call call : calls) runs += every_step_of_every(Behaviour::all(false), call, false, stride(1, call == Call::acquire ? 37 : 185));
  MESSAGE(runs << " runs");
}

TEST_CASE("a caller that is cancelled at any step while all are interrupted loses nothing, whatever becomes of what runs") {
  int runs = 0;
  for (Call call : calls) runs += every_step_of_every(Behaviour::all(true), call, true, call == Call::acquire ? stride(1, 111) : stride(31, 1147));
  MESSAGE(runs << " runs");
}
