#include "web.hpp"

#include "options.hpp"
#include "report.hpp"
#include "schema.hpp"
#include "store.hpp"

#include <sluice/core/text.hpp>

#include <unistd.h>

namespace orders {
namespace {

using nlohmann::json;
using sluice::awaitable;
using sluice::HttpError;
using sluice::Request;
using sluice::Response;

}  // namespace

void Web::routes() {
  get("/", &Web::index);
  get("/ping", &Web::ping);
  get("/users/{id}", &Web::user);
  post("/orders", &Web::place_order);
  get("/orders/{id}", &Web::order);
  get("/report", &Web::report);
}

awaitable<void> Web::start() {
  report_deadline_ = duration_option(context().config(), "report_deadline", report_deadline_);
  if (db().dialect() == sluice::sql::Dialect::postgres) job_channel_ = job_channel(context().config());
  db().on_first_use(postgres_schema(), sqlite_schema(), mysql_schema());
  co_await HttpWorker::start();
}

awaitable<Response> Web::index(Request) {
  co_return Response::json(
      {{"application", "orders"},
       {"worker", context().slot()},
       {"addresses",
        {"GET /ping", "GET /users/{id}", "POST /orders {\"user\": 1, \"item\": \"book\", \"quantity\": 2, \"amount_cents\": 1990}",
         "GET /orders/{id}", "GET /report?seconds=2"}}});
}

awaitable<Response> Web::ping(Request) { co_return Response::json({{"pong", true}, {"worker", context().slot()}, {"pid", ::getpid()}}); }

awaitable<Response> Web::user(Request request) {
  const auto id = request.path<std::int64_t>("id");
  const sluice::sql::Rows rows = co_await db().query("SELECT id, name, email FROM users WHERE id = $1", id);
  if (rows.empty()) throw HttpError(404, "there is no such user", "id");
  json out;
  out["id"] = id;
  out["name"] = rows[0]["name"].as<std::string>();
  out["email"] = rows[0]["email"].as<std::string>();
  out["worker"] = context().slot();
  co_return Response::json(std::move(out));
}

awaitable<Response> Web::place_order(Request request) {
  const json body = request.json();
  NewOrder order = parse_order(body);
  std::optional<std::string> key = parse_idempotency_key(request);
  const Placed placed = co_await place(db(), std::move(order), std::move(key), job_channel_);
  json out = to_json(placed.order);
  out["worker"] = context().slot();
  Response response = Response::json(std::move(out), placed.repeated ? 200 : 201);
  response.headers.emplace("Location", sluice::text("/orders/", placed.order.id));
  co_return response;
}

awaitable<Response> Web::order(Request request) {
  const auto id = request.path<std::int64_t>("id");
  const std::optional<Order> found = co_await find(db(), id);
  if (!found) throw HttpError(404, "there is no such order", "id");
  json out = to_json(*found);
  out["worker"] = context().slot();
  co_return Response::json(std::move(out));
}

awaitable<Response> Web::report(Request request) {
  const double seconds = request.query<double>("seconds", 2.0);
  if (!(seconds >= 0 && seconds <= 3600)) throw HttpError(400, "must be between 0 and 3600", "seconds");
  const Report report = co_await make_report(db(), seconds, report_deadline_);
  co_return Response::json({{"orders", report.orders}, {"amount_cents", report.amount_cents}, {"worker", context().slot()}});
}

}  // namespace orders
