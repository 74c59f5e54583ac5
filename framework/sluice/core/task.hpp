// Which task runs now: a number (they begin again after 2^32) that follows a coroutine, and all that it spawns on its own executor,
// through every suspension. It lives in the executor: spawn the task on task_executor(…), e.g. one for each request. Used to notice
// that a task waits for what it holds itself. Any thread; a task is known only while its code runs.
#pragma once

#include <sluice/core/asio.hpp>

#include <boost/asio/prefer.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/require.hpp>
#include <atomic>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace sluice {
namespace task {

inline thread_local constinit std::uint32_t running = 0;
inline constinit std::atomic<std::uint32_t> last{0};

// Sets the running task for the time of a call.
class Scope {
 public:
  explicit Scope(std::uint32_t id) noexcept : before_(std::exchange(running, id)) {}
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  ~Scope() { running = before_; }

 private:
  std::uint32_t before_;
};

}  // namespace task

// 0: the code that asks belongs to no task.
inline std::uint32_t current_task() noexcept { return task::running; }

// Passes everything on to the inner executor, with the task set while a function runs.
template <class Inner>
class TaskExecutor {
 public:
  TaskExecutor(Inner inner, std::uint32_t id) noexcept : inner_(std::move(inner)), id_(id) {}

  const Inner& inner() const noexcept { return inner_; }
  std::uint32_t id() const noexcept { return id_; }

  template <class Property>
  auto query(const Property& property) const -> decltype(asio::query(std::declval<const Inner&>(), property)) {
    return asio::query(inner_, property);
  }
  template <class Property>
  auto require(const Property& property) const -> TaskExecutor<std::decay_t<decltype(asio::require(std::declval<const Inner&>(), property))>> {
    return {asio::require(inner_, property), id_};
  }
  template <class Property>
  auto prefer(const Property& property) const -> TaskExecutor<std::decay_t<decltype(asio::prefer(std::declval<const Inner&>(), property))>> {
    return {asio::prefer(inner_, property), id_};
  }
  template <class Function>
  void execute(Function&& function) const {
    inner_.execute([id = id_, call = std::decay_t<Function>(std::forward<Function>(function))]() mutable {
      const task::Scope scope(id);
      std::move(call)();
    });
  }
  friend bool operator==(const TaskExecutor& a, const TaskExecutor& b) noexcept { return a.id_ == b.id_ && a.inner_ == b.inner_; }
  friend bool operator!=(const TaskExecutor& a, const TaskExecutor& b) noexcept { return !(a == b); }

 private:
  Inner inner_;
  std::uint32_t id_;
};

// The number of a new task, for task::Scope or a TaskExecutor.
inline std::uint32_t new_task() noexcept { return task::last.fetch_add(1, std::memory_order_relaxed) + 1; }

// A new task on this executor.
template <class Inner>
TaskExecutor<Inner> task_executor(Inner inner) {
  return {std::move(inner), new_task()};
}

}  // namespace sluice
