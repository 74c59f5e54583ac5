#include <sluice/http/request_reader.hpp>

#include <sluice/core/text.hpp>
#include <sluice/http/target.hpp>

#include <algorithm>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <optional>

namespace sluice::http {
namespace {

namespace beast = boost::beast;
using boost::system::error_code;

constexpr std::size_t smallest_read = 4 << 10;
constexpr std::size_t largest_read = 64 << 10;
constexpr std::size_t idle_capacity = 16 << 10;  // what a connection between requests may keep
constexpr std::size_t reserve_limit = 64 << 10;  // never trust an announced length with more memory than this

// Beast's grammar, our message: fields and body go straight into the Request.
class Parser final : public beast::http::basic_parser<true> {
 public:
  Parser(std::uint32_t max_header, std::uint64_t max_body) : max_header_(max_header) {
    header_limit(max_header);
    body_limit(max_body);
    eager(true);
  }

  Request request;
  std::string refusal;  // why, if a rule of our own was broken
  unsigned refusal_status = 400;
  bool expects_continue = false;
  bool is_http_1_0 = false;

 private:
  void on_request_impl(beast::http::verb, beast::string_view method, beast::string_view target, int version, error_code& ec) override {
    is_http_1_0 = version < 11;
    request.method.assign(method.data(), method.size());
    request.target.assign(target.data(), target.size());
    count(method.size() + target.size() + 12, ec);
  }

  void on_field_impl(beast::http::field field, beast::string_view name, beast::string_view value, error_code& ec) override {
    if (is_header_done()) return;  // a trailer: nobody asked for it
    count(name.size() + value.size() + 4, ec);
    if (ec) return;
    const auto [it, inserted] = request.headers.try_emplace(std::string(name.data(), name.size()), value.data(), value.size());
    if (inserted) return;
    if (field == beast::http::field::host) return refuse(400, "more than one Host", ec);
    it->second.append(field == beast::http::field::cookie ? "; " : ", ").append(value.data(), value.size());
  }

  void on_header_impl(error_code& ec) override {
    if (!is_http_1_0 && !request.header("Host")) return refuse(400, "the Host header is missing", ec);
    if (const std::string* coding = request.header("Transfer-Encoding"); coding && (is_http_1_0 || !beast::iequals(*coding, "chunked")))
      return refuse(400, "no transfer encoding but chunked is known", ec);
    if (const std::string* expect = request.header("Expect"); expect && !is_http_1_0) {
      if (!beast::iequals(*expect, "100-continue")) return refuse(417, "nothing but 100-continue can be expected", ec);
      expects_continue = true;
    }
    try {
      http::parse_target(request);
    } catch (const HttpError& e) {
      refuse(e.status(), e.what(), ec);
    }
  }

  void on_body_init_impl(const boost::optional<std::uint64_t>& length, error_code&) override {
    if (length) request.body.reserve(std::min<std::uint64_t>(*length, reserve_limit));
  }
  std::size_t on_body_impl(beast::string_view body, error_code&) override { return append(body); }
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view body, error_code&) override { return append(body); }
  void on_response_impl(int, beast::string_view, int, error_code&) override {}
  void on_chunk_header_impl(std::uint64_t, beast::string_view, error_code&) override {}
  void on_finish_impl(error_code&) override {}

  std::size_t append(beast::string_view body) {
    request.body.append(body.data(), body.size());
    return body.size();
  }
  // Beast holds each piece of the header against its limit; the sum counts.
  void count(std::size_t bytes, error_code& ec) {
    header_bytes_ += bytes;
    if (header_bytes_ > max_header_) ec = beast::http::error::header_limit;
  }
  void refuse(unsigned status, std::string reason, error_code& ec) {
    refusal_status = status;
    refusal = std::move(reason);
    ec = beast::http::error::bad_value;
  }

  std::uint32_t max_header_;
  std::size_t header_bytes_ = 0;
};

Response refusal_for(const error_code& ec, const Parser& parser) {
  using beast::http::error;
  if (!parser.refusal.empty()) return Response::error(parser.refusal_status, parser.refusal);
  if (ec == error::body_limit) return Response::error(413, "the body is too large", "body");
  if (ec == error::header_limit) return Response::error(431, "the header is too large");
  if (ec == error::bad_version) return Response::error(505, "HTTP/1.0 and HTTP/1.1 are spoken here");
  return Response::error(400, text("not an HTTP request: ", ec.message()));
}

}  // namespace

struct RequestReader::State {
  State(std::uint32_t header, std::uint64_t body) : max_header(header), max_body(body) {}

  Progress refuse(Response why) {
    refusal = std::move(why);
    return Progress::refused;
  }

  // Clients of old send an empty line after a body; RFC 9112, 2.2 asks to skip it.
  void skip_empty_lines() {
    for (;;) {
      const auto data = buffer.cdata();
      const char* bytes = static_cast<const char*>(data.data());
      if (data.size() < 2 || bytes[0] != '\r' || bytes[1] != '\n') return;
      buffer.consume(2);
    }
  }

  std::uint32_t max_header;
  std::uint64_t max_body;
  beast::flat_buffer buffer;
  std::optional<Parser> parser;  // of the request being read
  std::optional<Response> refusal;
  bool keep_alive = false;
  bool is_http_1_0 = false;
};

RequestReader::RequestReader(std::uint32_t max_header, std::uint64_t max_body) : state_(std::make_unique<State>(max_header, max_body)) {}

RequestReader::~RequestReader() = default;

boost::asio::mutable_buffer RequestReader::prepare() {
  const bool in_body = state_->parser && state_->parser->is_header_done();
  return state_->buffer.prepare(in_body ? largest_read : smallest_read);
}

void RequestReader::commit(std::size_t bytes) { state_->buffer.commit(bytes); }

RequestReader::Progress RequestReader::parse() {
  State& s = *state_;
  if (s.refusal) return Progress::refused;
  if (!s.parser) {
    s.skip_empty_lines();
    if (s.buffer.size() == 0) return Progress::empty;
    s.parser.emplace(s.max_header, s.max_body);
  }
  while (s.buffer.size() > 0 && !s.parser->is_done()) {
    error_code ec;
    const std::size_t consumed = s.parser->put(s.buffer.cdata(), ec);
    s.buffer.consume(consumed);
    if (ec == beast::http::error::need_more) break;
    if (ec) {
      s.is_http_1_0 = s.parser->is_http_1_0;
      return s.refuse(refusal_for(ec, *s.parser));
    }
  }
  if (s.parser->is_done()) {
    s.keep_alive = s.parser->keep_alive();
    s.is_http_1_0 = s.parser->is_http_1_0;
    return Progress::complete;
  }
  if (!s.parser->is_header_done()) return Progress::header;
  // Body bytes are consumed at once: what stays is the header of a chunk or the trailer.
  if (s.buffer.size() > s.max_header) return s.refuse(Response::error(431, "a chunk's header or the trailer is too large"));
  return Progress::body;
}

Request RequestReader::take() {
  State& s = *state_;
  Request request = std::move(s.parser->request);
  s.parser.reset();
  if (s.buffer.size() == 0 && s.buffer.capacity() > idle_capacity) {
    s.buffer.clear();
    s.buffer.shrink_to_fit();
  }
  return request;
}

bool RequestReader::has_more() const noexcept { return state_->buffer.size() > 0; }

bool RequestReader::keep_alive() const noexcept { return state_->keep_alive; }

bool RequestReader::is_http_1_0() const noexcept { return state_->is_http_1_0; }

bool RequestReader::wants_continue() noexcept {
  State& s = *state_;
  if (!s.parser || !s.parser->is_header_done() || !s.parser->request.body.empty() || s.buffer.size() > 0) return false;
  return std::exchange(s.parser->expects_continue, false);
}

Response RequestReader::refusal() const { return *state_->refusal; }

}  // namespace sluice::http
