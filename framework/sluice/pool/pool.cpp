#include <sluice/pool/pool.hpp>
#include <sluice/pool/shell.hpp>

namespace sluice::pool {

// Not inline: the code of users calls them, too.
void intrusive_ptr_add_ref(PoolShell* shell) noexcept { ++shell->references_; }
void intrusive_ptr_release(PoolShell* shell) noexcept {
  if (--shell->references_ == 0 && !shell->foreign()) delete shell;
}

Lease& Lease::operator=(Lease&& other) noexcept {
  if (this != &other) {
    release();
    shell_ = other.shell_;
    entry_ = std::exchange(other.entry_, nullptr);
  }
  return *this;
}

Connection& Lease::connection() const {
  if (!entry_) throw Error("the lease has ended: its connection was given back");
  shell_->check_process();
  return *entry_->connection;
}

std::uint64_t Lease::id() const noexcept { return entry_ ? entry_->id : 0; }

// In a forked child the connection is the parent's: forgotten, not given back.
void Lease::release() noexcept {
  if (!entry_) return;
  PoolEntry& entry = *std::exchange(entry_, nullptr);
  const ShellRef shell(shell_, false);
  if (!shell->foreign()) shell->give_back(entry);
}

void Lease::discard() noexcept {
  if (!entry_) return;
  PoolEntry& entry = *std::exchange(entry_, nullptr);
  const ShellRef shell(shell_, false);
  if (!shell->foreign()) shell->discard(entry);
}

Pool::Pool(asio::io_context& loop, config::Pool options, std::unique_ptr<Connector> connector, PoolResources resources)
    : shell_(new PoolShell(loop, std::move(options), std::move(connector), std::move(resources))) {}

Pool::Pool(Pool&&) noexcept = default;

Pool& Pool::operator=(Pool&& other) noexcept {
  if (this != &other) {
    if (shell_) shell_->orphan();
    shell_ = std::move(other.shell_);
  }
  return *this;
}

Pool::~Pool() {
  if (shell_) shell_->orphan();
}

awaitable<Lease> Pool::acquire(boost::source_location where) {
  const Duration limit = shell_->core().options().acquire_timeout;
  return shell_->acquire(limit > Duration::zero() ? limit : Duration::max(), where);
}
awaitable<Lease> Pool::acquire(Within limit, boost::source_location where) { return shell_->acquire(limit.limit, where); }
Lease Pool::try_acquire(boost::source_location where) { return shell_->try_acquire(where); }

void Pool::ready() {
  shell_->check_process();
  shell_->core().ready(Clock::now());
}
void Pool::pause() {
  shell_->check_process();
  shell_->core().pause();
}
void Pool::clear(Pending pending) {
  shell_->check_process();
  shell_->core().clear(Clock::now(), pending);
}
awaitable<bool> Pool::close(Deadline deadline) { return PoolShell::close(shell_, deadline); }
awaitable<bool> Pool::warm_up(Deadline deadline) { return PoolShell::warm_up(shell_, deadline); }

void Pool::on_event(std::function<void(const Event&)> observer) {
  shell_->core().on_event(std::move(observer));
}

Numbers Pool::numbers() const { return shell_->core().numbers(); }
const std::string& Pool::name() const noexcept { return shell_->core().options().name; }
const std::string& Pool::last_connect_error() const noexcept { return shell_->core().last_connect_error(); }
Connector& Pool::connector() const noexcept { return shell_->connector(); }
const config::Pool& Pool::options() const noexcept { return shell_->core().options(); }

}  // namespace sluice::pool
