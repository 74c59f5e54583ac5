#include <sluice/workers/blocking_calls.hpp>

namespace sluice::blocking {

void Calls::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  changed_.notify_all();
}

void Calls::close() {
  const std::lock_guard lock(mutex_);
  stopping_ = closed_ = true;
  changed_.notify_all();
}

void Calls::end() {
  const std::lock_guard lock(mutex_);
  stopping_ = closed_ = ended_ = true;
  changed_.notify_all();
}

bool Calls::stopping() const {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

bool Calls::sleep(Duration time) {
  std::unique_lock lock(mutex_);
  if (!stopping_) refuse_on_loop();
  return !changed_.wait_for(lock, time, [&] { return stopping_; });
}

// The loop would wait for itself.
void Calls::refuse_on_loop() const {
  if (loop_.get_executor().running_in_this_thread())
    throw Error("a call that waits was made on the worker's own loop, which it would wait for: use context().sql(…) and co_await there");
}

void Calls::give_back(std::shared_ptr<void> object) noexcept {
  auto last = std::make_unique<std::shared_ptr<void>>(std::move(object));  // cannot be copied: the last reference is the loop's
  const std::lock_guard lock(mutex_);
  if (ended_)
    static_cast<void>(last.release());
  else
    asio::post(loop_, [held = std::move(last)] {});
}

}  // namespace sluice::blocking
