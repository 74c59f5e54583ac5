// Maps method and path pattern ("/users/{id}") to a handler. Literal segments win over parameters; a parameter takes one
// non-empty segment, percent-decoded. Unknown path: 404; known path with another method: 405 with Allow. HEAD is served
// by GET. Not thread-safe; filled before serving.
#pragma once

#include <sluice/core/asio.hpp>
#include <sluice/http/message.hpp>

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::http {

using Handler = std::function<awaitable<Response>(Request)>;
// Turns a handler's exception into a response, or leaves it (nothing) to the router's own rule. Must not throw.
using ErrorMapping = std::function<std::optional<Response>(const std::exception_ptr&)>;

class Router {
 public:
  Router();
  Router(Router&&) noexcept;
  ~Router();
  // Throws sluice::Error for a malformed pattern or a route that exists.
  void add(std::string_view method, std::string_view pattern, Handler handler);
  // Asked about every exception that is no HttpError: how modules above this one give their errors a status.
  void on_error(ErrorMapping mapping);
  // Turns HttpError and every other exception into a response (other exceptions: 500 without details, logged). The route is found, and a handler
  // that is no coroutine runs, in the call; the rest when the result is awaited.
  awaitable<Response> handle(Request request) const;

 private:
  struct Node;
  struct Match;
  Match match(const Request& request) const;
  awaitable<Response> answer_of(Request request) const;
  awaitable<Response> guarded(awaitable<Response> answer, std::string what) const;
  Response error_response(const std::exception_ptr& error, const std::string& what) const;

  std::unique_ptr<Node> root_;
  ErrorMapping on_error_;
};

}  // namespace sluice::http
