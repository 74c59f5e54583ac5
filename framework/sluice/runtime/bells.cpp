#include <sluice/runtime/bells.hpp>

#include <sys/eventfd.h>
#include <unistd.h>

namespace sluice::runtime {

Bells::Bells(std::uint32_t slots) {
  for (std::uint32_t i = 0; i < slots; ++i) {
    descriptors_.emplace_back(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!descriptors_.back()) throw_errno("eventfd");
  }
}

void Bells::ring(std::uint32_t slot) const noexcept {
  const std::uint64_t one = 1;
  // A full counter has rung already; nothing else can fail that matters for a hint.
  if (slot < descriptors_.size() && ::write(descriptors_[slot].get(), &one, sizeof one) < 0) return;
}

BellListener::BellListener(asio::io_context& loop, int bell, std::function<void()> rung)
    : descriptor_(loop, duplicate(bell).release()), rung_(std::move(rung)) {
  wait();
}

void BellListener::wait() {
  descriptor_.async_wait(asio::posix::stream_descriptor::wait_read, [this](const error_code& ended) {
    if (ended) return;
    std::uint64_t rings = 0;
    if (::read(descriptor_.native_handle(), &rings, sizeof rings) == sizeof rings) rung_();
    wait();
  });
}

}  // namespace sluice::runtime
