#include <sluice/http/router.hpp>

#include <doctest/doctest.h>
#include <optional>
#include <stdexcept>

using namespace sluice;
using namespace sluice::http;

namespace {

awaitable<void> store(const Router& router, Request request, std::optional<Response>& out) { out = co_await router.handle(std::move(request)); }

Response ask(const Router& router, std::string method, std::string target) {
  asio::io_context loop;
  Request request;
  request.method = std::move(method);
  request.target = std::move(target);
  std::optional<Response> response;
  asio::co_spawn(loop, store(router, std::move(request), response), asio::detached);
  loop.run();
  REQUIRE(response);
  return *response;
}

Handler says(std::string name) {
  return [name](Request request) -> awaitable<Response> {
    std::string body = name;
    for (const auto& [key, value] : request.path_parameters) body += " " + key + "=" + value;
    return [](std::string text) -> awaitable<Response> { co_return Response::text(std::move(text)); }(std::move(body));
  };
}

template <class E>
Handler throws(E error) {
  return [error](Request) -> awaitable<Response> { return [](E e) -> awaitable<Response> { throw e; co_return Response(); }(error); };
}

struct Custom : std::runtime_error {
  using runtime_error::runtime_error;
};

}  // namespace

TEST_CASE("Literals win over parameters, and a parameter steps in where the literal leads nowhere") {
  Router router;
  router.add("GET", "/users/{id}", says("user"));
  router.add("GET", "/users/me", says("me"));
  router.add("GET", "/users/{id}/orders/{order}", says("order"));
  router.add("DELETE", "/users/{who}", says("delete"));
  CHECK(ask(router, "GET", "/users/7").body == "user id=7");
  CHECK(ask(router, "GET", "/users/me").body == "me");
  CHECK(ask(router, "GET", "/users/me/orders/3?x=1").body == "order id=me order=3");
  CHECK(ask(router, "DELETE", "/users/me").body == "delete who=me");
  CHECK(ask(router, "GET", "/users/a%2Fb%20c").body == "user id=a/b c");
}

TEST_CASE("An unknown path is 404, an empty parameter included") {
  Router router;
  router.add("GET", "/users/{id}", says("user"));
  for (const char* target : {"/", "/users", "/users/", "/users/7/", "/users/7/x", "*", "//users/7"}) CHECK(ask(router, "GET", target).status == 404);
}

TEST_CASE("A known path with another method is 405 and says what is allowed") {
  Router router;
  router.add("GET", "/a", says("get"));
  router.add("POST", "/a", says("post"));
  const Response response = ask(router, "PUT", "/a");
  CHECK(response.status == 405);
  CHECK(response.headers.at("Allow") == "GET, HEAD, POST");
}

TEST_CASE("HEAD is served by GET unless it has a route of its own") {
  Router router;
  router.add("GET", "/a", says("get"));
  router.add("GET", "/b", says("get"));
  router.add("HEAD", "/b", says("head"));
  CHECK(ask(router, "HEAD", "/a").body == "get");
  CHECK(ask(router, "HEAD", "/b").body == "head");
}

TEST_CASE("Exceptions become responses: HttpError by itself, others by the mapping, the rest 500 without details") {
  Router router;
  router.add("GET", "/http", throws(HttpError(409, "taken", "name")));
  router.add("GET", "/custom", throws(Custom("secret")));
  router.add("GET", "/other", throws(std::runtime_error("secret")));
  router.on_error([](const std::exception_ptr& error) -> std::optional<Response> {
    try {
      std::rethrow_exception(error);
    } catch (const Custom&) {
      return Response::error(503, "custom");
    } catch (...) {
      return std::nullopt;
    }
  });
  CHECK(ask(router, "GET", "/http").body == R"({"error":{"field":"name","reason":"taken"}})");
  CHECK(ask(router, "GET", "/http").status == 409);
  CHECK(ask(router, "GET", "/custom").status == 503);
  const Response other = ask(router, "GET", "/other");
  CHECK(other.status == 500);
  CHECK(other.body.find("secret") == std::string::npos);
}

TEST_CASE("Malformed patterns and routes that exist are refused with a reason") {
  Router router;
  router.add("GET", "/users/{id}", says("user"));
  for (const char* pattern : {"", "users", "/a{b}", "/{a}{b}", "/{}", "/{a}/{a}", "/users/{other}"}) {
    CAPTURE(pattern);
    CHECK_THROWS_AS(router.add("GET", pattern, says("x")), Error);
  }
}
