#include <sluice/pool/pool.hpp>
#include <sluice/pool/shell.hpp>

namespace sluice::pool {

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

awaitable<Lease> Pool::acquire(const boost::source_location& where) {
  static constexpr Wish usual;
  return shell_->acquire(usual, where);
}
awaitable<Lease> Pool::acquire(const Wish& wish, const boost::source_location& where) { return shell_->acquire(wish, where); }
Lease Pool::try_acquire(const boost::source_location& where) { return shell_->try_acquire(where); }
bool Pool::may_lease() const noexcept { return shell_->may_lease(); }
awaitable<Lease> Pool::acquire_shared(const Wish& wish, const boost::source_location& where) { return shell_->acquire_shared(wish, where); }
Lease Pool::try_acquire_shared(const boost::source_location& where) { return shell_->try_acquire_shared(where); }
awaitable<std::vector<Lease>> Pool::acquire_many(std::uint32_t connections, const Wish& wish, const boost::source_location& where) {
  return PoolShell::acquire_many(shell_, connections, wish, where);
}
awaitable<Pinned> Pool::pin(const Wish& wish, const boost::source_location& where) { return PoolShell::pin(shell_, wish, where); }

void Pool::ready() { shell_->checked_core().ready(Clock::now()); }
void Pool::pause() { shell_->checked_core().pause(Clock::now()); }
void Pool::clear(Pending pending) { shell_->checked_core().clear(Clock::now(), pending); }
void Pool::refresh() { shell_->checked_core().refresh(Clock::now()); }
void Pool::hooks(Hooks hooks) { shell_->hooks(std::move(hooks)); }
awaitable<bool> Pool::close(Deadline deadline) { return PoolShell::close(shell_, deadline); }
awaitable<bool> Pool::warm_up(Deadline deadline) { return PoolShell::warm_up(shell_, deadline); }
awaitable<std::uint32_t> Pool::preallocate(std::uint32_t connections, Deadline deadline) { return PoolShell::preallocate(shell_, connections, deadline); }

void Pool::permits_changed() { shell_->checked_core().rung(Clock::now()); }

void Pool::on_event(std::function<void(const Event&)> observer) { shell_->observe(std::move(observer)); }
EventStream Pool::events(std::size_t capacity) { return shell_->stream(capacity); }
std::string Pool::call_site(std::uint32_t number) const { return shell_->call_site(number); }
std::vector<ConnectionView> Pool::connections() const { return shell_->connections(); }

shm::PoolHealth Pool::health() { return shell_->health(); }
Numbers Pool::numbers() const { return shell_->checked_core().numbers(); }
const std::string& Pool::name() const noexcept { return shell_->core().options().name; }
const std::string& Pool::last_connect_error() const noexcept { return shell_->core().last_connect_error(); }
Connector& Pool::connector() const noexcept { return shell_->connector(); }
const config::Pool& Pool::options() const noexcept { return shell_->core().options(); }

}  // namespace sluice::pool
