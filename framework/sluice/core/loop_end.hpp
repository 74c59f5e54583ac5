// Tells those whose waiting coroutines hold them that their loop goes away: then nobody resumes these any more, and whoever keeps a
// handler must drop it, or both would live for ever.
#pragma once

#include <boost/asio/execution_context.hpp>

#include <memory>
#include <utility>
#include <vector>

namespace sluice {

class LoopListener {
 public:
  // Called once, while the loop is being destroyed.
  virtual void loop_ended() noexcept = 0;

 protected:
  ~LoopListener() = default;
};

// boost::asio::use_service<LoopEnd>(loop).tell(…)
class LoopEnd : public boost::asio::execution_context::service {
 public:
  inline static boost::asio::execution_context::id id;
  explicit LoopEnd(boost::asio::execution_context& loop) : service(loop) {}

  void tell(std::weak_ptr<LoopListener> listener) {
    std::erase_if(listeners_, [](const std::weak_ptr<LoopListener>& known) { return known.expired(); });
    listeners_.push_back(std::move(listener));
  }

 private:
  void shutdown() override {
    for (const std::weak_ptr<LoopListener>& known : std::exchange(listeners_, {})) {
      if (const std::shared_ptr<LoopListener> listener = known.lock()) listener->loop_ended();
    }
  }

  std::vector<std::weak_ptr<LoopListener>> listeners_;
};

}  // namespace sluice
