#include <sluice/admin/api.hpp>

#include <sluice/admin/command.hpp>
#include <sluice/admin/health.hpp>
#include <sluice/admin/metrics.hpp>
#include <sluice/admin/page.hpp>
#include <sluice/admin/presentable.hpp>
#include <sluice/admin/statements.hpp>
#include <sluice/admin/views.hpp>
#include <sluice/admin/what_if.hpp>
#include <sluice/core/log.hpp>
#include <sluice/core/text.hpp>

namespace sluice::admin {
namespace {

awaitable<http::Response> respond(std::function<http::Response()> render) { co_return render(); }
awaitable<http::Response> respond_with(http::Response response) { co_return response; }

http::Response probe(Verdict verdict) {
  http::Response response = http::Response::json(std::move(verdict.body), verdict.ok ? 200 : 503);
  response.headers["Cache-Control"] = "no-store";
  return response;
}

// Takes the same time wherever the first difference is.
bool equal_secret(std::string_view a, std::string_view b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned>(static_cast<unsigned char>(a[i] ^ b[i % b.size()]));
  return difference == 0;
}

bool carries_token(const http::Request& request, const std::string& token) {
  constexpr std::string_view scheme = "Bearer ";
  const std::string* value = request.header("Authorization");
  return value && value->size() > scheme.size() && value->compare(0, scheme.size(), scheme) == 0 &&
         equal_secret(std::string_view(*value).substr(scheme.size()), token);
}

}  // namespace

Api::Api(const shm::Segment& segment, const config::Config& config, MasterChannel& master, UsageReader usage)
    : segment_(segment), config_(config), master_(master), usage_(std::move(usage)), pools_(segment) {
  using http::Response;
  get("/", [] { return status_page(); });
  get("/api/status", [this] { return Response::json(status_view(segment_, now_nanos(), usage_)); });
  get("/api/workers", [this] { return Response::json(workers_view(segment_, now_nanos(), usage_)); });
  get("/api/pools", [this] { return Response::json(pools_view(segment_, &pools_, now_nanos())); });
  get("/api/permits", [this] { return Response::json(permits_view(segment_, now_nanos())); });
  get("/api/statements", [this] { return Response::json(statements_view(segment_, now_nanos())); });
  router_.add("GET", "/api/budget", [this](http::Request request) { return budget(std::move(request)); });
  get("/metrics", [this] {
    Response response = Response::text(metrics(segment_, now_nanos(), usage_));
    response.headers["Content-Type"] = metrics_content_type;
    return response;
  });
  get("/livez", [this] { return probe(liveness(segment_, now_nanos())); });
  get("/readyz", [this] { return probe(readiness(segment_)); });
  get("/startupz", [this] { return probe(startup(segment_)); });
  get("/health", [this] { return probe(health(segment_, now_nanos(), config_.heartbeat.hang_timeout, &pools_)); });
  router_.add("POST", "/api/budget", [this](http::Request request) { return set_budget(std::move(request)); });
  router_.add("POST", "/api/scale", [this](http::Request request) { return scale(std::move(request)); });
  router_.add("POST", "/api/restart", [this](http::Request request) { return restart(std::move(request)); });
  router_.add("POST", "/api/stop", [this](http::Request request) { return stop(std::move(request)); });
}

void Api::get(const char* path, std::function<http::Response()> render) {
  router_.add("GET", path, [render = std::move(render)](http::Request) { return respond(render); });
}

awaitable<http::Response> Api::trusted(http::Request request) { return router_.handle(std::move(request)); }

awaitable<http::Response> Api::guarded(http::Request request) {
  if (request.method != "GET" && request.method != "HEAD") {
    if (config_.admin.token.empty())
      return respond_with(error_response(
          403, "the admin address is read-only: use the control socket (ctl), or configure admin.token and send it as \"Authorization: Bearer …\"",
          to_int(ExitCode::usage)));
    if (!carries_token(request, config_.admin.token)) {
      http::Response response =
          error_response(401, "this needs the configured admin.token, sent as \"Authorization: Bearer …\"", to_int(ExitCode::usage));
      response.headers["WWW-Authenticate"] = "Bearer";
      return respond_with(std::move(response));
    }
  }
  return trusted(std::move(request));
}

awaitable<http::Response> Api::budget(http::Request request) {
  WhatIf what_if;
  for (const auto& [name, value] : request.query_parameters) {
    if (name != "workers" && name != "instances")
      co_return error_response(400, text("unknown parameter \"", name, "\"; there are workers and instances"), to_int(ExitCode::usage));
    std::uint32_t number = 0;
    try {
      number = request.query<std::uint32_t>(name);
    } catch (const http::HttpError& e) {
      co_return error_response(400, text(name, "=", presentable(value), " ", e.what()), to_int(ExitCode::usage));
    }
    if (number == 0 || number > 100000) co_return error_response(400, text(name, "=", number, " must be between 1 and 100000"), to_int(ExitCode::usage));
    (name == "workers" ? what_if.workers : what_if.instances) = number;
  }
  co_return http::Response::json(budget_view(segment_, what_if));
}

awaitable<http::Response> Api::set_budget(http::Request request) {
  shm::Message message;
  try {
    message = budget_command(segment_, request.json());
  } catch (const ExitError& e) {
    co_return error_response(400, e.what(), to_int(e.code()));
  } catch (const http::HttpError& e) {
    co_return error_response(e.status(), e.what(), to_int(ExitCode::usage));
  }
  const char* server = segment_.servers()[message.slot].name;
  log::info(text("budget of '", server, "' to ", message.value == 0 ? std::string("what is configured") : std::to_string(message.value), ", asked from ", request.peer));
  nlohmann::json answer = {{"server", server}};
  co_return co_await command(message, std::move(answer));
}

awaitable<http::Response> Api::scale(http::Request request) {
  shm::Message message;
  try {
    message = scale_command(segment_, request.json());
  } catch (const ExitError& e) {
    co_return error_response(400, e.what(), to_int(e.code()));
  } catch (const http::HttpError& e) {
    co_return error_response(e.status(), e.what(), to_int(ExitCode::usage));
  }
  log::info(text("scale ", segment_.kind_name(message.slot), message.flag ? " by " : " to ", message.value, ", asked from ", request.peer));
  nlohmann::json answer = {{"kind", segment_.kind_name(message.slot)}};
  co_return co_await command(message, std::move(answer));
}

awaitable<http::Response> Api::restart(http::Request request) {
  shm::Message message;
  try {
    message = restart_command(segment_, request.body.empty() ? nlohmann::json() : request.json());
  } catch (const ExitError& e) {
    co_return error_response(400, e.what(), to_int(e.code()));
  } catch (const http::HttpError& e) {
    co_return error_response(e.status(), e.what(), to_int(ExitCode::usage));
  }
  log::info(text("rolling restart, asked from ", request.peer));
  nlohmann::json answer = nlohmann::json::object();
  co_return co_await command(message, std::move(answer));
}

awaitable<http::Response> Api::stop(http::Request request) {
  shm::Message message;
  try {
    message = stop_command(request.body.empty() ? nlohmann::json() : request.json());
  } catch (const ExitError& e) {
    co_return error_response(400, e.what(), to_int(e.code()));
  } catch (const http::HttpError& e) {
    co_return error_response(e.status(), e.what(), to_int(ExitCode::usage));
  }
  log::info(text(message.flag ? "fast" : "graceful", " stop, asked from ", request.peer));
  nlohmann::json answer = {{"graceful_timeout_ms", to_millis(config_.graceful_timeout)}};
  co_return co_await command(message, std::move(answer));
}

awaitable<http::Response> Api::command(shm::Message message, nlohmann::json answer) {
  try {
    const shm::Message reply = co_await master_.ask(message, command_timeout);
    const std::string said = presentable(reply.get_text());
    const int code = static_cast<int>(reply.value);
    if (code != 0) co_return error_response(status_for(code), said.empty() ? "the master refused" : said, code);
    answer["text"] = said;
    if (message.type == shm::MessageType::restart) answer["rollout"] = reply.generation;
    co_return http::Response::json(std::move(answer));
  } catch (const TimedOut& e) {
    co_return error_response(504, e.what(), to_int(ExitCode::temporary));
  } catch (const ExitError& e) {
    co_return error_response(503, e.what(), to_int(e.code()));
  }
}

}  // namespace sluice::admin
