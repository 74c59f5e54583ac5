#include <sluice/pool/retry.hpp>

#include <sluice/pool/connector.hpp>
#include <sluice/pool/error.hpp>

#include <boost/asio/execution_context.hpp>
#include <boost/asio/query.hpp>
#include <algorithm>
#include <random>
#include <utility>

namespace sluice::pool {
namespace {

Retryable verdict(Phase phase) noexcept {
  switch (phase) {
    case Phase::connect:
    case Phase::validation:
    case Phase::queue_full:
    case Phase::paused: return Retryable::yes;
    default: return Retryable::no;
  }
}

class LoopBudget : public asio::execution_context::service {
 public:
  inline static asio::execution_context::id id;
  explicit LoopBudget(asio::execution_context& loop) : service(loop) {}
  RetryBudget budget;
  std::minstd_rand random{std::random_device{}()};

 private:
  void shutdown() override {}
};

}  // namespace

Retryable classify(const std::exception_ptr& error) noexcept {
  try {
    std::rethrow_exception(error);
  } catch (const PoolError& e) {
    return verdict(e.phase());
  } catch (const ConnectFailed& e) {
    return e.permanent() ? Retryable::no : Retryable::yes;
  } catch (...) {
    return Retryable::no;
  }
}

RetryState::Decision RetryState::failed(Retryable retryable, RetryBudget& budget, TimePoint now, double random) const noexcept {
  if (retryable == Retryable::no || (retryable == Retryable::if_idempotent && !policy_.idempotent)) return {Refusal::not_retryable};
  if (policy_.attempts > 0 && attempts_ >= policy_.attempts) return {Refusal::attempts};
  // Full jitter: callers that failed together do not come back together.
  Duration longest = std::min(policy_.backoff_min, policy_.backoff_max);
  for (std::uint32_t i = 1; i < attempts_ && longest < policy_.backoff_max; ++i) longest = std::min(longest * 2, policy_.backoff_max);
  const Duration pause = std::chrono::duration_cast<Duration>(longest * std::clamp(random, 0.0, 1.0));
  if (policy_.limit > Duration::zero() && now - started_ + pause >= policy_.limit) return {Refusal::limit};
  if (!budget.take()) return {Refusal::budget};
  return {Refusal::none, pause};
}

awaitable<bool> RetryLoop::again() {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  LoopBudget& own = asio::use_service<LoopBudget>(asio::query(executor, asio::execution::context));
  RetryBudget& budget = budget_ ? *budget_ : own.budget;
  if (state_.attempts() > 0) {
    if (!error_) co_return false;
    const double random = std::uniform_real_distribution<double>(0.0, 1.0)(own.random);
    Retryable verdict = classify_(error_);
    if (harmless_ && verdict == Retryable::if_idempotent) verdict = Retryable::yes;
    const RetryState::Decision decision = state_.failed(verdict, budget, Clock::now(), random);
    refusal_ = decision.refusal;
    if (decision.refusal != RetryState::Refusal::none) std::rethrow_exception(std::exchange(error_, nullptr));
    error_ = nullptr;
    asio::steady_timer timer(executor, decision.pause);
    co_await timer.async_wait(use_awaitable);
  }
  state_.attempt(budget);
  co_return true;
}

RetryBudget& retry_budget(asio::execution_context& loop) { return asio::use_service<LoopBudget>(loop).budget; }

}  // namespace sluice::pool
