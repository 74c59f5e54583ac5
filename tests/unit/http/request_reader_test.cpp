#include <sluice/core/text.hpp>
#include <sluice/http/request_reader.hpp>

#include <cstring>
#include <doctest/doctest.h>

using namespace sluice::http;
using Progress = RequestReader::Progress;

namespace {

Progress feed(RequestReader& reader, std::string_view bytes, std::size_t piece = std::string_view::npos) {
  Progress progress = reader.parse();
  while (!bytes.empty() && progress != Progress::refused) {
    const auto room = reader.prepare();
    const std::size_t n = std::min({bytes.size(), piece, room.size()});
    std::memcpy(room.data(), bytes.data(), n);
    reader.commit(n);
    bytes.remove_prefix(n);
    progress = reader.parse();
    if (progress == Progress::complete && piece != std::string_view::npos && !bytes.empty()) return progress;
  }
  return progress;
}

unsigned refused_with(std::string_view bytes, std::size_t piece = std::string_view::npos) {
  RequestReader reader(256, 10);
  if (feed(reader, bytes, piece) != Progress::refused) return 0;
  return reader.refusal().status;
}

}  // namespace

TEST_CASE("A request is the same whether it comes at once or byte by byte") {
  const std::string bytes = "POST /a?b=c HTTP/1.1\r\nHost: h\r\nX: 1\r\nx: 2\r\nContent-Length: 5\r\n\r\nhello";
  for (const std::size_t piece : {std::string_view::npos, std::size_t{1}, std::size_t{7}}) {
    RequestReader reader(1024, 1024);
    REQUIRE(feed(reader, bytes, piece) == Progress::complete);
    const Request request = reader.take();
    CHECK(request.method == "POST");
    CHECK(request.path_text == "/a");
    CHECK(request.query<std::string>("b") == "c");
    CHECK(*request.header("X") == "1, 2");
    CHECK(request.body == "hello");
    CHECK(reader.keep_alive());
    CHECK_FALSE(reader.has_more());
    CHECK(reader.parse() == Progress::empty);
  }
}

TEST_CASE("Pipelined requests come out one after the other, empty lines between them skipped") {
  RequestReader reader(1024, 1024);
  REQUIRE(feed(reader, "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n") == Progress::complete);
  CHECK(reader.take().target == "/1");
  CHECK(reader.keep_alive());
  CHECK(reader.has_more());
  REQUIRE(reader.parse() == Progress::complete);
  CHECK(reader.take().target == "/2");
  CHECK_FALSE(reader.keep_alive());
  CHECK(reader.parse() == Progress::empty);
}

TEST_CASE("A chunked body is put together, its trailer ignored") {
  const std::string bytes =
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n4\r\ndefg\r\n0\r\nX-Trailer: t\r\n\r\n";
  for (const std::size_t piece : {std::string_view::npos, std::size_t{1}}) {
    RequestReader reader(1024, 1024);
    REQUIRE(feed(reader, bytes, piece) == Progress::complete);
    const Request request = reader.take();
    CHECK(request.body == "abcdefg");
    CHECK_FALSE(request.header("X-Trailer"));
  }
}

TEST_CASE("What breaks the grammar is refused") {
  for (const std::string_view bytes : {
           "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",               // TLS
           "nonsense\r\n\r\n",                                          //
           "GET /\x01 HTTP/1.1\r\nHost: h\r\n\r\n",                     // a control character in the target
           "GET / HTTP/1.1\r\n\r\n",                                    // no Host
           "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",              //
           "GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n",                      //
           "GET / HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n",             //
           "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n",   //
           "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
       }) {
    CAPTURE(bytes);
    CHECK(refused_with(bytes) == 400);
  }
  CHECK(refused_with("GET / HTTP/2.0\r\nHost: h\r\n\r\n") == 505);
  CHECK(refused_with("GET / HTTP/1.1\r\nHost: h\r\nExpect: cake\r\n\r\n") == 417);
}

TEST_CASE("A body over the limit is refused by its announced length, or as soon as its chunks exceed it") {
  CHECK(refused_with("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n") == 413);
  CHECK(refused_with("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n5\r\n") == 413);
  CHECK(refused_with("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n") == 413);
  RequestReader reader(256, 10);
  CHECK(feed(reader, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n0123456789") == Progress::complete);
}

TEST_CASE("A header over the limit is refused however it is cut into pieces") {
  const std::string long_value = "GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(300, 'x') + "\r\n\r\n";
  std::string many_fields = "GET / HTTP/1.1\r\nHost: h\r\n";
  for (int i = 0; i < 40; ++i) many_fields += sluice::text("X", i, ": y\r\n");
  const std::string long_target = "GET /" + std::string(300, 'x');
  const std::string long_chunk = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;" + std::string(9000, 'x');
  for (const std::size_t piece : {std::string_view::npos, std::size_t{1}, std::size_t{9}}) {
    CHECK(refused_with(long_value, piece) == 431);
    CHECK(refused_with(many_fields + "\r\n", piece) == 431);
    CHECK(refused_with(long_target, piece) == 431);
    CHECK(refused_with(long_chunk, piece) == 431);
  }
}

TEST_CASE("100 Continue is wanted once, and only while no byte of the body is here") {
  RequestReader reader(1024, 1024);
  REQUIRE(feed(reader, "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n") == Progress::body);
  CHECK(reader.wants_continue());
  CHECK_FALSE(reader.wants_continue());
  CHECK(feed(reader, "ab") == Progress::complete);
  RequestReader eager(1024, 1024);
  REQUIRE(feed(eager, "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\na") == Progress::body);
  CHECK_FALSE(eager.wants_continue());
}
