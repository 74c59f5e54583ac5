// Trying again: the decisions with a clock and random numbers of the test, and the loop around an attempt.
#include <sluice/pool/connector.hpp>
#include <sluice/pool/error.hpp>
#include <sluice/pool/retry.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/system/system_error.hpp>
#include <doctest/doctest.h>
#include <functional>
#include <vector>

using namespace sluice;
using namespace sluice::pool;
using Refusal = RetryState::Refusal;

namespace {

const TimePoint start = from_nanos(1'000'000'000);

PoolError pool_error(Phase phase) { return {phase, "of the test", Numbers{}, ""}; }

struct Passing : Error {
  using Error::Error;
};
Retryable passing_is_retryable(const std::exception_ptr& error) noexcept {
  try {
    std::rethrow_exception(error);
  } catch (const Passing&) {
    return Retryable::yes;
  } catch (...) {
    return Retryable::no;
  }
}

RetryPolicy quick(std::uint32_t attempts) {
  RetryPolicy policy;
  policy.attempts = attempts;
  policy.backoff_min = policy.backoff_max = 1ms;
  policy.classify = &passing_is_retryable;
  return policy;
}

// Fails `failures` times, then answers with the number of the attempt.
awaitable<int> attempt(int& calls, int failures) {
  ++calls;
  if (calls <= failures) throw Passing("failure " + std::to_string(calls));
  co_return calls;
}

awaitable<int> with_retry(RetryPolicy policy, RetryBudget& budget, int& calls, int failures) {
  RetryLoop retry(policy, budget);
  while (co_await retry.again()) {
    try {
      co_return co_await attempt(calls, failures);
    } catch (const std::exception&) {
      retry.failed();
    }
  }
  co_return -1;
}

struct Outcome {
  int value = 0;
  std::string error;
};
void settle(Outcome& outcome, const std::exception_ptr& error, int value) {
  outcome.value = value;
  if (!error) return;
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    outcome.error = e.what();
  }
}

Outcome run(RetryPolicy policy, RetryBudget& budget, int& calls, int failures) {
  asio::io_context loop;
  Outcome outcome;
  asio::co_spawn(loop, with_retry(policy, budget, calls, failures), [&](std::exception_ptr error, int value) { settle(outcome, error, value); });
  loop.run();
  return outcome;
}

}  // namespace

TEST_CASE("retry: pauses double up to the longest, and are drawn from zero to there") {
  RetryBudget budget;
  RetryPolicy policy;
  policy.attempts = 0;
  policy.backoff_min = 100ms;
  policy.backoff_max = 450ms;
  RetryState state(policy, start);
  std::vector<Duration> longest;
  for (int i = 0; i < 5; ++i) {
    state.attempt(budget);
    longest.push_back(state.failed(Retryable::yes, budget, start, 1.0).pause);
    CHECK(state.failed(Retryable::yes, budget, start, 0.0).pause == 0ms);
  }
  CHECK(longest == std::vector<Duration>{100ms, 200ms, 400ms, 450ms, 450ms});
  CHECK(state.attempts() == 5);
}

TEST_CASE("retry: what may have been done is repeated only where that is said to be harmless") {
  for (const bool idempotent : {false, true}) {
    RetryBudget budget;
    RetryPolicy policy;
    policy.idempotent = idempotent;
    RetryState state(policy, start);
    state.attempt(budget);
    CHECK(state.failed(Retryable::no, budget, start, 0.5).refusal == Refusal::not_retryable);
    CHECK(state.failed(Retryable::if_idempotent, budget, start, 0.5).refusal == (idempotent ? Refusal::none : Refusal::not_retryable));
    CHECK(state.failed(Retryable::yes, budget, start, 0.5).refusal == Refusal::none);
  }
}

TEST_CASE("retry: no more attempts than allowed, and none that would begin past the limit") {
  RetryBudget budget;
  RetryPolicy policy;
  policy.attempts = 2;
  policy.limit = 1s;
  policy.backoff_min = policy.backoff_max = 200ms;
  RetryState state(policy, start);
  state.attempt(budget);
  CHECK(state.failed(Retryable::yes, budget, start + 799ms, 1.0).refusal == Refusal::none);
  CHECK(state.failed(Retryable::yes, budget, start + 800ms, 1.0).refusal == Refusal::limit);
  CHECK(state.failed(Retryable::yes, budget, start + 800ms, 0.5).refusal == Refusal::none);
  state.attempt(budget);
  CHECK(state.failed(Retryable::yes, budget, start, 1.0).refusal == Refusal::attempts);
}

TEST_CASE("retry: the budget keeps retries to a share of the attempts, whatever fails") {
  RetryBudget budget(0.1, 10);
  unsigned retries = 0;
  for (int call = 0; call < 1000; ++call) {
    RetryPolicy policy;
    policy.attempts = 4;
    RetryState state(policy, start);
    state.attempt(budget);
    while (state.failed(Retryable::yes, budget, start, 0.5).refusal == Refusal::none) {
      ++retries;
      state.attempt(budget);
    }
  }
  // The reserve, and a tenth of a thousand.
  CHECK(retries >= 108);
  CHECK(retries <= 110);
  CHECK(budget.tokens() < 1);
}

TEST_CASE("retry: a refusal takes nothing from the budget") {
  RetryBudget budget(0.1, 1);
  RetryState state(RetryPolicy{}, start);
  state.attempt(budget);
  CHECK(state.failed(Retryable::no, budget, start, 0.5).refusal == Refusal::not_retryable);
  CHECK(budget.tokens() == 1);
  CHECK(state.failed(Retryable::yes, budget, start, 0.5).refusal == Refusal::none);
  CHECK(state.failed(Retryable::yes, budget, start, 0.5).refusal == Refusal::budget);
}

TEST_CASE("retry: pool errors before anything was sent may be repeated, a wait that was long enough may not") {
  const auto of = [](const auto& error) { return classify(std::make_exception_ptr(error)); };
  for (const Phase phase : {Phase::connect, Phase::validation, Phase::queue_full, Phase::paused}) CHECK(of(pool_error(phase)) == Retryable::yes);
  for (const Phase phase : {Phase::wait_timeout, Phase::closed, Phase::cancelled}) CHECK(of(pool_error(phase)) == Retryable::no);
  CHECK(of(ConnectFailed("refused", true)) == Retryable::yes);
  CHECK(of(ConnectFailed("wrong password", true, true)) == Retryable::no);
  CHECK(of(std::runtime_error("anything")) == Retryable::no);
}

TEST_CASE("retry: the loop repeats until an attempt succeeds and gives its value") {
  RetryBudget budget;
  int calls = 0;
  const Outcome outcome = run(quick(5), budget, calls, 3);
  CHECK(outcome.value == 4);
  CHECK(outcome.error.empty());
  CHECK(budget.tokens() == doctest::Approx(7));
}

TEST_CASE("retry: the last error is thrown as it was when nothing is left to try") {
  RetryBudget budget;
  int calls = 0;
  CHECK(run(quick(3), budget, calls, 100).error == "failure 3");
  CHECK(calls == 3);
  RetryBudget empty(0, 0);
  calls = 0;
  CHECK(run(quick(3), empty, calls, 100).error == "failure 1");
  CHECK(calls == 1);
}

TEST_CASE("retry: an attempt that does not fail ends the loop, even without leaving it") {
  asio::io_context loop;
  int rounds = 0;
  const auto once = [&rounds]() -> awaitable<void> {
    RetryLoop retry;
    while (co_await retry.again()) ++rounds;
    CHECK(retry.attempts() == 1);
  };
  bool ended = false;
  asio::co_spawn(loop, once, [&](std::exception_ptr error) { ended = !error; });
  loop.run();
  CHECK(ended);
  CHECK(rounds == 1);
}

TEST_CASE("retry: past the limit the loop begins no attempt, and does not cut short the one that runs") {
  asio::io_context loop;
  int calls = 0;
  Outcome outcome;
  RetryState::Refusal why = RetryState::Refusal::none;
  const auto slow = [&]() -> awaitable<int> {
    RetryBudget budget;
    RetryPolicy policy = quick(0);
    policy.limit = 10ms;
    RetryLoop retry(policy, budget);
    const TimePoint past = Clock::now() + 30ms;
    try {
      while (co_await retry.again()) {
        ++calls;
        asio::steady_timer until(loop, past);
        co_await until.async_wait(use_awaitable);
        try {
          throw Passing("too late");
        } catch (const std::exception&) {
          retry.failed();
        }
      }
    } catch (const Passing&) {
      why = retry.refusal();
      throw;
    }
    co_return 0;
  };
  asio::co_spawn(loop, slow, [&](std::exception_ptr error, int value) { settle(outcome, error, value); });
  loop.run();
  CHECK(calls == 1);
  CHECK(outcome.error == "too late");
  CHECK(why == Refusal::limit);
}

TEST_CASE("retry: quick failures end with the limit, too") {
  RetryBudget budget(1, 1e6);
  RetryPolicy policy = quick(0);
  policy.limit = 200ms;
  int calls = 0;
  const TimePoint began = Clock::now();
  const Outcome outcome = run(policy, budget, calls, 1'000'000);
  CHECK(outcome.error == "failure " + std::to_string(calls));
  CHECK(calls > 1);
  CHECK(Clock::now() - began < 10s);
}

TEST_CASE("retry: a cancelled pause ends the caller at once") {
  asio::io_context loop;
  asio::cancellation_signal cancel;
  RetryBudget budget;
  RetryPolicy policy = quick(2);
  policy.backoff_min = policy.backoff_max = 24h;
  int calls = 0;
  Outcome outcome;
  asio::co_spawn(loop, with_retry(policy, budget, calls, 100),
                 asio::bind_cancellation_slot(cancel.slot(), [&](std::exception_ptr error, int value) { settle(outcome, error, value); }));
  while (calls == 0) loop.run_one();
  loop.poll();
  cancel.emit(asio::cancellation_type::terminal);
  loop.run();
  CHECK(calls == 1);
  CHECK_FALSE(outcome.error.empty());
}

TEST_CASE("retry: loops of one event loop share its budget") {
  asio::io_context loop;
  const double before = retry_budget(loop).tokens();
  const auto failing = []() -> awaitable<void> {
    RetryLoop retry(quick(3));
    while (co_await retry.again()) {
      try {
        throw Passing("always");
      } catch (const std::exception&) {
        retry.failed();
      }
    }
  };
  for (int i = 0; i < 2; ++i) asio::co_spawn(loop, failing, [](std::exception_ptr error) { CHECK(error); });
  loop.run();
  CHECK(retry_budget(loop).tokens() == doctest::Approx(before - 4 + 0.1).epsilon(0.05));
}
