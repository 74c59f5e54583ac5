// What a pool's shell does with its connector: each operation is a coroutine of its own, with an end that the core is told.
#include <sluice/core/log.hpp>
#include <sluice/core/text.hpp>
#include <sluice/pool/shell.hpp>
#include <sluice/pool/sizing.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

namespace sluice::pool {
namespace {

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

void PoolShell::run(PoolEntry& entry, awaitable<void> operation) {
  auto running = std::make_shared<CancellableOperation>(loop_);
  entry.operation = running;
  auto finished = [running](const std::exception_ptr& error) {
    if (error) log::error(text("pool operation ended with an exception: ", describe(error)));
  };
  asio::co_spawn(loop_, std::move(operation), asio::bind_cancellation_slot(running->signal.slot(), std::move(finished)));
}

void PoolShell::start_connect(PoolEntry& entry, Deadline deadline) {
  entry.shell = this;
  run(entry, run_connect(ShellRef(this), &entry, deadline));
}
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
  const char* phase = "";  // the hook that runs
  bool released = false, permanent = false;
  try {
    co_await asio::post(self->loop_, use_awaitable);
    self->turns_here();
    if (self->hooks_.before_connect) {
      phase = "before_connect: ";
      released = true;  // nothing has begun
      self->hooks_.before_connect();
      phase = "";
      released = false;
    }
    connection = co_await self->connector_->connect(deadline);
    if (connection && self->hooks_.after_connect) {
      phase = "after_connect: ";
      co_await self->hooks_.after_connect(*connection, deadline);
      phase = "";
    }
  } catch (const ConnectFailed& e) {
    error = e.what();
    released = e.released();
    permanent = e.permanent();
  } catch (const std::exception& e) {
    error = e.what();
  } catch (...) {
    error = "the connector threw an unknown exception";
  }
  if (*phase) {
    error = phase + error;
    self->core_.tell({.type = EventType::hook_failed, .connection = entry->id, .detail = error});
    // Made, but not fit for use: closed as carefully as any other.
    if (connection) released = co_await close_quietly(self, std::move(connection), deadline);
    connection.reset();
  }
  if (connection)
    self->core_.connected(running.answer(), std::move(connection), Clock::now());
  else
    self->core_.connect_failed(running.answer(), error, released, Clock::now(), permanent);
}

awaitable<bool> PoolShell::close_quietly(ShellRef self, std::unique_ptr<Connection> connection, Deadline deadline) {
  const Deadline patient{saturating_add(deadline.at, self->core_.options().close_timeout)};
  bool confirmed = false;
  try {
    self->before_close(*connection, 0);
    const CloseResult result = co_await self->connector_->close(std::move(connection), patient);
    confirmed = result == CloseResult::confirmed;
  } catch (const std::exception& e) {
    log::warning(text("pool '", self->core_.options().name, "': a close failed: ", e.what()));
  }
  co_return confirmed;
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
    self->before_close(*connection, entry->id);
    result = co_await self->connector_->close(std::move(connection), deadline);
  } catch (const std::exception& e) {
    log::warning(text("pool '", self->core_.options().name, "': a close failed: ", e.what()));
  } catch (...) {
    log::warning(text("pool '", self->core_.options().name, "': a close failed"));
  }
  self->core_.closed(running.answer(), result, Clock::now());
}

}  // namespace sluice::pool
