// Writes the status line and the header of a response. The server owns the framing: a handler's own Connection,
// Content-Length and Transfer-Encoding are not sent, and line breaks in its values become spaces.
#pragma once

#include <sluice/http/message.hpp>

#include <string>

namespace sluice::http {

// 1xx, 204 and 304 never carry a body.
bool carries_body(unsigned status) noexcept;

struct Framing {
  bool close = false;       // say "Connection: close"
  bool is_http_1_0 = false;  // keeping alive must be said
};

// Replaces `out`; its memory is used again.
void write_head(std::string& out, const Response& response, Framing framing);

}  // namespace sluice::http
