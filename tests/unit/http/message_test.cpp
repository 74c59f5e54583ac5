#include <sluice/http/message.hpp>
#include <sluice/http/response_head.hpp>
#include <sluice/http/target.hpp>

#include <doctest/doctest.h>

using namespace sluice::http;

namespace {

HttpError error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const HttpError& e) {
    return e;
  }
  return HttpError(0, "no error");
}

Request with_parameter(std::string value) {
  Request request;
  request.path_parameters["id"] = std::move(value);
  return request;
}

}  // namespace

TEST_CASE("A parameter is converted to the asked type") {
  CHECK(with_parameter("42").path<int>("id") == 42);
  CHECK(with_parameter("-7").path<std::int64_t>("id") == -7);
  CHECK(with_parameter("2.5").path<double>("id") == 2.5);
  CHECK(with_parameter("true").path<bool>("id"));
  CHECK(with_parameter("x y").path<std::string>("id") == "x y");
}

TEST_CASE("A parameter that cannot be converted is a 400 that names the field and the reason") {
  for (const auto& [value, reason] : {std::pair("4x", "must be an integer"), {"", "must be an integer"}, {"99999999999", "is out of range"}}) {
    const HttpError error = error_of([&, v = value] { with_parameter(v).path<int>("id"); });
    CHECK(error.status() == 400);
    CHECK(error.field() == "id");
    CHECK(error.what() == std::string(reason));
  }
  CHECK(error_of([] { Request().query<int>("page"); }).what() == std::string("is missing"));
  CHECK(Request().query<int>("page", 3) == 3);
}

TEST_CASE("A body that is no JSON is a 400 that tells where the mistake is") {
  Request request;
  CHECK(error_of([&] { request.json(); }).what() == std::string("is empty; JSON is expected"));
  request.body = "{\"a\": }";
  const HttpError error = error_of([&] { request.json(); });
  CHECK(error.status() == 400);
  CHECK(error.field() == "body");
  CHECK(std::string(error.what()).find("byte 7") != std::string::npos);
  request.body = "\"\xff\"";
  CHECK(error_of([&] { request.json(); }).status() == 400);
  request.body = "1e999";
  CHECK(error_of([&] { request.json(); }).status() == 400);
}

TEST_CASE("Header names are compared without case") {
  Request request;
  request.headers["Content-Type"] = "text/plain";
  REQUIRE(request.header("content-TYPE"));
  CHECK(*request.header("content-TYPE") == "text/plain");
  CHECK_FALSE(request.header("Content"));
}

TEST_CASE("Broken UTF-8 in a JSON response is replaced instead of thrown") {
  const Response response = Response::json({{"name", "a\xff"}});
  CHECK(response.body == "{\"name\":\"a\xef\xbf\xbd\"}");
}

TEST_CASE("An error response carries the reason and, if there is one, the field") {
  CHECK(Response::error(404, "gone").body == R"({"error":{"reason":"gone"}})");
  CHECK(Response::error(400, "is missing", "item").body == R"({"error":{"field":"item","reason":"is missing"}})");
}

TEST_CASE("Targets are decoded, with plus as space only in the query") {
  Request request;
  request.target = "http://host:80/a+b/%C3%BC?x=1+2&x=3%2B4&flag&=none#part";
  parse_target(request);
  CHECK(request.path_text == "/a+b/\xc3\xbc");
  CHECK(request.query<std::string>("x") == "3+4");
  CHECK(request.query<std::string>("flag").empty());
  request.target = "/a?q=%2";
  CHECK(error_of([&] { parse_target(request); }).status() == 400);
  request.target = "/a%00";
  CHECK(error_of([&] { parse_target(request); }).status() == 400);
}

TEST_CASE("The response head is framed by the server and cannot be split by a handler") {
  Response response = Response::text("four");
  response.headers["X-Note"] = "a\r\nSet-Cookie: b";
  response.headers["Content-Length"] = "999";
  response.headers["Bad Name"] = "x";
  std::string head;
  write_head(head, response, Framing{true, false});
  CHECK(head ==
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nX-Note: a  Set-Cookie: b\r\nServer: sluice\r\n"
        "Content-Length: 4\r\nConnection: close\r\n\r\n");
  write_head(head, Response::status_only(204), Framing{false, true});
  CHECK(head == "HTTP/1.1 204 No Content\r\nServer: sluice\r\nConnection: keep-alive\r\n\r\n");
}
