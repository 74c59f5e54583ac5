#include <sluice/admin/master_channel.hpp>

#include <sluice/core/descriptor.hpp>
#include <sluice/core/error.hpp>
#include <sluice/core/log.hpp>
#include <sluice/core/text.hpp>

#include <optional>

namespace sluice::admin {

// A command in flight; lives in the frame of its ask(), so that an abandoned one takes its entry along.
struct MasterChannel::Pending {
  Pending(MasterChannel& channel, std::uint32_t id) : all(channel.pending_), id(id), timer(channel.socket_.get_executor()) { (*all)[id] = this; }
  ~Pending() { all->erase(id); }
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;

  std::shared_ptr<std::map<std::uint32_t, Pending*>> all;
  std::uint32_t id;
  asio::steady_timer timer;
  std::optional<shm::Message> reply;
};

MasterChannel::MasterChannel(asio::io_context& loop, int socket, std::function<void()> closed)
    : socket_(loop, duplicate(socket).release()), closed_(std::move(closed)), pending_(std::make_shared<std::map<std::uint32_t, Pending*>>()) {
  receive_next();
}

awaitable<shm::Message> MasterChannel::ask(shm::Message command, Duration limit) {
  if (++last_id_ == 0) ++last_id_;
  command.id = last_id_;
  Pending pending(*this, command.id);
  if (!shm::send(socket_.native_handle(), command)) throw ExitError(ExitCode::unavailable, "the master does not take commands now");
  pending.timer.expires_after(limit);
  error_code ignored;
  co_await pending.timer.async_wait(asio::redirect_error(use_awaitable, ignored));
  if (!pending.reply) throw TimedOut(text("the master did not answer within ", to_millis(limit), " ms"));
  co_return *pending.reply;
}

void MasterChannel::receive_next() {
  socket_.async_wait(asio::posix::stream_descriptor::wait_read, [this](error_code error) {
    if (error) return;  // the loop is ending
    receive_all();
  });
}

void MasterChannel::receive_all() {
  shm::Message message;
  for (;;) {
    switch (shm::receive(socket_.native_handle(), message)) {
      case shm::Received::none: return receive_next();
      case shm::Received::closed: return closed_();
      case shm::Received::malformed: continue;
      case shm::Received::message: break;
    }
    if (message.type == shm::MessageType::reopen_logs) log::reopen();
    if (message.type != shm::MessageType::reply) continue;
    // A reply past its deadline has nobody waiting for it any more.
    if (const auto it = pending_->find(message.id); it != pending_->end()) {
      it->second->reply = message;
      it->second->timer.cancel();
    }
  }
}

}  // namespace sluice::admin
