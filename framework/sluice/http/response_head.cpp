#include <sluice/http/response_head.hpp>

#include <sluice/core/text.hpp>

#include <algorithm>

namespace sluice::http {
namespace {

bool same(std::string_view a, std::string_view b) noexcept {
  const CaseInsensitiveLess less;
  return a.size() == b.size() && !less(a, b) && !less(b, a);
}

bool is_framing(std::string_view name) noexcept {
  return same(name, "Connection") || same(name, "Content-Length") || same(name, "Transfer-Encoding") || same(name, "Keep-Alive");
}

// RFC 9110, 5.6.2.
bool is_token(std::string_view name) noexcept {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

void append_value(std::string& out, std::string_view value) {
  for (const char c : value) out += c == '\r' || c == '\n' || c == '\0' ? ' ' : c;
}

}  // namespace

bool carries_body(unsigned status) noexcept { return status >= 200 && status != 204 && status != 304; }

void write_head(std::string& out, const Response& response, Framing framing) {
  using sluice::detail::append;
  out.assign("HTTP/1.1 ");
  append(out, response.status);
  out += ' ';
  out += reason_phrase(response.status);
  out += "\r\n";
  bool server_named = false;
  for (const auto& [name, value] : response.headers) {
    if (is_framing(name) || !is_token(name)) continue;
    server_named = server_named || same(name, "Server");
    out += name;
    out += ": ";
    append_value(out, value);
    out += "\r\n";
  }
  if (!server_named) out += "Server: sluice\r\n";
  if (carries_body(response.status)) {
    out += "Content-Length: ";
    append(out, response.body.size());
    out += "\r\n";
  }
  if (framing.close) out += "Connection: close\r\n";
  else if (framing.is_http_1_0) out += "Connection: keep-alive\r\n";
  out += "\r\n";
}

}  // namespace sluice::http
