// Notifications as a source of wake-ups.
#include <sluice/workers/queue.hpp>

#include <sluice/core/log.hpp>
#include <sluice/core/text.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <random>

namespace sluice {
namespace {

constexpr Duration first_pause = 100ms, longest_pause = 30s;  // between attempts to listen
constexpr Duration look_after = 1s;                           // so often it is asked whether there is room for listening

// Many workers lose their sessions at once: a random half to whole.
Duration jittered(Duration whole) {
  static thread_local std::minstd_rand random(std::random_device{}());
  return whole / 2 + Duration(static_cast<Duration::rep>(random() % static_cast<std::uint64_t>((whole / 2).count())));
}

}  // namespace

void QueueWorker::start_listening() {
  if (options_.channel.empty()) return;
  if (db().dialect() != sql::Dialect::postgres) {
    log::info(text("queue ", options_.table, ": channel \"", options_.channel, "\" is not listened to: LISTEN is PostgreSQL's; the queue is looked at every ",
                   to_millis(options_.poll), " ms"));
    return;
  }
  listening_ = true;
  const auto ended = [this](std::exception_ptr error) {
    listening_ = false;
    wake();
    try {
      if (error) std::rethrow_exception(error);
    } catch (const boost::system::system_error& e) {
      if (e.code() != asio::error::operation_aborted) log::error(text("queue ", options_.table, ": listening ended: ", e.what()));
    } catch (const std::exception& e) {
      log::error(text("queue ", options_.table, ": listening ended: ", e.what()));
    }
  };
  asio::co_spawn(context().loop(), listen(), asio::bind_cancellation_slot(stop_listening_.slot(), ended));
  asio::co_spawn(context().loop(), stop_listening_when_draining(), [](std::exception_ptr) {});  // it waits and cannot fail
}

// Also when the worker is asked to stop fast, where drain() is not called: the connection must come back before the pool is closed.
awaitable<void> QueueWorker::stop_listening_when_draining() {
  co_await context().until_draining();
  stop_listening_.emit(asio::cancellation_type::terminal);
}

// The listening session must leave a connection for claims and marks; how many there may be changes while the fleet scales.
bool QueueWorker::may_listen() { return context().pool(options_.pool).numbers().limit >= 2; }

// Ends by cancellation only.
awaitable<void> QueueWorker::listen() {
  const std::string named = text("queue ", options_.table, ": channel \"", options_.channel, "\"");
  const std::string instead = text("; the queue is looked at every ", to_millis(options_.poll), " ms");
  asio::steady_timer timer(context().loop());
  Duration pause = first_pause;
  bool told = false;  // that there is no room
  for (;;) {
    if (!may_listen()) {
      const std::uint32_t limit = context().pool(options_.pool).numbers().limit;  // 0: the budget is not known yet
      if (!told && limit > 0)
        log::warning(text(named, " is not listened to: that takes a connection for itself, and this worker may hold ", limit, " of pool '", options_.pool,
                          "'", instead));
      told = told || limit > 0;
      timer.expires_after(look_after);
      co_await timer.async_wait(use_awaitable);
      continue;
    }
    std::string lost;
    const TimePoint began = Clock::now();
    try {
      co_await look_on_notifications();
    } catch (const Error& e) {
      lost = e.what();
    }
    const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return;  // whatever the pool or the driver made of it
    told = false;
    if (lost.empty()) continue;  // there is no room any more
    if (Clock::now() - began > longest_pause) pause = first_pause;
    log::warning(text(named, " is not listened to for now: ", lost, instead));
    wake();
    timer.expires_after(jittered(pause));
    co_await timer.async_wait(use_awaitable);
    pause = std::min(2 * pause, longest_pause);
  }
}

// On one session, until it is lost (throws) or there is no room for it any more.
awaitable<void> QueueWorker::look_on_notifications() {
  sql::Listener listener = co_await db().listen(options_.channel);
  log::info(text("queue ", options_.table, ": channel \"", options_.channel, "\" is listened to"));
  wake();  // for what came while nobody listened
  while (may_listen()) {
    bool notified = true;
    try {
      co_await listener.next(within(look_after));
    } catch (const TimedOut&) {
      notified = false;
    }
    if (notified) wake();
  }
}

}  // namespace sluice
