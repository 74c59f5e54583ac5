// One connection as the pool sees it; drivers derive from it. Not thread-safe: used on the pool's loop only.
#pragma once

#include <atomic>
#include <cstdint>

namespace sluice::pool {

// `session` is the server's own id of the connection (0: unknown) and `session_birth` the server's start time of that
// session in the driver's unit: together they name the session for ever.
class Connection {
 public:
  virtual ~Connection() = default;
  std::uint64_t session = 0;
  std::uint64_t session_birth = 0;
  // Set by the driver when the connection can no longer be used (protocol error, connection lost): it is closed on return.
  bool broken = false;
  // Set by the driver when session state may have changed, so that it must be reset before somebody else gets it.
  bool dirty = false;
  // Set by the pool once it is connected: the row's word for pool::StatementCancel. Null where there is no row.
  std::atomic<std::uint32_t>* cancel = nullptr;
};

enum class Pending { finish, interrupt };  // what clear() does about connections that are on their way
enum class CloseResult { confirmed, unconfirmed };  // confirmed: the server is proven to have let the session go

}  // namespace sluice::pool
