// Ends somebody's wait: in the executor that the waiting coroutine runs on, and at once where that is this loop itself.
#pragma once

#include <sluice/core/asio.hpp>
#include <sluice/core/task.hpp>

#include <boost/asio/dispatch.hpp>

#include <utility>

namespace sluice {

// REQUIRES: called on `loop`.
template <class Handler, class... Values>
void resume(const asio::io_context& loop, Handler handler, Values... values) {
  const asio::any_io_executor executor = handler.get_executor();
  using Plain = asio::io_context::executor_type;
  if (const auto* own = executor.target<Plain>(); own && &own->context() == &loop) {
    const task::Scope none(0);  // whoever calls may belong to a task
    return std::move(handler)(std::move(values)...);
  }
  if (const auto* own = executor.target<TaskExecutor<Plain>>(); own && &own->inner().context() == &loop) {
    const task::Scope scope(own->id());
    return std::move(handler)(std::move(values)...);
  }
  asio::dispatch(executor, [handler = std::move(handler), ... values = std::move(values)]() mutable { std::move(handler)(std::move(values)...); });
}

}  // namespace sluice
