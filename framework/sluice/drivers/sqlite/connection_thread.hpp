// The one thread that touches a connection's handle. It runs what the loop hands over, in order, and closes the handle before
// it ends. The loop only ever waits in coroutines. Used on one loop; a coroutine that is cancelled or destroyed while the
// thread works for it cancels that work and leaves nothing behind.
#pragma once

#include <sluice/core/asio.hpp>
#include <sluice/core/clock.hpp>
#include <sluice/drivers/sqlite/handle.hpp>

#include <exception>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace sluice::sqlite {

class ConnectionThread {
 public:
  // Owns everything it uses: it may outlive the coroutine that asked for it.
  using Work = std::function<void(Handle&, const Stop&)>;
  struct Answer {
    bool came = false;  // false: the waiter gave up (stuck thread, long past the deadline) or was cancelled
    std::exception_ptr error;
  };

  // Throws std::system_error if there is no thread to be had.
  explicit ConnectionThread(std::unique_ptr<Handle> handle);
  // Cancels what runs; the thread closes the handle and ends by itself.
  ~ConnectionThread();

  awaitable<Answer> perform(Work work, Deadline deadline);
  // A write that commits together with those that wait beside it. `rows` is filled if the answer has no error.
  awaitable<Answer> perform_write(std::shared_ptr<const sql::Statement> write, std::shared_ptr<sql::Rows> rows, Deadline deadline);
  // Cancels what runs, then waits until the handle is closed and the thread has ended. False: not by the deadline.
  awaitable<bool> close(Deadline deadline);
  // Cancels what runs and what waits: their errors say so.
  void interrupt() noexcept;

  // As of the last answer.
  bool in_transaction() const noexcept;
  bool altered() const noexcept;
  bool broken() const noexcept;

 private:
  struct Job;
  struct Shared;
  class Waiting;
  awaitable<Answer> wait_for(std::shared_ptr<Job> job);
  static void perform_work(Handle& handle, Job& job) noexcept;
  static void perform_writes(Handle& handle, const std::vector<std::shared_ptr<Job>>& jobs);
  static void serve(const std::shared_ptr<Shared>& shared);
  void end(std::shared_ptr<class ThreadEvent> closed) noexcept;

  std::shared_ptr<Shared> shared_;
  std::thread thread_;
};

}  // namespace sluice::sqlite
