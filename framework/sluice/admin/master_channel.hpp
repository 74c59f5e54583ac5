// The admin process's end of the socket pair to the master: commands with ids, each waiting for its own reply.
// One loop's own. The end of the stream means that the master is gone: `closed` is called once, inline on the loop.
#pragma once

#include <sluice/core/asio.hpp>
#include <sluice/core/clock.hpp>
#include <sluice/shm/message.hpp>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>

namespace sluice::admin {

class MasterChannel {
 public:
  // Works on a duplicate of `socket`. The loop must not run after the object's end.
  MasterChannel(asio::io_context& loop, int socket, std::function<void()> closed);

  // Sends the command under a fresh id and returns the master's reply. Throws ExitError(unavailable) if it cannot be sent,
  // TimedOut if no reply came within `limit`.
  awaitable<shm::Message> ask(shm::Message command, Duration limit);

 private:
  struct Pending;
  void receive_next();
  void receive_all();

  asio::posix::stream_descriptor socket_;
  std::function<void()> closed_;
  std::shared_ptr<std::map<std::uint32_t, Pending*>> pending_;  // shared: abandoned frames may outlive the channel
  std::uint32_t last_id_ = 0;
};

}  // namespace sluice::admin
