#include <sluice/core/log.hpp>
#include <sluice/http/client.hpp>
#include <sluice/http/server.hpp>
#include <sluice/pool/error.hpp>
#include <sluice/runtime/worker_life.hpp>
#include <sluice/shm/segment.hpp>
#include <sluice/sql/error.hpp>
#include <sluice/workers/http.hpp>

#include <doctest/doctest.h>
#include <future>
#include <stdexcept>
#include <thread>

using namespace sluice;

namespace {

template <class E>
std::optional<Response> mapped(const E& error) {
  return unavailable_response(std::make_exception_ptr(error));
}

sql::SqlError sql_error(sql::Phase phase, sql::Class error_class) { return sql::SqlError(phase, error_class, "", 0, "host db7 said no"); }

class Sample : public HttpWorker {
 public:
  void routes() override {
    get("/slot", &Sample::slot);
    get("/exhausted", &Sample::exhausted);
    get("/broken", &Sample::broken);
    post("/echo", &Sample::echo);
  }
  awaitable<Response> slot(Request) { co_return Response::json({{"worker", context().slot()}}); }
  awaitable<Response> echo(Request request) { co_return Response::text(std::move(request.body)); }
  awaitable<Response> exhausted(Request) {
    throw pool::PoolError(pool::Phase::wait_timeout, "no connection", {}, "host db7 said no");
    co_return Response();
  }
  awaitable<Response> broken(Request) {
    throw std::runtime_error("on purpose");
    co_return Response();
  }
};

// Two coroutines of its own throw in one turn of the loop.
class TwiceRefused : public Worker {
 public:
  awaitable<void> start() override {
    const auto executor = co_await asio::this_coro::executor;
    const auto rethrow = [](const std::exception_ptr& failure) { std::rethrow_exception(failure); };
    asio::co_spawn(executor, refuse("the first reason"), rethrow);
    asio::co_spawn(executor, refuse("the second reason"), rethrow);
  }

 private:
  static awaitable<void> refuse(const char* why) {
    throw ExitError(ExitCode::config, why);
    co_return;
  }
};

// One life of a worker on a thread of its own, without pools.
class Life {
 public:
  explicit Life(std::unique_ptr<Worker> (*make)(), bool with_listener = true)
      : segment_(shm::Segment::create({.instance = "test", .application = "test", .max_workers = 4, .kinds = {"web"}, .servers = {}, .pools = {}})),
        listener_(http::bind_listener("127.0.0.1:0", "http.listen")) {
    config_.http.max_body = 100;
    config_.http.drain_idle = 50ms;
    runtime::LifeInputs inputs;
    inputs.segment = &segment_;
    inputs.config = &config_;
    inputs.slot = 3;
    inputs.generation = 1;
    inputs.kind_name = "web";
    inputs.make = make;
    if (with_listener) inputs.listeners = {{"http", listener_.get()}};
    life_ = std::make_unique<runtime::WorkerLife>(std::move(inputs));
    outcome_ = std::async(std::launch::async, [this] { return life_->run(); });
  }
  ~Life() {
    if (outcome_.valid()) end();
  }

  Response fetch(const std::string& method, const std::string& target, const std::string& body = {}) const {
    return http::fetch(http::local_address(listener_.get()), method, target, body, 10s);
  }
  runtime::LifeOutcome end() {
    life_->request_drain();
    return outcome_.get();
  }
  runtime::LifeOutcome outcome() { return outcome_.get(); }
  const shm::Slot& statistics() const { return segment_.slots()[3]; }

 private:
  config::Config config_;
  shm::Segment segment_;
  Descriptor listener_;
  std::unique_ptr<runtime::WorkerLife> life_;
  std::future<runtime::LifeOutcome> outcome_;
};

std::unique_ptr<Worker> make_sample() { return std::make_unique<Sample>(); }
std::unique_ptr<Worker> make_twice_refused() { return std::make_unique<TwiceRefused>(); }

}  // namespace

TEST_CASE("Errors that pass by themselves are 503 with Retry-After and tell clients nothing about servers") {
  const pool::PoolError exhausted(pool::Phase::queue_full, "pool main of host db7", {}, "host db7 said no");
  for (const auto& response : {mapped(exhausted), mapped(TimedOut("host db7")), mapped(sql_error(sql::Phase::lost, sql::Class::other)),
                               mapped(sql_error(sql::Phase::execute, sql::Class::busy)), mapped(sql_error(sql::Phase::execute, sql::Class::deadlock)),
                               mapped(sql_error(sql::Phase::execute, sql::Class::connection))}) {
    REQUIRE(response);
    CHECK(response->status == 503);
    CHECK(response->headers.at("Retry-After") == "1");
    CHECK(response->body.find("db7") == std::string::npos);
  }
  CHECK(mapped(exhausted)->body == R"({"error":{"reason":"no database connection: queue full"}})");
}

TEST_CASE("Other errors are left to the router") {
  CHECK_FALSE(mapped(sql_error(sql::Phase::execute, sql::Class::syntax)));
  CHECK_FALSE(mapped(sql_error(sql::Phase::execute, sql::Class::unique_violation)));
  CHECK_FALSE(mapped(std::runtime_error("x")));
}

TEST_CASE("An HTTP worker serves its routes, counts in its slot, and drains when asked") {
  Life life(make_sample);
  CHECK(life.fetch("GET", "/slot").body == R"({"worker":3})");
  CHECK(life.fetch("POST", "/echo", "hello").body == "hello");
  CHECK(life.fetch("POST", "/echo", std::string(101, 'x')).status == 413);  // http.max_body is honoured
  CHECK(life.fetch("GET", "/nowhere").status == 404);
  CHECK(life.fetch("GET", "/exhausted").status == 503);
  CHECK(life.fetch("GET", "/broken").status == 500);
  CHECK(life.end().code == 0);
  CHECK(life.statistics().requests.get() == 6);
  CHECK(life.statistics().request_errors.get() == 2);
  CHECK(life.statistics().request_seconds.total() == 6);
  CHECK(life.statistics().requests_in_flight.get() == 0);
  CHECK(life.statistics().client_connections.get() == 0);
}

TEST_CASE("An HTTP worker without a listener ends with a reason") {
  Life life(make_sample, false);
  const runtime::LifeOutcome outcome = life.outcome();
  CHECK(outcome.code != 0);
  CHECK(outcome.message.find("needs_http_listener") != std::string::npos);
}

TEST_CASE("A worker that fails twice in one turn of the loop ends by its first failure, with that one's exit code") {
  Life life(make_twice_refused);
  const runtime::LifeOutcome outcome = life.outcome();
  CHECK(outcome.code == to_int(ExitCode::config));
  CHECK(outcome.message == "the first reason");
}
