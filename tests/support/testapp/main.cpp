// A worker that fails on demand, for the tests of the cluster: everything a worker may do to its master, by request.
#include <sluice/launch.hpp>
#include <sluice/workers/http.hpp>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <fstream>
#include <stdexcept>
#include <thread>

using sluice::awaitable;
using sluice::Request;
using sluice::Response;
using namespace std::chrono_literals;

namespace {

class Failing : public sluice::HttpWorker {
 public:
  static constexpr int default_workers = 2;

  void routes() override {
    serve("GET", "/ping", &Failing::ping);
    serve("GET", "/query/{pool}", &Failing::query);
    serve("GET", "/sleep/{pool}", &Failing::sleep);
    serve("GET", "/oversleep/{pool}", &Failing::oversleep);
    serve("GET", "/hold/{pool}", &Failing::hold);
    serve("POST", "/fail", &Failing::fail);
    serve("POST", "/crash", &Failing::crash);
    serve("POST", "/block", &Failing::block);
    serve("POST", "/fork", &Failing::fork);
  }

  awaitable<void> start() override {
    wake_ = std::make_unique<sluice::asio::steady_timer>(context().loop(), sluice::TimePoint::max());
    const auto options = nlohmann::json::parse(context().config().app_json);
    const auto slot = options.value("die_in_start", nlohmann::json());
    if (slot.is_number_integer() && slot.get<std::uint32_t>() == context().slot()) throw std::runtime_error("start() was told to fail");
    // What newcomers shall suffer from now on is in a file: "die", "hang"; none: nothing.
    std::string trouble;
    std::ifstream(options.value("trouble_file", "")) >> trouble;
    if (trouble == "die") throw std::runtime_error("start() was told to fail");
    if (trouble == "hang") co_await until_told_to_fail();
    co_await HttpWorker::start();
  }

  awaitable<void> run() override {
    using namespace sluice::asio::experimental::awaitable_operators;
    awaitable<void> serving = HttpWorker::run();
    awaitable<void> failure = until_told_to_fail();
    co_await (std::move(serving) || std::move(failure));
    if (failed_) throw std::runtime_error("run() was told to fail");
  }

 private:
  // With ?slot=N only the worker in that slot does it; the others answer 409 and the client tries another connection.
  void serve(std::string_view method, std::string_view pattern, awaitable<Response> (Failing::*handler)(Request)) {
    add_route(method, pattern, [this, handler](Request request) -> awaitable<Response> {
      if (request.query<std::uint32_t>("slot", context().slot()) != context().slot()) return refuse();
      return (this->*handler)(std::move(request));
    });
  }
  awaitable<Response> refuse() { co_return Response::error(409, "another worker's turn", "slot"); }

  awaitable<void> until_told_to_fail() {
    sluice::error_code ignored;
    co_await wake_->async_wait(sluice::asio::redirect_error(sluice::use_awaitable, ignored));
  }

  Response about_me() {
    return Response::json({{"worker", context().slot()}, {"generation", context().generation()}, {"pid", ::getpid()}});
  }

  awaitable<Response> ping(Request) { co_return about_me(); }

  // A statement that needs a connection at once or soon: 503 with the reason when there is none.
  awaitable<Response> query(Request request) {
    const auto limit = sluice::within(std::chrono::milliseconds(request.query<int>("within_ms", 1000)));
    std::string problem;
    try {
      co_await context().sql(request.path<std::string>("pool")).query(limit, "SELECT 1");
    } catch (const sluice::Error& error) {
      problem = error.what();
    }
    if (!problem.empty()) co_return Response::error(503, problem);
    co_return about_me();
  }

  awaitable<Response> sleep(Request request) {
    const auto limit = sluice::within(std::chrono::milliseconds(request.query<int>("within_ms", 120000)));
    const double seconds = request.query<double>("seconds");
    auto& db = context().sql(request.path<std::string>("pool"));
    // On MariaDB without the limit that would end it by itself: only KILL QUERY does.
    const std::string statement =
        db.dialect() == sluice::sql::Dialect::mysql ? "SET STATEMENT max_statement_time = 300 FOR SELECT SLEEP($1)" : "SELECT pg_sleep($1)::text";
    std::string problem;
    try {
      co_await db.query(limit, statement, seconds);
    } catch (const sluice::Error& error) {
      problem = error.what();
    }
    if (!problem.empty()) co_return Response::error(503, problem);
    co_return about_me();
  }

  // Sleeps on in the server when the client is gone: no check of the connection, or none before the next of many short sleeps is over.
  awaitable<Response> oversleep(Request request) {
    const std::string seconds = std::to_string(request.query<unsigned>("seconds"));
    auto& db = context().sql(request.path<std::string>("pool"));
    const std::string statement = db.dialect() == sluice::sql::Dialect::mysql
                                      ? "SET STATEMENT max_statement_time = 300 FOR SELECT SLEEP(1) FROM seq_1_to_" + seconds
                                      : "SELECT set_config('client_connection_check_interval', '0', false), pg_sleep(" + seconds + ")::text";
    std::string problem;
    try {
      co_await db.query(sluice::within(120s), statement);
    } catch (const sluice::Error& error) {
      problem = error.what();
    }
    if (!problem.empty()) co_return Response::error(503, problem);
    co_return about_me();
  }

  // Keeps a connection without using it.
  awaitable<Response> hold(Request request) {
    auto lease = co_await context().pool(request.path<std::string>("pool")).acquire();
    sluice::asio::steady_timer timer(context().loop(), std::chrono::milliseconds(request.query<int>("ms")));
    co_await timer.async_wait(sluice::use_awaitable);
    co_return about_me();
  }

  // Ends this life by an exception.
  awaitable<Response> fail(Request) {
    failed_ = true;
    wake_->cancel();
    co_return about_me();
  }

  // Ends this process by a signal or an exit code, without an answer.
  awaitable<Response> crash(Request request) {
    if (const int code = request.query<int>("exit", -1); code >= 0) ::_exit(code);
    ::kill(::getpid(), request.query<int>("signal", SIGKILL));
    co_return about_me();
  }

  // Does what no worker may do: keeps the loop to itself.
  awaitable<Response> block(Request request) {
    std::this_thread::sleep_for(std::chrono::milliseconds(request.query<int>("ms")));
    co_return about_me();
  }

  // A grandchild that would sleep for minutes.
  awaitable<Response> fork(Request) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::execl("/bin/sleep", "sleep", "300", static_cast<char*>(nullptr));
      ::_exit(127);
    }
    co_return Response::json({{"worker", context().slot()}, {"child", child}});
  }

  bool failed_ = false;
  std::unique_ptr<sluice::asio::steady_timer> wake_;
};

}  // namespace

int main(int argc, char** argv) {
  sluice::LaunchOptions options;
  options.description = "a worker that fails on demand";
  return sluice::launch<Failing>(argc, argv, options);
}
