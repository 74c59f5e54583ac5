#include <sluice/pool/durations.hpp>
#include <sluice/pool/health.hpp>
#include <sluice/pool/sizing.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <exception>
#include <memory>

namespace sluice::pool {
namespace {

// Ends a ping: some drivers look at no deadline. Shared by all who may still want to end it when it has ended.
struct Ending {
  explicit Ending(const asio::any_io_executor& executor) : timer(executor) {}
  asio::cancellation_signal signal;
  asio::steady_timer timer;
};

}  // namespace

awaitable<bool> check(Pool& pool, Lease& lease, Within limit) {
  Connection& connection = lease.connection();
  if (connection.broken) co_return false;
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const asio::cancellation_state caller = co_await asio::this_coro::cancellation_state;
  const Deadline deadline{saturating_add(Clock::now(), limit.limit)};
  const auto ending = std::make_shared<Ending>(executor);
  ending->timer.expires_at(saturating_add(deadline.at, patience));
  ending->timer.async_wait([ending](error_code cancelled) {
    if (!cancelled) ending->signal.emit(asio::cancellation_type::terminal);
  });
  // The ping hears this signal and not the caller's own, so that is passed on.
  if (caller.slot().is_connected()) caller.slot().assign([ending](asio::cancellation_type type) { ending->signal.emit(type); });
  auto until_ended = asio::bind_cancellation_slot(ending->signal.slot(), use_awaitable);
  // Whatever a ping throws, also of the network's own: the connection is not known to work.
  try {
    awaitable<void> ping = pool.connector().ping(connection, deadline);
    co_await asio::co_spawn(executor, std::move(ping), std::move(until_ended));
  } catch (const std::exception&) {
    connection.broken = true;
  }
  if (caller.slot().is_connected()) caller.slot().clear();
  ending->timer.cancel();
  co_return !connection.broken;
}

awaitable<void> refresh(Pool& pool, Lease& lease, Wish wish, boost::source_location where) {
  const bool shared = lease.shared();
  lease.discard();
  if (shared)
    lease = co_await pool.acquire_shared(wish, where);
  else
    lease = co_await pool.acquire(wish, where);
}

}  // namespace sluice::pool
