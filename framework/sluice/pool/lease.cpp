#include <sluice/pool/lease.hpp>
#include <sluice/pool/shell.hpp>

namespace sluice::pool {

// Not inline: the code of users calls them, too.
void intrusive_ptr_add_ref(PoolShell* shell) noexcept { ++shell->references_; }
void intrusive_ptr_release(PoolShell* shell) noexcept {
  if (--shell->references_ == 0 && !shell->foreign()) delete shell;
}

// ---- Lease

Lease& Lease::operator=(Lease&& other) noexcept {
  if (this != &other) {
    release();
    entry_ = std::exchange(other.entry_, nullptr);
    request_since_ = other.request_since_;
  }
  return *this;
}

Connection& Lease::connection() const {
  if (!entry_ || entry_->shell->foreign() || !entry_->connection) [[unlikely]]
    throw_ended();
  return *entry_->connection;
}

void Lease::throw_ended() const {
  if (!entry_) throw Error("the lease has ended: its connection was given back");
  entry_->shell->check_process();
  throw Error("the lease has ended: its connection was taken away, because it was held for longer than leak.after");
}

std::uint64_t Lease::id() const noexcept { return entry_ ? entry_->id : 0; }

bool Lease::reclaimed() const noexcept { return entry_ && !entry_->connection; }

// In a forked child the connection is the parent's: forgotten, not given back.
void Lease::release() noexcept {
  if (!entry_) return;
  PoolEntry& entry = *std::exchange(entry_, nullptr);
  const ShellRef shell(entry.shell, false);
  if (shell->foreign()) return;
  if (shared()) [[unlikely]]
    shell->end_request(entry, request_since_, false);
  else
    shell->give_back(entry);
}

void Lease::discard() noexcept {
  if (!entry_) return;
  PoolEntry& entry = *std::exchange(entry_, nullptr);
  const ShellRef shell(entry.shell, false);
  if (shell->foreign()) return;
  if (shared())
    shell->end_request(entry, request_since_, true);
  else
    shell->discard(entry);
}

Detached Lease::detach() && {
  static_cast<void>(connection());  // ended, reclaimed, or in another process
  if (shared()) throw Error("a shared lease cannot be detached: others use its connection, too");
  PoolEntry& entry = *std::exchange(entry_, nullptr);
  entry.shell->detach(entry);
  return Detached(&entry);
}

// ---- Detached

Detached& Detached::operator=(Detached&& other) noexcept {
  if (this != &other) {
    close();
    entry_ = std::exchange(other.entry_, nullptr);
  }
  return *this;
}

Connection& Detached::connection() const {
  if (!entry_) throw Error("the detached connection was closed");
  entry_->shell->check_process();
  return *entry_->connection;
}

void Detached::close() noexcept {
  if (!entry_) return;
  PoolEntry& entry = *std::exchange(entry_, nullptr);
  const ShellRef shell(entry.shell, false);
  if (!shell->foreign()) shell->end_detached(entry);
}

// ---- Pinned

Pinned::Pinned(Lease lease) : lease_(std::move(lease)), connection_(&lease_.connection()) { lease_.entry_->leak_told = lease_.entry_->leased_at; }

bool Pinned::usable() const noexcept { return connection_ && lease_.entry_->shell->usable(*lease_.entry_); }

}  // namespace sluice::pool
