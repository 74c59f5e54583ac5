// What SQL errors say about trying again, for pool::RetryLoop. The attempt must be a whole transaction, or one autocommit statement:
// a serialization failure undid the transaction, not only its last statement.
#pragma once

#include <sluice/pool/retry.hpp>

#include <exception>

namespace sluice::sql {

// yes: serialization failure, deadlock, busy (the server undid it all), and failures to connect. if_idempotent: the connection was
// lost, the outcome of COMMIT is unknown, or a time limit passed. no: what the statement itself is to blame for.
// Errors that are not SQL's are judged by pool::classify().
pool::Retryable classify(const std::exception_ptr& error) noexcept;

// The policy with that classification. `idempotent`: repeating what was done changes nothing more.
pool::RetryPolicy retry_policy(bool idempotent = false) noexcept;

}  // namespace sluice::sql
