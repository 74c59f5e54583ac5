// Looking at a connection in hand: is it still good, and a fresh one in its place. (The health of a whole pool: Pool::health().)
// On the pool's loop only.
#pragma once

#include <sluice/core/asio.hpp>
#include <sluice/pool/pool.hpp>

namespace sluice::pool {

// Asks the server now, as the pool does before it leases a long idle connection; whatever `validate_after` says. False: it is dead,
// and will be closed at its return. Ends within `limit`. Throws sluice::Error for a lease that has ended.
awaitable<bool> check(Pool& pool, Lease& lease, Within limit = within(1s));

// Closes the lease's connection and puts another one into the lease. Waits like acquire(): the old one's permit is free only when
// the server has let it go. Throws PoolError; the lease is empty then.
awaitable<void> refresh(Pool& pool, Lease& lease, boost::source_location where = BOOST_CURRENT_LOCATION);

}  // namespace sluice::pool
