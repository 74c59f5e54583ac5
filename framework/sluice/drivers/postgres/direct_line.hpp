// The connection past libpq, for exchanges of a few kinds of messages: libpq connects, logs in and does all that is rare. One loop's own.
//
// The two take turns, and neither may be left with what belongs to the other. What has come here is used up before libpq's turn. libpq does
// not tell whether it has read beyond the end of its exchange; the server says nothing unasked there but short messages, which come whole
// and which libpq keeps to itself. Should one ever be split just there, its rest is no message here, and the connection is given up.
#pragma once

#include <sluice/drivers/postgres/protocol.hpp>
#include <sluice/drivers/postgres/wire.hpp>

#include <optional>
#include <string>

namespace sluice::postgres {

class DirectLine {
 public:
  // `wire` outlives it.
  explicit DirectLine(Wire& wire) noexcept : wire_(&wire) {}

  // A new exchange: what is to be sent is put there, then send() is called.
  std::string& begin();
  std::string& out() noexcept { return out_; }
  // What goes without waiting. What cannot be sent any more is forgotten: the server's last words may still be read.
  void send();
  bool unsent() const noexcept { return sent_ < out_.size(); }
  // What has come. Throws ConnectionGone.
  void receive();
  // The next whole message of it. Throws ProtocolError.
  std::optional<Message> next() { return in_.next(); }
  // Nothing is left of what came, not even a part of a message.
  bool used_up() const noexcept { return in_.empty(); }

 private:
  Wire* wire_;
  std::string out_;
  std::size_t sent_ = 0;  // so much of it
  Incoming in_;
};

}  // namespace sluice::postgres
