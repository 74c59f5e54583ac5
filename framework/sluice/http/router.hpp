// Maps method and path pattern ("/users/{id}") to a handler. Literal segments win over parameters. Unknown path: 404;
// known path with another method: 405 with Allow. HEAD is served by GET. Not thread-safe; filled before serving.
#pragma once

#include <sluice/core/asio.hpp>
#include <sluice/http/message.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace sluice::http {

using Handler = std::function<awaitable<Response>(Request)>;

class Router {
 public:
  Router();
  Router(Router&&) noexcept;
  ~Router();
  // Throws sluice::Error for a malformed pattern or a route that exists.
  void add(std::string_view method, std::string_view pattern, Handler handler);
  // Never throws: turns HttpError and every other exception into a response (other exceptions: 500 without details, logged).
  awaitable<Response> handle(Request request) const;

 private:
  struct Node;
  std::unique_ptr<Node> root_;
};

}  // namespace sluice::http
