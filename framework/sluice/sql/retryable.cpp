#include <sluice/sql/retryable.hpp>

#include <sluice/sql/error.hpp>

namespace sluice::sql {
namespace {

using pool::Retryable;

Retryable verdict(const SqlError& error) noexcept {
  switch (error.error_class()) {
    case Class::serialization_failure:
    case Class::deadlock:
    case Class::busy: return Retryable::yes;
    case Class::connection: return error.phase() == Phase::connect ? Retryable::yes : Retryable::if_idempotent;
    default: break;
  }
  return error.phase() == Phase::lost ? Retryable::if_idempotent : Retryable::no;
}

}  // namespace

pool::Retryable classify(const std::exception_ptr& error) noexcept {
  try {
    std::rethrow_exception(error);
  } catch (const SqlError& e) {
    return verdict(e);
  } catch (const TimedOut&) {
    return Retryable::if_idempotent;
  } catch (...) {
  }
  return pool::classify(error);
}

pool::RetryPolicy retry_policy(bool idempotent) noexcept {
  pool::RetryPolicy policy;
  policy.idempotent = idempotent;
  policy.classify = &classify;
  return policy;
}

}  // namespace sluice::sql
