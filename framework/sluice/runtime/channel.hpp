// A child's end of its socket pair with the master, read on a loop.
#pragma once

#include <sluice/core/asio.hpp>
#include <sluice/core/descriptor.hpp>
#include <sluice/shm/message.hpp>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>

namespace sluice::runtime {

class Channel {
 public:
  // Works on a duplicate of `socket`. One loop's own.
  Channel(asio::io_context& loop, int socket) : descriptor_(loop, duplicate(socket).release()) {}

  void start(std::function<void(const shm::Message&)> on_message, std::function<void()> on_closed) {
    on_message_ = std::move(on_message);
    on_closed_ = std::move(on_closed);
    wait();
  }

 private:
  void wait() {
    descriptor_.async_wait(asio::posix::stream_descriptor::wait_read, [this](const error_code& error) {
      if (error) return;
      shm::Message message;
      for (;;) {
        const shm::Received got = shm::receive(descriptor_.native_handle(), message);
        if (got == shm::Received::closed) return on_closed_();
        if (got == shm::Received::none) break;
        if (got == shm::Received::message) on_message_(message);
      }
      wait();
    });
  }

  asio::posix::stream_descriptor descriptor_;
  std::function<void(const shm::Message&)> on_message_;
  std::function<void()> on_closed_;
};

}  // namespace sluice::runtime
