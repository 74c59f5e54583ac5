// Trying again: what is repeated, how often, and when not. Repeats only what is safe by its classification, waits with exponential
// backoff and full jitter, and draws on a budget, so that retries cannot multiply the load on a server that is already failing.
//
//   RetryLoop retry(sql::retry_policy());
//   while (co_await retry.again()) {
//     try {
//       co_return co_await transfer(db);
//     } catch (const std::exception&) {
//       retry.failed();
//     }
//   }
//
// The attempt is code in the caller's own coroutine, not a callback: nothing is captured, so nothing can dangle, and no closure
// passes through a co_await expression, which g++ 12 miscompiles. again() throws the last error, as it was thrown, when there is
// no further attempt. One loop's own, like everything that it waits on.
#pragma once

#include <sluice/core/asio.hpp>
#include <sluice/core/clock.hpp>

#include <cstdint>
#include <exception>

namespace sluice::pool {

// What an error says about trying again. if_idempotent: what was asked may have been done.
enum class Retryable : std::uint8_t { no, if_idempotent, yes };

// Of pools and connects: nothing was sent, so all that may get better is `yes`; what no repetition mends (the pool is closed, the
// wait was as long as the caller wanted) is `no`. Everything else is `no`.
Retryable classify(const std::exception_ptr& error) noexcept;

// Retries per first attempt, as a token bucket: an attempt brings `ratio` tokens up to `reserve`, a retry takes one. With the
// defaults a tenth more load at most in the long run, and 10 retries in a burst. Pure; shared by many loops of one event loop.
class RetryBudget {
 public:
  explicit RetryBudget(double ratio = 0.1, double reserve = 10) noexcept : ratio_(ratio), reserve_(reserve), tokens_(reserve) {}
  void attempted() noexcept { tokens_ = tokens_ + ratio_ < reserve_ ? tokens_ + ratio_ : reserve_; }
  bool take() noexcept {
    // Tenths add up to a little less than a whole.
    if (tokens_ < 1 - 1e-9) return false;
    tokens_ -= 1;
    return true;
  }
  double tokens() const noexcept { return tokens_; }

 private:
  double ratio_, reserve_, tokens_;
};

struct RetryPolicy {
  std::uint32_t attempts = 3;    // in all, the first one included; 0: as many as time and budget allow
  Duration backoff_min = 100ms;  // the longest first pause; it doubles with each attempt
  Duration backoff_max = 2s;     // the longest pause
  // From the first attempt on: no attempt begins later. One that runs is not cut short: give the calls in it a limit of their own. 0: none
  Duration limit = 0s;
  bool idempotent = false;       // repeats too what may have been done already
  Retryable (*classify)(const std::exception_ptr&) noexcept = &pool::classify;
};

// Decides; waits for nothing and reads no clock.
class RetryState {
 public:
  RetryState(const RetryPolicy& policy, TimePoint now) noexcept : policy_(policy), started_(now) {}

  // Why there is no further attempt.
  enum class Refusal : std::uint8_t { none, not_retryable, attempts, limit, budget };
  struct Decision {
    Refusal refusal = Refusal::none;
    Duration pause{};  // before the next attempt
  };

  // An attempt begins. The first one feeds the budget.
  void attempt(RetryBudget& budget) noexcept {
    if (++attempts_ == 1) budget.attempted();
  }
  // The attempt failed. `random` in [0, 1). Takes a token from the budget only if the answer is yes.
  Decision failed(Retryable retryable, RetryBudget& budget, TimePoint now, double random) const noexcept;
  std::uint32_t attempts() const noexcept { return attempts_; }

 private:
  RetryPolicy policy_;
  TimePoint started_;
  std::uint32_t attempts_ = 0;
};

class RetryLoop {
 public:
  // Draws on the event loop's own budget, which all its retry loops share.
  explicit RetryLoop(const RetryPolicy& policy = {}) noexcept : state_(policy, Clock::now()), classify_(policy.classify) {}
  // Draws on `budget`, which must outlive the loop.
  RetryLoop(const RetryPolicy& policy, RetryBudget& budget) noexcept : RetryLoop(policy) { budget_ = &budget; }
  RetryLoop(const RetryLoop&) = delete;
  RetryLoop& operator=(const RetryLoop&) = delete;

  // True: make an attempt now (after the pause, if the last one failed). False: the last attempt did not fail, so there is
  // nothing to repeat. Throws the last attempt's error if it may not be repeated or the budget, the number or the limit is used up.
  // Cancelling the coroutine ends the pause.
  awaitable<bool> again();
  // The attempt failed; `harmless`: before anything was done, so that the error's doubts do not count. REQUIRES: called in a catch handler.
  void failed(bool harmless = false) noexcept {
    error_ = std::current_exception();
    harmless_ = harmless;
  }

  // So many attempts have begun.
  std::uint32_t attempts() const noexcept { return state_.attempts(); }
  // Why the last error was thrown; none before.
  RetryState::Refusal refusal() const noexcept { return refusal_; }

 private:
  RetryState state_;
  Retryable (*classify_)(const std::exception_ptr&) noexcept;
  RetryBudget* budget_ = nullptr;
  std::exception_ptr error_;
  bool harmless_ = false;
  RetryState::Refusal refusal_ = RetryState::Refusal::none;
};

// The budget of an event loop, for those who decide without RetryLoop.
RetryBudget& retry_budget(asio::execution_context& loop);

}  // namespace sluice::pool
