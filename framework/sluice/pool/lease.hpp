// What user code holds while it uses a connection. Movable values of the pool's loop; each keeps the pool's core alive, so either
// may be destroyed first. Giving back is the destructor's work; after it every use throws sluice::Error.
#pragma once

#include <sluice/core/clock.hpp>
#include <sluice/pool/connection.hpp>

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <cstdint>
#include <utility>

namespace sluice::pool {

class PoolShell;   // the Asio side, kept alive by leases
struct PoolEntry;  // one pooled connection
struct LeaseWaiter;
void intrusive_ptr_add_ref(PoolShell* shell) noexcept;
void intrusive_ptr_release(PoolShell* shell) noexcept;
using ShellRef = boost::intrusive_ptr<PoolShell>;  // a plain count: one loop's own, and the lease path is counted in nanoseconds

// A connection that has left the pool: it is no longer counted as the pool's own, reset or aged, but its permit stays taken until
// this object is destroyed; then it is closed as usual. For what changes a session for good, or lives as long as the worker.
class Detached {
 public:
  Detached() noexcept = default;
  Detached(Detached&& other) noexcept : entry_(std::exchange(other.entry_, nullptr)) {}
  Detached& operator=(Detached&& other) noexcept;
  ~Detached() { close(); }

  explicit operator bool() const noexcept { return entry_ != nullptr; }
  Connection& connection() const;
  Connection& operator*() const { return connection(); }
  Connection* operator->() const { return &connection(); }
  // Starts closing it now. A second call does nothing.
  void close() noexcept;

 private:
  friend class Lease;
  explicit Detached(PoolEntry* entry) noexcept : entry_(entry) {}
  PoolEntry* entry_ = nullptr;  // its shell is counted
};

// One connection until the lease ends: exclusive, or one request of several on a multiplexed connection (shared).
class Lease {
 public:
  Lease() noexcept = default;
  Lease(Lease&& other) noexcept : entry_(std::exchange(other.entry_, nullptr)), request_since_(other.request_since_) {}
  Lease& operator=(Lease&& other) noexcept;
  ~Lease() {
    if (entry_) release();
  }

  explicit operator bool() const noexcept { return entry_ != nullptr; }
  // Throws sluice::Error after release(), and after the connection was reclaimed as leaked.
  Connection& connection() const;
  Connection& operator*() const { return connection(); }
  Connection* operator->() const { return &connection(); }
  std::uint64_t id() const noexcept;  // of the connection within its pool, from 1
  bool reclaimed() const noexcept;    // its connection was taken away as leaked
  bool shared() const noexcept { return request_since_ != TimePoint{}; }

  // Gives the connection back now. A second call does nothing.
  void release() noexcept;
  // Gives it back as unusable: it is closed, not reused. Of a shared one when the last request on it has ended.
  void discard() noexcept;
  // Takes the connection out of the pool. Throws if the lease has ended or is shared.
  Detached detach() &&;

 private:
  friend class PoolShell;
  friend class Pinned;
  friend struct LeaseWaiter;
  explicit Lease(PoolEntry* entry, TimePoint request_since = {}) noexcept;  // null: an empty one
  // Takes over a count of the shell that somebody else has had.
  static Lease adopt(PoolEntry* entry, TimePoint request_since) noexcept {
    Lease lease;
    lease.entry_ = entry;
    lease.request_since_ = request_since;
    return lease;
  }
  [[noreturn]] void throw_ended() const;
  PoolEntry* entry_ = nullptr;  // its shell is counted
  TimePoint request_since_{};   // of a shared lease
};

// A connection for as long as a worker wants it, without a queue and without a lease for each use: connection() is a pointer. All
// coroutines of the loop may use it, between their suspension points; who suspends in the middle of a conversation takes a lease.
class Pinned {
 public:
  Pinned() noexcept = default;
  // A lease that is meant to be held: it is no leak from now on. Throws like Lease::connection().
  explicit Pinned(Lease lease);
  Pinned(Pinned&& other) noexcept : lease_(std::move(other.lease_)), connection_(std::exchange(other.connection_, nullptr)) {}
  Pinned& operator=(Pinned&& other) noexcept {
    lease_ = std::move(other.lease_);
    connection_ = std::exchange(other.connection_, nullptr);
    return *this;
  }

  // Null after release(), and in an object that was moved from.
  Connection* connection() const noexcept { return connection_; }
  Connection* operator->() const noexcept { return connection_; }
  // False: it broke, it is past its lifetime, or the pool was cleared. Release it and pin another: nobody else looks.
  bool usable() const noexcept;
  void release() noexcept {
    connection_ = nullptr;
    lease_.release();
  }

 private:
  Lease lease_;
  Connection* connection_ = nullptr;
};

}  // namespace sluice::pool
