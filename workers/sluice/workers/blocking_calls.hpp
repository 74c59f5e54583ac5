// How threads have a worker's loop do something, and wait for it: everything of a loop is the loop's own, so a call is carried out
// there while its thread sleeps. Any thread may call but the loop's own, which would wait for itself: there a call throws.
//
// A call that is given up (the worker ends first) throws sluice::Error in its thread and is cancelled on the loop. What a call made
// for its thread is the loop's, too: it is used there, and destroyed there, whichever thread is done with it (Held).
#pragma once

#include <sluice/core/asio.hpp>
#include <sluice/core/clock.hpp>
#include <sluice/core/error.hpp>
#include <sluice/core/task.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

namespace sluice::blocking {

// How long a thread waits for an answer that does not come.
enum class Until : std::uint8_t {
  drained,   // work in flight: until the drain's deadline has passed
  stopping,  // what may never come: until the worker is asked to stop
};

template <class T>
class Held;

class Calls : public std::enable_shared_from_this<Calls> {
 public:
  explicit Calls(asio::io_context& loop) : loop_(loop) {}

  // Awaits what `make()` returns, on the loop, and gives the result or throws its exception. `make` is called, kept and destroyed there.
  template <class Make>
  auto run(Make make, Until until = Until::drained) -> typename std::invoke_result_t<Make&>::value_type {
    using Result = typename std::invoke_result_t<Make&>::value_type;
    const auto answer = std::make_shared<Answer<Result>>();
    std::unique_lock lock(mutex_);
    const auto given_up = [&] { return closed_ || (stopping_ && until == Until::stopping); };
    if (!given_up()) {
      refuse_on_loop();
      const TaskExecutor executor(loop_.get_executor(), current_task());
      auto ended = [answer](std::exception_ptr) {};  // keeps the signal for as long as it may be asked for
      asio::co_spawn(executor, carry_out(std::move(make), answer, shared_from_this()),
                     asio::bind_cancellation_slot(answer->cancel.slot(), std::move(ended)));
      changed_.wait(lock, [&] { return answer->done || given_up(); });
      if (!answer->done) {
        answer->abandoned = true;
        if (!ended_) asio::post(loop_, [answer] { answer->cancel.emit(asio::cancellation_type::terminal); });
      }
    }
    if (!answer->done) throw Error("the worker is ending: this call was given up");
    if (answer->error) std::rethrow_exception(std::exchange(answer->error, nullptr));
    if constexpr (!std::is_void_v<Result>) return std::move(*answer->value);
  }
  // The same for what stays the loop's own. `of` is kept for as long as that.
  template <class Make>
  auto hold(Make make, std::shared_ptr<void> of = {}) {
    using T = typename std::invoke_result_t<Make&>::value_type;
    auto object = run([make = std::move(make), of = std::move(of)]() mutable { return keep<T>(make, of); });
    return Held<T>(shared_from_this(), std::move(object));
  }

  // Has the loop destroy it. Any thread; after end() it is left to the end of the process.
  void give_back(std::shared_ptr<void> object) noexcept;
  // Runs it on the loop, or destroys it with the loop. False: after end(), and `work` was not taken.
  template <class Work>
  bool post(Work&& work) {
    const std::lock_guard lock(mutex_);
    if (!ended_) asio::post(loop_, std::forward<Work>(work));
    return !ended_;
  }

  void stop();   // stopping() becomes true
  void close();  // …, and calls are given up
  void end();    // …, and nothing comes to the loop any more
  bool stopping() const;
  bool sleep(Duration time);  // false: asked to stop

 private:
  struct Nothing {};
  template <class Result>
  struct Answer {
    using Value = std::conditional_t<std::is_void_v<Result>, Nothing, Result>;
    std::optional<Value> value;
    std::exception_ptr error;
    bool done = false;
    bool abandoned = false;            // nobody waits for it
    asio::cancellation_signal cancel;  // emitted on the loop
  };
  template <class T>
  struct Kept {
    Kept(std::shared_ptr<void> o, T t) : of(std::move(o)), object(std::move(t)) {}
    std::shared_ptr<void> of;
    T object;  // ends first
  };

  template <class Make, class Result>
  static awaitable<void> carry_out(Make make, std::shared_ptr<Answer<Result>> answer, std::shared_ptr<Calls> calls) {
    std::optional<typename Answer<Result>::Value> value;
    std::exception_ptr error;
    try {
      if constexpr (std::is_void_v<Result>) {
        co_await make();
        value.emplace();
      } else {
        Result result = co_await make();
        value.emplace(std::move(result));
      }
    } catch (...) {
      error = std::current_exception();
    }
    const std::lock_guard lock(calls->mutex_);
    if (answer->abandoned) co_return;  // what came ends here, on the loop
    if (value) answer->value.emplace(std::move(*value));
    answer->error = std::move(error);
    answer->done = true;
    calls->changed_.notify_all();
  }
  template <class T, class Make>
  static awaitable<std::shared_ptr<T>> keep(Make& make, std::shared_ptr<void>& of) {
    T made = co_await make();
    const auto kept = std::make_shared<Kept<T>>(std::move(of), std::move(made));
    co_return std::shared_ptr<T>(kept, &kept->object);
  }
  void refuse_on_loop() const;

  asio::io_context& loop_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  bool closed_ = false;
  bool ended_ = false;
};

// What is the loop's own, in the hands of a thread; of one at a time. Given back to the loop at its end.
template <class T>
class Held {
 public:
  Held() noexcept = default;
  Held(std::shared_ptr<Calls> calls, std::shared_ptr<T> object) noexcept : calls_(std::move(calls)), object_(std::move(object)) {}
  Held(Held&&) noexcept = default;
  Held& operator=(Held&& other) noexcept {
    if (this == &other) return *this;
    reset();
    calls_ = std::move(other.calls_);
    object_ = std::move(other.object_);
    return *this;
  }
  ~Held() { reset(); }

  explicit operator bool() const noexcept { return object_ != nullptr; }
  // For what touches the object only, not its connection. Not after a call that threw: the loop may still be at it.
  T* operator->() const noexcept { return object_.get(); }
  void reset() noexcept {
    if (object_) calls_->give_back(std::move(object_));
  }

  // Awaits what `ask(object)` returns, on the loop.
  template <class Ask>
  auto run(Ask ask, Until until = Until::drained) {
    require();
    return calls_->run([object = object_, ask = std::move(ask)]() mutable { return ask(*object); }, until);
  }
  // The same for a part of this object, which outlives it then.
  template <class Ask>
  auto hold(Ask ask) {
    require();
    return calls_->hold([object = object_, ask = std::move(ask)]() mutable { return ask(*object); }, object_);
  }

 private:
  void require() const {
    if (!object_) throw Error("this object was moved from");
  }
  std::shared_ptr<Calls> calls_;
  std::shared_ptr<T> object_;
};

}  // namespace sluice::blocking
