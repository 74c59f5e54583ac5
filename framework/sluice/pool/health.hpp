// Looking at a connection in hand: is it still good, and a fresh one in its place. (The health of a whole pool: Pool::health().)
// On the pool's loop only.
#pragma once

#include <sluice/core/asio.hpp>
#include <sluice/pool/pool.hpp>

namespace sluice::pool {

// Asks the server now, as the pool does before it leases a long idle connection; whatever `validate_after` says. False: it is dead,
// and will be closed at its return. A driver that does not end by `limit` is cancelled 250 ms later; one that does not even hear that
// holds up its caller. Cancelling the coroutine ends it, and the connection with it. Throws sluice::Error for a lease that has ended.
awaitable<bool> check(Pool& pool, Lease& lease, Within limit = within(1s));

// Closes the lease's connection and puts another one into the lease. Waits like acquire(), up to acquire_timeout or the wish's limit:
// the old one's permit is free only when the server has let it go. A shared lease gets a shared one; its old connection is closed
// when the last other request on it has ended. Throws PoolError; the lease is empty then.
awaitable<void> refresh(Pool& pool, Lease& lease, Wish wish = {}, boost::source_location where = BOOST_CURRENT_LOCATION);

}  // namespace sluice::pool
