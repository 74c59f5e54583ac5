#include <sluice/pool/health.hpp>

#include <exception>

namespace sluice::pool {

awaitable<bool> check(Pool& pool, Lease& lease, Within limit) {
  Connection& connection = lease.connection();
  if (connection.broken) co_return false;
  // Whatever a ping throws, also of the network's own: the connection is not known to work.
  try {
    co_await pool.connector().ping(connection, Deadline::after(limit.limit));
  } catch (const std::exception&) {
    connection.broken = true;
  }
  co_return !connection.broken;
}

awaitable<void> refresh(Pool& pool, Lease& lease, boost::source_location where) {
  lease.discard();
  lease = co_await pool.acquire(where);
}

}  // namespace sluice::pool
