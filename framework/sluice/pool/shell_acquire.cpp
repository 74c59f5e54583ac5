// Taking leases: without a wait where that is possible, else as a waiter in the core's queue.
#include <sluice/core/log.hpp>
#include <sluice/core/resume.hpp>
#include <sluice/core/task.hpp>
#include <sluice/core/text.hpp>
#include <sluice/pool/lease_waiter.hpp>
#include <sluice/pool/shell.hpp>
#include <sluice/pool/sizing.hpp>

#include <limits>

namespace sluice::pool {

TimePoint PoolShell::deadline_of(const Wish& wish, TimePoint now) const noexcept {
  if (wish.limit) return saturating_add(now, *wish.limit);
  const Duration limit = core_.options().acquire_timeout;
  return limit > Duration::zero() ? saturating_add(now, limit) : TimePoint::max();
}

Lease PoolShell::try_acquire(const boost::source_location& where) {
  check_process();
  PoolEntry* entry = core_.try_lease(Clock::now(), call_sites_.find(where));
  if (entry) entry->task = current_task();
  Lease lease(entry);
  if (leases_hooked_ && entry) [[unlikely]]
    before_lease(lease);
  return lease;
}

Lease PoolShell::try_acquire_shared(const boost::source_location& where) {
  check_process();
  const TimePoint now = Clock::now();
  PoolEntry* entry = core_.try_share(now, call_sites_.find(where));
  Lease lease(entry, entry ? now : TimePoint{});
  if (leases_hooked_ && entry) [[unlikely]]
    before_lease(lease);
  return lease;
}

namespace {

awaitable<Lease> leased(Lease lease) { co_return std::move(lease); }

awaitable<Lease> initiate(LeaseWaiter waiter) {
  return asio::async_initiate<const asio::use_awaitable_t<>, LeaseWaiter::Signature>(std::move(waiter), use_awaitable);
}

}  // namespace

// No coroutine, so that either way there is one frame only: a small one for what is free, or the wait's own, in which
// use_awaitable keeps the waiter. (A hook costs one more.)
awaitable<Lease> PoolShell::acquire(const Wish& wish, const boost::source_location& where) {
  check_process();
  core_.start_checkout();
  const std::uint32_t call_site = call_sites_.find(where);
  if (!core_.may_lease()) [[unlikely]]
    return wait(wish, call_site, Clock::now());
  ++references_;
  awaitable<Lease> lease = take(ShellRef(this, false), wish, call_site);
  if (leases_hooked_) [[unlikely]]
    return prepared(std::move(lease));
  return lease;
}

// Takes in its body what is handed out as its result: a lease that comes as an argument is stored and loaded twice more, and each
// time waits for the last. What was free at the call may be gone by now.
awaitable<Lease> PoolShell::take(ShellRef self, Wish wish, std::uint32_t call_site) {
  const TimePoint now = Clock::now();
  PoolEntry* const entry = self->core_.try_lease(now, call_site);
  if (!entry) [[unlikely]] {
    awaitable<Lease> waiting = initiate(LeaseWaiter(*self, now, self->deadline_of(wish, now), call_site, wish.priority));
    co_return co_await std::move(waiting);
  }
  entry->task = current_task();
  self.detach();  // the count is the lease's from here on
  co_return Lease::adopt(entry, TimePoint{});
}

awaitable<Lease> PoolShell::wait(const Wish& wish, std::uint32_t call_site, TimePoint now) {
  awaitable<Lease> lease = initiate(LeaseWaiter(*this, now, deadline_of(wish, now), call_site, wish.priority));
  return leases_hooked_ ? prepared(std::move(lease)) : std::move(lease);
}

awaitable<Lease> PoolShell::acquire_shared(const Wish& wish, const boost::source_location& where) {
  check_process();
  core_.start_checkout();
  const TimePoint now = Clock::now();
  const std::uint32_t call_site = call_sites_.find(where);
  PoolEntry* entry = core_.try_share(now, call_site);
  LeaseWaiter waiter(*this, now, deadline_of(wish, now), call_site, wish.priority);
  waiter.shared = true;
  awaitable<Lease> lease = entry ? leased(Lease(entry, now)) : initiate(std::move(waiter));
  if (leases_hooked_) [[unlikely]]
    return prepared(std::move(lease));
  return lease;
}

awaitable<std::vector<Lease>> PoolShell::acquire_many(ShellRef self, std::uint32_t wants, Wish wish, boost::source_location where) {
  self->check_process();
  self->core_.start_checkout();
  const TimePoint now = Clock::now();
  constexpr std::uint32_t most = std::numeric_limits<decltype(Several::wants)>::max();
  SeveralLeases several;
  several.wants = static_cast<std::uint16_t>(wants > most ? 0 : wants);
  LeaseWaiter waiter(*self, now, self->deadline_of(wish, now), self->call_sites_.find(where), wish.priority);
  waiter.several = &several;
  auto served = initiate(std::move(waiter));
  co_await std::move(served);
  if (self->hooks_.before_lease) {
    for (Lease& lease : several.leases) self->before_lease(lease);
  }
  co_return std::move(several.leases);
}

awaitable<Pinned> PoolShell::pin(ShellRef self, Wish wish, boost::source_location where) {
  auto wait = self->acquire(wish, where);
  Lease lease = co_await std::move(wait);
  co_return Pinned(std::move(lease));
}

void PoolShell::end_request(PoolEntry& entry, TimePoint since, bool retire) {
  const bool fit = retire || !returns_hooked_ || after_return(entry);
  core_.end_request(entry, since, retire || !fit, Clock::now());
}

void PoolShell::begin_wait(LeaseWaiter& waiter) {
  if (std::optional<PoolError> error = core_.refusal(waiter.wants())) return refuse(waiter, std::move(*error));
  core_.enqueue(waiter, Clock::now());
}

// ---- what the core answers

void PoolShell::serve(Waiter& waiter, PoolEntry& entry) {
  auto& served = static_cast<LeaseWaiter&>(waiter);
  if (served.several)
    static_cast<SeveralLeases*>(served.several)->leases.push_back(Lease(&entry));
  else
    served.entry = &entry;
  answer(served);
}

void PoolShell::serve_all(Waiter& waiter) {
  auto& several = static_cast<SeveralLeases&>(*waiter.several);
  while (!several.gathered.empty()) {
    PoolEntry& entry = several.gathered.front();
    several.gathered.pop_front();
    several.leases.push_back(Lease(&entry));
  }
  answer(static_cast<LeaseWaiter&>(waiter));
}

void PoolShell::refuse(Waiter& waiter, PoolError error) {
  auto& refused = static_cast<LeaseWaiter&>(waiter);
  if (waiter.held != 0) {
    error = PoolError(error.phase(),
                      text(error.what(), "; the task that waited", at(waiter.call_site), " holds a connection of this pool itself, taken", at(waiter.held - 1)),
                      error.numbers(), error.last_connect_error(), error.last_check_error());
  }
  refused.disarm();
  asio::post(loop_, [self = ShellRef(this), handler = refused.take_handler(), failed = std::make_exception_ptr(std::move(error))]() mutable {
    resume(self->loop_, std::move(handler), std::move(failed), Lease());
  });
}

// Resumed from the loop, never inline, and all that are served by then in one turn of it: their statements go out together, and the loop
// looks for answers once for all of them.
void PoolShell::answer(LeaseWaiter& waiter) {
  waiter.disarm();
  answered_.push_back(waiter);
  deliver_soon();
}

void PoolShell::deliver_soon() {
  if (std::exchange(delivery_comes_, true)) return;
  asio::post(loop_, [self = ShellRef(this)] { self->deliver(); });
}

void PoolShell::deliver() {
  // Who is served meanwhile has another turn, and so have the others if one throws: what Asio does not keep until this turn ends, such as what
  // the start of the next operation throws that a caller awaits.
  struct Rest {
    PoolShell& shell;
    ~Rest() {
      shell.delivery_comes_ = false;
      if (!shell.answered_.empty()) shell.deliver_soon();
    }
  };
  const Rest rest{*this};
  for (std::size_t now = answered_.size(); now > 0 && !answered_.empty(); --now) {
    auto& waiter = static_cast<LeaseWaiter&>(answered_.front());
    answered_.pop_front();
    Lease lease = waiter.take_lease();
    resume(loop_, waiter.take_handler(), nullptr, std::move(lease));
  }
}

void PoolShell::interrupt(PoolEntry& entry) noexcept { connector_->interrupt(*entry.connection); }

bool PoolShell::may_reclaim(const PoolEntry& entry) noexcept { return connector_->may_reclaim(*entry.connection); }

std::string PoolShell::at(std::uint32_t call_site) const {
  const std::string where = call_sites_.text(call_site);
  return where.empty() ? " at an unknown place" : " at " + where;
}

void PoolShell::suspect(const Event& event) {
  const std::string pool = text("pool '", core_.options().name, "': ");
  if (event.type == EventType::leak_suspected)
    log::warning(text(pool, "connection ", event.connection, " has been held for ", to_millis(event.age), " ms, taken", at(event.call_site), ": a leak?"));
  else
    log::warning(text(pool, "a task waits", at(event.call_site), " for a connection of the exhausted pool while it holds connection ", event.connection, ", taken",
                      at(event.held_call_site), ": a deadlock?"));
}

}  // namespace sluice::pool
