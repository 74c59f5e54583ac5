// The hooks of a pool: where they are called, and what an exception of theirs means.
#include <sluice/core/log.hpp>
#include <sluice/core/text.hpp>
#include <sluice/pool/shell.hpp>

namespace sluice::pool {
namespace {

std::string describe(const char* hook) {
  try {
    throw;
  } catch (const std::exception& e) {
    return text(hook, ": ", e.what());
  } catch (...) {
    return text(hook, ": an unknown exception");
  }
}

}  // namespace

void PoolShell::set_hooks(Hooks hooks) {
  hooks_ = std::move(hooks);
  leases_hooked_ = static_cast<bool>(hooks_.before_lease);
  returns_hooked_ = static_cast<bool>(hooks_.after_return);
}

void PoolShell::hooks(Hooks hooks) {
  check_caller();
  set_hooks(std::move(hooks));
  core_.refresh(Clock::now());
}

void PoolShell::hook_failed(std::uint64_t id, const std::string& error) {
  log::warning(text("pool '", core_.options().name, "': a hook failed: ", error));
  core_.tell({.type = EventType::hook_failed, .connection = id, .detail = error});
}

awaitable<Lease> PoolShell::prepared(ShellRef self, awaitable<Lease> lease) {
  Lease mine = co_await std::move(lease);
  self->before_lease(mine);
  co_return mine;
}

// If it throws, the connection is closed and the caller told.
void PoolShell::before_lease(Lease& lease) {
  std::string error;
  try {
    return hooks_.before_lease(lease.connection());
  } catch (...) {
    error = describe("before_lease");
  }
  core_.tell({.type = EventType::hook_failed, .connection = lease.id(), .detail = error});
  lease.discard();
  const PoolError now = core_.error(Phase::hook);
  throw PoolError(Phase::hook, text(now.what(), "; ", error), now.numbers(), now.last_connect_error(), now.last_check_error());
}

// False: it threw, and nobody shall get the connection again.
bool PoolShell::after_return(PoolEntry& entry) noexcept {
  if (!entry.connection) return true;  // reclaimed
  try {
    hooks_.after_return(*entry.connection);
    return true;
  } catch (...) {
    hook_failed(entry.id, describe("after_return"));
    return false;
  }
}

void PoolShell::before_close(Connection& connection, std::uint64_t id) noexcept {
  if (!hooks_.before_close) return;
  try {
    hooks_.before_close(connection);
  } catch (...) {
    hook_failed(id, describe("before_close"));
  }
}

}  // namespace sluice::pool
