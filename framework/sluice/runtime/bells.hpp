// One eventfd per slot, made before the first fork and inherited by all workers: any of them can wake any other when permits are
// wanted or granted. A ring is a hint that may be lost; whoever waits looks again by itself.
#pragma once

#include <sluice/core/asio.hpp>
#include <sluice/core/descriptor.hpp>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdint>
#include <functional>
#include <vector>

namespace sluice::runtime {

class Bells {
 public:
  // Throws std::system_error.
  explicit Bells(std::uint32_t slots);
  // Never blocks. Any process, any thread.
  void ring(std::uint32_t slot) const noexcept;
  int of(std::uint32_t slot) const noexcept { return descriptors_[slot].get(); }

 private:
  std::vector<Descriptor> descriptors_;
};

// Calls `rung` on the loop after each ring of the descriptor (several rings may be one call), until it is destroyed.
class BellListener {
 public:
  BellListener(asio::io_context& loop, int bell, std::function<void()> rung);

 private:
  void wait();

  asio::posix::stream_descriptor descriptor_;
  std::function<void()> rung_;
};

}  // namespace sluice::runtime
