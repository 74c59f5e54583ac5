#include <sluice/runtime/worker_life.hpp>

#include <sluice/core/error.hpp>
#include <sluice/core/log.hpp>
#include <sluice/core/text.hpp>
#include <sluice/pool/registry.hpp>
#include <sluice/runtime/identity.hpp>
#include <sluice/sql/session.hpp>

#include <sys/syscall.h>
#include <unistd.h>
#include <boost/asio/multiple_exceptions.hpp>

#include <algorithm>
#include <exception>

namespace sluice::runtime {
namespace {

constexpr Duration warm_up_patience = 2s;  // a server that does not answer must not keep a worker from saying so (503)
constexpr Duration warm_up_step = 50ms;
constexpr Duration close_patience = 2500ms;  // less than the master waits between its request to stop and SIGKILL

// The worker has all permits that it may have, and this pool's sibling has them.
bool sated(const pool::Numbers& n) { return n.held > 0 && n.held >= n.limit && n.connecting == 0; }

// How a life ends by this exception: an ExitError brings its own code (78 stops the instance), anything else is the worker's failure.
LifeOutcome outcome_of(std::exception_ptr error) {
  try {
    std::rethrow_exception(error);
  } catch (const asio::multiple_exceptions& e) {  // in one turn of the loop
    return outcome_of(e.first_exception());
  } catch (const ExitError& e) {
    return {to_int(e.code()), e.what()};
  } catch (const pool::PoolError& e) {  // a server that is down or busy is not the worker's failure
    return {to_int(ExitCode::temporary), e.what()};
  } catch (const std::exception& e) {
    return {to_int(ExitCode::software), e.what()};
  } catch (...) {
    return {to_int(ExitCode::software), "an exception of an unknown type"};
  }
}

}  // namespace

WorkerLife::WorkerLife(LifeInputs inputs) : inputs_(std::move(inputs)), context_(*this) {
  loop_ = std::make_unique<Loop>();
  wake_ = std::make_unique<asio::steady_timer>(*loop_, TimePoint::max());
  heartbeat_ = std::make_unique<Heartbeat>(*loop_, shared(), inputs_.config->heartbeat.interval);
}

WorkerLife::~WorkerLife() {
  if (worker_) worker_->ended();
  // Suspended coroutines hold references to the worker and the pools: they end first.
  loop_->stop();
  loop_->shutdown();
}

LifeOutcome WorkerLife::run() {
  shm::Slot& slot = shared();
  slot.ready.set(0);
  slot.requests_in_flight.set(0);
  slot.client_connections.set(0);
  slot.reason.set("starting");
  slot.tid.set(static_cast<std::uint64_t>(::syscall(SYS_gettid)));
  slot.heartbeat_nanos.set_signed(now_nanos());
  slot.alive_generation.publish(inputs_.generation);
  try {
    make_pools();
    if (inputs_.bells) {
      bell_.emplace(*loop_, inputs_.bells->of(inputs_.slot), [this] {
        for (auto& [name, pool] : pools_) pool.permits_changed();
      });
    }
    worker_ = inputs_.make();
    worker_->context_ = &context_;
    heartbeat_->start();
    asio::co_spawn(*loop_, live(), [this](std::exception_ptr error) {
      if (error && outcome_.code == 0) outcome_ = outcome_of(error);
      heartbeat_->stop();
      loop_->stop();
    });
    loop_->run();
  } catch (...) {  // thrown by the constructor of the worker or a driver, or through the loop by a handler
    outcome_ = outcome_of(std::current_exception());
  }
  slot.ready.set(0);
  slot.reason.set(outcome_.message);
  if (outcome_.code != 0) log::error(text("this life ends: ", outcome_.message));
  return outcome_;
}

void WorkerLife::request_drain() {
  asio::post(*loop_, [this] {
    drain_asked_ = true;
    wake_->cancel();
  });
}

void WorkerLife::request_stop() {
  asio::post(*loop_, [this] {
    stop_asked_ = true;
    wake_->cancel();
  });
}

void WorkerLife::make_pools() {
  const shm::Segment& segment = *inputs_.segment;
  const auto slot = static_cast<std::uint16_t>(inputs_.slot);
  const pool::Identity identity = identity_of(segment, inputs_.slot, inputs_.generation);
  for (shm::RunningStatement& left : segment.statements(inputs_.slot)) left.started_nanos.set(0);  // by a life that was killed
  for (std::uint32_t i = 0; i < inputs_.pool_order.size(); ++i) {
    const config::Pool& options = inputs_.config->pools.at(inputs_.pool_order[i]);
    const pool::Driver* driver = pool::find_driver(pool::scheme_of(options.url));
    if (!driver) throw ExitError(ExitCode::config, text("pools.", options.name, ".url: no driver for this scheme is linked"));
    const std::uint32_t server = segment.pools()[i].server;
    auto& share = shares_[server];
    if (!share) {
      const shm::Server& s = segment.servers()[server];
      share = std::make_shared<budget::Share>(segment.rows(server), s.confirm, budget::Life{slot, inputs_.generation}, terms_of(server));
    }
    pool::PoolResources resources;
    resources.share = share;
    resources.stats = &segment.pool_stats(inputs_.slot, i);
    resources.call_sites = segment.call_sites(inputs_.slot);
    auto connector = driver->make_connector(options, identity);
    const bool speaks_sql = dynamic_cast<sql::SqlConnector*>(connector.get()) != nullptr;
    auto& made = pools_.emplace(options.name, pool::Pool(*loop_, options, std::move(connector), std::move(resources))).first->second;
    const sql::StatementBoard board(&segment.pool_stats(inputs_.slot, i), segment.statements(inputs_.slot), i);
    if (speaks_sql) databases_.emplace(options.name, sql::Database(made, board));
  }
}

budget::Terms WorkerLife::terms_of(std::uint32_t server) const {
  shm::Server& s = inputs_.segment->servers()[server];
  const config::Server& options = inputs_.config->servers.at(s.name);
  budget::Terms terms;
  terms.limits = inputs_.segment->limits(server);
  terms.wants = inputs_.segment->wants(server);
  terms.floor = s.floor;
  terms.elastic = s.elastic != 0;
  terms.max_connecting = s.max_connecting;
  terms.server = &s;
  terms.lend_idle = options.lend_idle;
  terms.borrow_after = options.borrow_after;
  if (inputs_.bells) terms.ring = [bells = inputs_.bells](std::uint32_t slot) { bells->ring(slot); };
  return terms;
}

awaitable<void> WorkerLife::live() {
  for (auto& [name, pool] : pools_) pool.ready();
  co_await start_worker();
  if (outcome_.code != 0 || drain_asked_ || stop_asked_) {
    co_await close_pools(Deadline::after(close_patience));  // what start() opened is given back, not left to the janitor
    co_return;
  }
  co_await warm_pools();
  shared().ready.set(1);
  shared().reason.set("");
  if (inputs_.on_ready) inputs_.on_ready();

  asio::co_spawn(*loop_, work(), [this](std::exception_ptr error) {
    work_done_ = true;
    if (error) outcome_ = outcome_of(error);
    wake_->cancel();
  });
  while (!work_done_ && !drain_asked_ && !stop_asked_) {
    error_code ignored;
    co_await wake_->async_wait(asio::redirect_error(use_awaitable, ignored));
  }
  const Deadline deadline = Deadline::after(inputs_.config->graceful_timeout);
  // A run() that returns as soon as it is asked to drain may be done before this line: drain() is owed all the same.
  if (drain_asked_ && outcome_.code == 0 && !stop_asked_) co_await end_gracefully(deadline);
  co_await close_pools(Deadline::after(stop_asked_ ? Duration(1s) : close_patience));
}

// start(), or the request to end if that comes first.
awaitable<void> WorkerLife::start_worker() {
  const auto done = std::make_shared<bool>(false);
  asio::co_spawn(*loop_, worker_->start(), [this, done](std::exception_ptr error) {
    *done = true;
    if (error) outcome_ = outcome_of(error);
    wake_->cancel();
  });
  while (!*done && !drain_asked_ && !stop_asked_) {
    error_code ignored;
    co_await wake_->async_wait(asio::redirect_error(use_awaitable, ignored));
  }
}

// Warm, or shown to be impossible for now: a server that is down must not look like a worker that cannot boot.
awaitable<void> WorkerLife::warm_pools() {
  const Deadline deadline = Deadline::after(warm_up_patience);
  for (auto& [name, pool] : pools_) {
    if (!pool.options().warm_up) continue;
    bool warm = false;
    while (!warm && !deadline.passed(Clock::now()) && pool.last_connect_error().empty() && !drain_asked_ && !stop_asked_ && !sated(pool.numbers()))
      warm = co_await pool.warm_up(Deadline::after(warm_up_step));
  }
}

awaitable<void> WorkerLife::work() { co_await worker_->run(); }

awaitable<void> WorkerLife::until_asked() {
  while (!drain_asked_ && !stop_asked_) {
    error_code ignored;
    co_await wake_->async_wait(asio::redirect_error(use_awaitable, ignored));
  }
}

// The worker's own drain and the end of its run(), both within the deadline; a stop request cuts it short.
awaitable<void> WorkerLife::end_gracefully(Deadline deadline) {
  const auto drained = std::make_shared<bool>(false);  // the deadline may come first
  asio::co_spawn(*loop_, worker_->drain(deadline), [this, drained](std::exception_ptr error) {
    *drained = true;
    if (error) log::error(text("drain() failed: ", outcome_of(error).message));
    wake_->cancel();
  });
  while (!(*drained && work_done_) && !stop_asked_ && !deadline.passed(Clock::now())) {
    wake_->expires_at(deadline.at);
    error_code ignored;
    co_await wake_->async_wait(asio::redirect_error(use_awaitable, ignored));
  }
  wake_->expires_at(TimePoint::max());
}

awaitable<void> WorkerLife::close_pools(Deadline deadline) {
  const Deadline at_once{TimePoint::min()};
  for (auto& [name, pool] : pools_) {
    const bool begun = co_await pool.close(at_once);  // all begin before the first is waited for
    static_cast<void>(begun);
  }
  for (auto& [name, pool] : pools_) {
    const bool empty = co_await pool.close(deadline);
    if (!empty) log::warning(text("pool '", name, "': some connections were not given back in time; the janitor will end them"));
  }
}

}  // namespace sluice::runtime
