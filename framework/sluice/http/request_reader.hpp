// Turns received bytes into requests; no I/O, no clock. One per connection: bytes of a following (pipelined) request wait
// inside. Malformed or oversize input ends in `refused`: answer refusal() and close, for the rest of the stream means nothing.
#pragma once

#include <sluice/http/message.hpp>

#include <boost/asio/buffer.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace sluice::http {

class RequestReader {
 public:
  enum class Progress {
    empty,     // nothing of a request has come yet
    header,    // in the middle of the header
    body,      // the header is complete, the body is not
    complete,  // take() it
    refused,
  };

  // Bytes. The header limit also bounds a chunk's header and the trailer.
  RequestReader(std::uint32_t max_header, std::uint64_t max_body);
  ~RequestReader();

  // Room for received bytes, then how many came; then parse().
  boost::asio::mutable_buffer prepare();
  void commit(std::size_t bytes);
  Progress parse();

  // After `complete`: the request, without peer. The reader then stands at the start of the next one.
  Request take();
  // Bytes are waiting that parse() has not seen since take().
  bool has_more() const noexcept;

  // Of the request just parsed or taken.
  bool keep_alive() const noexcept;
  bool is_http_1_0() const noexcept;
  // True once per request: it asked for "100 Continue" and none of its body is here.
  bool wants_continue() noexcept;
  // After `refused`.
  Response refusal() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice::http
