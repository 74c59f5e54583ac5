// A worker that serves HTTP on the listener bound by the master. Subclass it and declare routes.
//
// A handler may throw: HttpError gives its own status; a pool without connections, a lost or busy database and a passed
// deadline give 503 with Retry-After; everything else is logged and gives 500. A subclass that overrides start(), run() or
// drain() calls the one here too.
#pragma once

#include <sluice/http/message.hpp>
#include <sluice/http/router.hpp>
#include <sluice/http/server.hpp>
#include <sluice/runtime/worker.hpp>

#include <exception>
#include <optional>
#include <string_view>
#include <utility>

namespace sluice {

using http::HttpError;
using http::Request;
using http::Response;

// 503 for errors that pass by themselves (PoolError, SqlError of a lost or busy database, TimedOut), else nothing.
std::optional<Response> unavailable_response(const std::exception_ptr& error);

class HttpWorker : public Worker {
 public:
  static constexpr std::string_view kind = "web";
  static constexpr bool needs_http_listener = true;

  // Called once before serving: declare routes with get(), post(), ….
  virtual void routes() = 0;

  awaitable<void> start() override;
  awaitable<void> run() override;
  awaitable<void> drain(Deadline deadline) override;

 protected:
  // get("/users/{id}", &MyWorker::user): a member coroutine `awaitable<Response> user(Request)`.
  template <class W>
  void get(std::string_view pattern, awaitable<Response> (W::*handler)(Request)) { route("GET", pattern, handler); }
  template <class W>
  void post(std::string_view pattern, awaitable<Response> (W::*handler)(Request)) { route("POST", pattern, handler); }
  template <class W>
  void put(std::string_view pattern, awaitable<Response> (W::*handler)(Request)) { route("PUT", pattern, handler); }
  template <class W>
  void del(std::string_view pattern, awaitable<Response> (W::*handler)(Request)) { route("DELETE", pattern, handler); }
  template <class W>
  void route(std::string_view method, std::string_view pattern, awaitable<Response> (W::*handler)(Request)) {
    W* self = static_cast<W*>(this);
    add_route(method, pattern, [self, handler](Request request) { return (self->*handler)(std::move(request)); });
  }
  void add_route(std::string_view method, std::string_view pattern, http::Handler handler);

 private:
  http::Router router_;
  std::optional<http::Server> server_;
};

}  // namespace sluice
