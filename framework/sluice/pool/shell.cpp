#include <sluice/config/in_force.hpp>
#include <sluice/core/text.hpp>
#include <sluice/pool/lease_waiter.hpp>
#include <sluice/pool/shell.hpp>
#include <sluice/pool/sizing.hpp>

#include <random>

namespace sluice::pool {
namespace {

std::uint64_t seed_or_random(std::uint64_t seed) { return seed ? seed : std::random_device{}(); }

CoreSettings settings(config::Pool given, const Connector& connector, const PoolResources& resources) {
  config::Pool options = config::in_force(std::move(given));
  const std::uint32_t able = std::max(connector.max_requests_per_connection(), 1u);
  CoreSettings s;
  s.default_max = connector.default_max();
  s.capacity = std::clamp(options.max_requests_per_connection.value_or(able), 1u, able);
  s.seed = seed_or_random(resources.seed);
  s.background = resources.background;
  s.fail_fast = resources.fail_fast;
  s.ageing_every = resources.ageing_every;
  s.options = std::move(options);
  return s;
}

}  // namespace

PoolShell::PoolShell(asio::io_context& loop, config::Pool options, std::unique_ptr<Connector> connector, PoolResources resources)
    : loop_(loop),
      connector_(std::move(connector)),
      share_(resources.share),
      own_stats_(resources.stats ? nullptr : std::make_unique<shm::PoolStats>()),
      stats_(resources.stats ? *resources.stats : *own_stats_),
      call_sites_(resources.call_sites),
      events_(loop),
      core_(settings(std::move(options), *connector_, resources), *this, resources.share,
            asio::use_service<LoopPools>(loop).join(*this, *resources.share), resources.stats ? *resources.stats : *own_stats_),
      timer_(std::in_place, loop) {
  set_hooks(std::move(resources.hooks));
}

PoolShell::~PoolShell() {
  if (timer_) asio::use_service<LoopPools>(loop_).leave(*this);
}

void PoolShell::throw_foreign() const {
  throw Error(text("pool '", core_.options().name, "' is used in a process that did not make it: a pool cannot be taken along through fork()"));
}

// A mistake is found here, not prevented: two threads that call at once race all the same.
void PoolShell::check_caller() const {
  check_process();
  const std::thread::id turned_in = loop_thread_.load(std::memory_order_relaxed);
  if (turned_in == std::thread::id() || turned_in == std::this_thread::get_id() || loop_.stopped()) return;
  throw Error(text("pool '", core_.options().name, "' is used in another thread than its loop's: a pool belongs to one loop, post to that"));
}

void PoolShell::orphan() {
  if (foreign()) return;
  core_.close(Clock::now());
  core_.on_event(nullptr);
  events_.end();
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
  loop_thread_ = std::thread::id();
  // Waiting coroutines hold this shell, and the shell holds them: without a loop nobody else would end either.
  while (Waiter* waiter = core_.take_waiter()) const LeaseWaiter::Handler ended = static_cast<LeaseWaiter*>(waiter)->take_handler();
  while (!answered_.empty()) {
    auto& waiter = static_cast<LeaseWaiter&>(answered_.front());
    answered_.pop_front();
    const Lease given_back = waiter.take_lease();
    const LeaseWaiter::Handler ended = waiter.take_handler();
  }
  core_.loop_ended();
}

// ---- time

void PoolShell::wake_at(TimePoint when) {
  if (!timer_ || when >= armed_for_) return;
  armed_for_ = when;
  if (when <= Clock::now()) {  // setting a timer that is due costs more than everything else here
    asio::post(loop_, [self = ShellRef(this)] { self->wake(); });
    return;
  }
  timer_->expires_at(when);
  timer_->async_wait([self = ShellRef(this)](error_code failed) {
    if (!failed) self->wake();  // else another, earlier wait has replaced this one, or the loop is gone
  });
}

void PoolShell::wake() {
  if (!timer_) return;
  turns_here();
  armed_for_ = TimePoint::max();
  core_.tick(Clock::now());
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
  self->check_caller();
  self->core_.close(Clock::now());
  self->stop_when_done();
  while (!self->core_.empty() && !deadline.passed(Clock::now())) co_await wait_for_change(self, deadline);
  co_return self->core_.empty();
}

awaitable<bool> PoolShell::warm_up(ShellRef self, Deadline deadline) {
  const config::Pool& o = self->core_.options();
  return open(self, std::max(o.min_idle, o.warm_up ? 1u : 0u), deadline);
}

awaitable<std::uint32_t> PoolShell::preallocate(ShellRef self, std::uint32_t connections, Deadline deadline) {
  co_await open(self, connections, deadline);
  co_return self->core_.established();
}

awaitable<bool> PoolShell::open(ShellRef self, std::uint32_t wish, Deadline deadline) {
  self->check_caller();
  PoolCore& core = self->core_;
  // However this coroutine ends: a target that is left behind would be a minimum for ever.
  struct Target {
    PoolCore& core;
    explicit Target(PoolCore& c) noexcept : core(c) {}
    Target(const Target&) = delete;
    Target& operator=(const Target&) = delete;
    ~Target() { core.warm_up(0, TimePoint()); }
  } const target_set(core);
  bool warm = false;
  for (;;) {
    // Read anew each time: the limit may come, or change, meanwhile. Without any permit it is not warm yet.
    const std::uint32_t target = std::min(wish, std::max(1u, core.numbers().limit));
    core.warm_up(target, Clock::now());
    warm = core.established() >= target;
    if (warm || core.state() == PoolState::closed || deadline.passed(Clock::now())) break;
    co_await wait_for_change(self, earlier(deadline, Deadline::after(rescan_interval)));
  }
  co_return warm;
}

// ---- views

void PoolShell::observe(std::function<void(const Event&)> observer) {
  check_caller();
  events_.observe(observer);
  if (core_.observed() && observer) observer({EventType::pool_created});
  watch();
}

EventStream PoolShell::stream(std::size_t capacity) {
  check_caller();
  watch(true);  // first: from now on
  return events_.stream(capacity);
}

// The core tells nobody as long as nobody wants to know: the lease path would pay for it.
void PoolShell::watch(bool always) {
  if (!always && !events_.wanted()) return core_.on_event(nullptr);
  if (!core_.observed()) core_.on_event([this](const Event& event) { events_.tell(event); });
}

std::vector<ConnectionView> PoolShell::connections() const {
  check_caller();
  std::vector<ConnectionView> all;
  for (const PoolEntry& entry : core_.entries()) {
    if (entry.state == EntryState::abandoned) continue;
    ConnectionView& view = all.emplace_back();
    const bool held = entry.state == EntryState::leased || entry.state == EntryState::shared || entry.state == EntryState::detached;
    view.id = entry.id;
    view.server = core_.options().server;
    view.state = to_text(entry.state);
    view.in_flight = entry.state == EntryState::shared ? entry.in_flight : entry.state == EntryState::leased ? 1 : 0;
    view.created = entry.started_at;
    view.last_used = held ? entry.leased_at : entry.idle_since;
    view.uses = entry.uses;
    if (entry.connection) view.session = entry.connection->session;
    if (held) view.call_site = call_sites_.text(entry.call_site);
  }
  return all;
}

}  // namespace sluice::pool
