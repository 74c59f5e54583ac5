#include <sluice/core/log.hpp>
#include <sluice/core/text.hpp>
#include <sluice/pool/lease_waiter.hpp>
#include <sluice/pool/shell.hpp>
#include <sluice/pool/sizing.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <random>

namespace sluice::pool {
namespace {

std::uint64_t seed_or_random(std::uint64_t seed) { return seed ? seed : std::random_device{}(); }

std::string describe(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "an unknown exception";
  }
}

struct CancellableOperation final : Operation, std::enable_shared_from_this<CancellableOperation> {
  explicit CancellableOperation(asio::io_context& l) : loop(l) {}
  // Later: a cancelled operation may answer at once, and the core must not be called back from its own calls.
  void cancel() noexcept override {
    asio::post(loop, [self = shared_from_this()] { self->signal.emit(asio::cancellation_type::terminal); });
  }
  asio::io_context& loop;
  asio::cancellation_signal signal;
};

}  // namespace

// Of an operation's coroutine: if its frame is destroyed before the operation is answered, the core is told.
class PoolShell::Running {
 public:
  Running(ShellRef shell, PoolEntry* entry) noexcept : shell_(std::move(shell)), entry_(entry) {}
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() {
    if (entry_ && !shell_->foreign()) shell_->core_.lost(*entry_);
  }
  PoolEntry& answer() noexcept { return *std::exchange(entry_, nullptr); }

 private:
  ShellRef shell_;
  PoolEntry* entry_;
};

PoolShell::PoolShell(asio::io_context& loop, config::Pool options, std::unique_ptr<Connector> connector, PoolResources resources)
    : loop_(loop),
      connector_(std::move(connector)),
      share_(resources.share),
      own_stats_(resources.stats ? nullptr : std::make_unique<shm::PoolStats>()),
      call_sites_(resources.call_sites),
      core_(CoreSettings{std::move(options), connector_->default_max(), seed_or_random(resources.seed), resources.background, resources.fail_fast}, *this, resources.share,
            asio::use_service<LoopPools>(loop).join(*this, *resources.share), resources.stats ? *resources.stats : *own_stats_),
      timer_(std::in_place, loop) {}

PoolShell::~PoolShell() {
  if (timer_) asio::use_service<LoopPools>(loop_).leave(*this);
}

void PoolShell::throw_foreign() const {
  throw Error(text("pool '", core_.options().name, "' is used in a process that did not make it: a pool cannot be taken along through fork()"));
}

void PoolShell::orphan() {
  if (foreign()) return;
  core_.close(Clock::now());
  core_.on_event(nullptr);
  stop_when_done();
}

// A pending wait would keep the loop running, and this shell alive, for nothing.
void PoolShell::stop_when_done() noexcept {
  if (!timer_ || core_.state() != PoolState::closed || !core_.empty()) return;
  timer_->cancel();
  armed_for_ = TimePoint::max();
}

void PoolShell::loop_ended() noexcept {
  timer_.reset();
  // Waiting coroutines hold this shell, and the shell holds them: without a loop nobody else would end either.
  while (Waiter* waiter = core_.take_waiter()) static_cast<LeaseWaiter*>(waiter)->drop();
  while (!answered_.empty()) {
    auto& waiter = static_cast<LeaseWaiter&>(answered_.front());
    answered_.pop_front();
    waiter.drop();
  }
  core_.loop_ended();
}

// ---- acquiring

Lease PoolShell::try_acquire(const boost::source_location& where) {
  check_process();
  PoolEntry* entry = core_.try_lease(Clock::now(), call_sites_.find(where));
  return lease_of(entry);
}

namespace {
awaitable<Lease> leased(Lease lease) { co_return std::move(lease); }
}  // namespace

// No coroutine, so that either way there is one frame only: a small one for what is free, or the wait's own, in which
// use_awaitable keeps the waiter.
awaitable<Lease> PoolShell::acquire(Duration limit, const boost::source_location& where) {
  check_process();
  core_.start_checkout();
  const TimePoint now = Clock::now();
  const std::uint32_t call_site = call_sites_.find(where);
  if (PoolEntry* entry = core_.try_lease(now, call_site)) return leased(Lease(*this, *entry));
  return asio::async_initiate<const asio::use_awaitable_t<>, LeaseWaiter::Signature>(LeaseWaiter(*this, now, saturating_add(now, limit), call_site), use_awaitable);
}

void PoolShell::begin_wait(LeaseWaiter& waiter) {
  if (std::optional<PoolError> error = core_.refusal()) return refuse(waiter, std::move(*error));
  core_.enqueue(waiter, Clock::now());
}

void PoolShell::serve(Waiter& waiter, PoolEntry& entry) {
  auto& served = static_cast<LeaseWaiter&>(waiter);
  served.entry = &entry;
  answer(served);
}

void PoolShell::refuse(Waiter& waiter, PoolError error) {
  auto& refused = static_cast<LeaseWaiter&>(waiter);
  refused.error = std::make_exception_ptr(std::move(error));
  answer(refused);
}

// Resumed from the loop, never inline. One post at a time for all of them: then its memory is always the same.
void PoolShell::answer(LeaseWaiter& waiter) {
  waiter.disarm();
  answered_.push_back(waiter);
  if (answered_.size() == 1) deliver_next();
}

void PoolShell::deliver_next() {
  asio::post(loop_, [self = ShellRef(this)] { self->deliver(); });
}

void PoolShell::deliver() {
  if (answered_.empty()) return;  // the loop has ended meanwhile
  auto& waiter = static_cast<LeaseWaiter&>(answered_.front());
  answered_.pop_front();
  if (!answered_.empty()) deliver_next();  // first: what is resumed may throw
  waiter.resume();
}

// ---- operations

void PoolShell::run(PoolEntry& entry, awaitable<void> operation) {
  auto running = std::make_shared<CancellableOperation>(loop_);
  entry.operation = running;
  auto finished = [running](const std::exception_ptr& error) {
    if (error) log::error(text("pool operation ended with an exception: ", describe(error)));
  };
  asio::co_spawn(loop_, std::move(operation), asio::bind_cancellation_slot(running->signal.slot(), std::move(finished)));
}

void PoolShell::start_connect(PoolEntry& entry, Deadline deadline) { run(entry, run_connect(ShellRef(this), &entry, deadline)); }
void PoolShell::start_ping(PoolEntry& entry, Deadline deadline) { run(entry, run_check(ShellRef(this), &entry, deadline, false)); }
void PoolShell::start_reset(PoolEntry& entry, Deadline deadline) { run(entry, run_check(ShellRef(this), &entry, deadline, true)); }
void PoolShell::start_close(PoolEntry& entry, Deadline deadline) {
  run(entry, run_close(ShellRef(this), &entry, std::move(entry.connection), deadline));
}

// Each begins with a post, so that nothing of a driver runs inside a call of the core.
awaitable<void> PoolShell::run_connect(ShellRef self, PoolEntry* entry, Deadline deadline) {
  Running running(self, entry);
  std::unique_ptr<Connection> connection;
  std::string error = "the connector made no connection";
  bool released = false;
  try {
    co_await asio::post(self->loop_, use_awaitable);
    connection = co_await self->connector_->connect(deadline);
  } catch (const ConnectFailed& e) {
    error = e.what();
    released = e.released();
  } catch (const std::exception& e) {
    error = e.what();
  } catch (...) {
    error = "the connector threw an unknown exception";
  }
  if (connection)
    self->core_.connected(running.answer(), std::move(connection), Clock::now());
  else
    self->core_.connect_failed(running.answer(), error, released, Clock::now());
}

awaitable<void> PoolShell::run_check(ShellRef self, PoolEntry* entry, Deadline deadline, bool reset) {
  Running running(self, entry);
  bool alive = false;
  std::string error;
  try {
    co_await asio::post(self->loop_, use_awaitable);
    if (reset)
      co_await self->connector_->reset(*entry->connection, deadline);
    else
      co_await self->connector_->ping(*entry->connection, deadline);
    alive = true;
  } catch (const std::exception& e) {
    error = e.what();
  } catch (...) {
    error = "the connector threw an unknown exception";
  }
  self->core_.checked(running.answer(), alive, error, Clock::now());
}

awaitable<void> PoolShell::run_close(ShellRef self, PoolEntry* entry, std::unique_ptr<Connection> connection, Deadline deadline) {
  Running running(self, entry);
  CloseResult result = CloseResult::unconfirmed;
  try {
    co_await asio::post(self->loop_, use_awaitable);
    result = co_await self->connector_->close(std::move(connection), deadline);
  } catch (const std::exception& e) {
    log::warning(text("pool '", self->core_.options().name, "': a close failed: ", e.what()));
  } catch (...) {
    log::warning(text("pool '", self->core_.options().name, "': a close failed"));
  }
  self->core_.closed(running.answer(), result, Clock::now());
}

// ---- time

void PoolShell::wake_at(TimePoint when) {
  if (!timer_ || when >= armed_for_) return;
  armed_for_ = when;
  timer_->expires_at(when);
  timer_->async_wait([self = ShellRef(this)](error_code failed) {
    if (failed) return;  // another, earlier wait has replaced this one, or the loop is gone
    self->armed_for_ = TimePoint::max();
    self->core_.tick(Clock::now());
  });
}

void PoolShell::changed() noexcept {
  for (asio::steady_timer* watcher : watchers_) watcher->cancel();
  stop_when_done();
}

awaitable<void> PoolShell::wait_for_change(ShellRef self, Deadline deadline) {
  asio::steady_timer watcher(self->loop_, deadline.at);
  struct Registration {
    std::vector<asio::steady_timer*>& all;
    asio::steady_timer* mine;
    Registration(std::vector<asio::steady_timer*>& a, asio::steady_timer* m) : all(a), mine(m) { all.push_back(mine); }
    Registration(const Registration&) = delete;
    Registration& operator=(const Registration&) = delete;
    ~Registration() { std::erase(all, mine); }
  } registration(self->watchers_, &watcher);
  error_code ignored;
  co_await watcher.async_wait(asio::redirect_error(use_awaitable, ignored));
}

awaitable<bool> PoolShell::close(ShellRef self, Deadline deadline) {
  self->check_process();
  self->core_.close(Clock::now());
  self->stop_when_done();
  while (!self->core_.empty() && !deadline.passed(Clock::now())) co_await wait_for_change(self, deadline);
  co_return self->core_.empty();
}

awaitable<bool> PoolShell::warm_up(ShellRef self, Deadline deadline) {
  self->check_process();
  PoolCore& core = self->core_;
  const std::uint32_t wish = std::max(core.options().min_idle, core.options().warm_up ? 1u : 0u);
  bool warm = false;
  for (;;) {
    // Read anew each time: the limit may come, or change, meanwhile. Without any permit it is not warm yet.
    const std::uint32_t target = std::min(wish, std::max(1u, core.numbers().limit));
    core.warm_up(target, Clock::now());
    warm = core.established() >= target;
    if (warm || core.state() == PoolState::closed || deadline.passed(Clock::now())) break;
    co_await wait_for_change(self, earlier(deadline, Deadline::after(rescan_interval)));
  }
  core.warm_up(0, Clock::now());
  co_return warm;
}

}  // namespace sluice::pool
