#include <sluice/workers/http.hpp>

#include <sluice/core/log.hpp>
#include <sluice/core/text.hpp>
#include <sluice/pool/error.hpp>
#include <sluice/sql/error.hpp>

namespace sluice {
namespace {

http::Limits limits_of(const config::Http& options) {
  http::Limits limits;
  limits.max_body = options.max_body;
  limits.max_header = options.max_header;
  limits.max_connections = options.max_connections;
  limits.header_timeout = options.header_timeout;
  limits.body_timeout = options.body_timeout;
  limits.request_timeout = options.request_timeout;
  limits.keep_alive_timeout = options.keep_alive_timeout;
  limits.drain_idle = options.drain_idle;
  return limits;
}

void change(shm::Cell& gauge, int delta) noexcept { gauge.set_signed(gauge.get_signed() + delta); }

// The slot's block outlives every life in it.
http::Observer observer_of(shm::Slot& slot) {
  http::Observer observer;
  observer.finished = [&slot](unsigned status, std::int64_t nanos) {
    slot.requests.add();
    if (status >= 500) slot.request_errors.add();
    slot.request_seconds.record(static_cast<std::uint64_t>(nanos));
  };
  observer.in_flight = [&slot](int delta) { change(slot.requests_in_flight, delta); };
  observer.connections = [&slot](int delta) { change(slot.client_connections, delta); };
  return observer;
}

Response try_again(const std::string& reason) {
  Response response = Response::error(503, reason);
  response.headers.emplace("Retry-After", "1");
  return response;
}

bool passes_by_itself(const sql::SqlError& error) noexcept {
  if (error.phase() == sql::Phase::connect || error.phase() == sql::Phase::lost) return true;
  switch (error.error_class()) {
    case sql::Class::connection:
    case sql::Class::busy:
    case sql::Class::serialization_failure:
    case sql::Class::deadlock:
    case sql::Class::cancelled: return true;
    default: return false;
  }
}

}  // namespace

std::optional<Response> unavailable_response(const std::exception_ptr& error) {
  // Clients learn that and why in a word; addresses and numbers go to the log only, and not at a level that a dead
  // database would flood.
  try {
    std::rethrow_exception(error);
  } catch (const pool::PoolError& e) {
    log::debug(e.what());
    return try_again(text("no database connection: ", to_text(e.phase())));
  } catch (const sql::SqlError& e) {
    if (!passes_by_itself(e)) return std::nullopt;
    log::debug(e.what());
    return try_again("the database could not complete the request");
  } catch (const TimedOut& e) {
    log::debug(e.what());
    return try_again("the deadline passed");
  } catch (...) {
    return std::nullopt;
  }
}

awaitable<void> HttpWorker::start() {
  router_.on_error(unavailable_response);
  routes();
  http::Server server(context().loop(), [this](Request request) { return router_.handle(std::move(request)); }, limits_of(context().config().http),
                      observer_of(context().statistics()));
  server_.emplace(std::move(server));
  co_return;
}

awaitable<void> HttpWorker::run() {
  const int listener = context().listener("http");
  if (listener < 0) throw Error(text("worker kind ", context().kind(), " has no HTTP listener: its class must say needs_http_listener = true"));
  server_->listen(listener);
  co_await context().until_draining();
}

awaitable<void> HttpWorker::drain(Deadline deadline) {
  if (!server_) co_return;
  const bool done = co_await server_->drain(deadline);
  if (!done) log::warning("http: some requests were not done by the deadline and have been given up");
}

void HttpWorker::add_route(std::string_view method, std::string_view pattern, http::Handler handler) {
  router_.add(method, pattern, std::move(handler));
}

}  // namespace sluice
