// The application of the chaos test: writes that are acknowledged or not, on sessions that take their time to end. Tables
// `writes` (id) and `burden` (n, t) are the test's. Every request names its own id and is made once; nothing here repeats anything.
#include "hasty.hpp"

#include <sluice/core/text.hpp>
#include <sluice/launch.hpp>
#include <sluice/workers/http.hpp>

#include <string>

namespace {

using sluice::awaitable;
using sluice::Deadline;
using sluice::Request;
using sluice::Response;
namespace pool = sluice::pool;
namespace sql = sluice::sql;
using namespace std::chrono_literals;

constexpr sluice::Duration patience = 10s;

class Writer final : public sluice::HttpWorker {
 public:
  static constexpr int default_workers = 4;

  void routes() override {
    get("/ping", &Writer::ping);
    post("/plain/{id}", &Writer::plain);
    post("/transaction/{id}", &Writer::transaction);
    post("/slow-exit/{id}", &Writer::slow_exit);
    post("/abandoned/{id}", &Writer::abandoned);
    post("/cancelled/{id}", &Writer::cancelled);
  }

 private:
  sql::Database& db() { return context().sql("main"); }
  Response done() { return Response::json({{"worker", context().slot()}}); }

  awaitable<Response> ping(Request) { co_return done(); }

  // Acknowledged: a statement in autocommit on a pooled connection.
  awaitable<Response> plain(Request request) {
    const auto id = request.path<std::int64_t>("id");
    co_await db().execute("INSERT INTO writes (id) VALUES ($1)", id);
    co_return done();
  }

  // Acknowledged: a transaction that is open for a while.
  awaitable<Response> transaction(Request request) {
    const auto id = request.path<std::int64_t>("id");
    sql::Transaction tx = co_await db().begin();
    co_await tx.execute("INSERT INTO writes (id) VALUES ($1)", id);
    co_await pause(std::chrono::milliseconds(request.query<int>("ms", 5)));
    co_await tx.commit();
    co_return done();
  }

  // Acknowledged: the write stands, then the connection is given up with something to clean up first.
  awaitable<Response> slow_exit(Request request) {
    const auto id = request.path<std::int64_t>("id");
    pool::Lease lease = co_await context().pool("main").acquire();
    auto& session = static_cast<sql::Session&>(lease.connection());
    sql::Statement insert = sql::make_statement("INSERT INTO writes (id) VALUES ($1)", id);
    co_await session.run(std::move(insert), Deadline::after(patience));
    co_await burden(session, request.query<int>("burden", 10));
    lease.discard();
    co_return done();
  }

  // Never to be seen: the connection is given up in the middle of a transaction, which the server must roll back first.
  awaitable<Response> abandoned(Request request) {
    const auto id = request.path<std::int64_t>("id");
    pool::Lease lease = co_await context().pool("main").acquire();
    auto& session = static_cast<sql::Session&>(lease.connection());
    const sql::TransactionOptions options;
    co_await session.begin(options, Deadline::after(patience));
    sql::Statement insert = sql::make_statement("INSERT INTO writes (id) VALUES ($1)", id);
    co_await session.run(std::move(insert), Deadline::after(patience));
    co_await burden(session, request.query<int>("burden", 10));
    lease.discard();
    co_return done();
  }

  // Never to be seen: the statement is ended on the server at its deadline, the write after it with its transaction.
  awaitable<Response> cancelled(Request request) {
    const auto id = request.path<std::int64_t>("id");
    sql::Transaction tx = co_await db().begin();
    co_await tx.execute("INSERT INTO writes (id) VALUES ($1)", id);
    const char* sleep = db().dialect() == sql::Dialect::postgres ? "SELECT pg_sleep(5)::text" : "SELECT SLEEP(5)";
    bool ended = false;
    try {
      co_await tx.query(sluice::within(std::chrono::milliseconds(request.query<int>("ms", 50))), sleep);
    } catch (const sluice::TimedOut&) {
      ended = true;
    }
    co_await tx.rollback();
    co_return ended ? done() : Response::error(500, "the statement was not ended at its deadline");
  }

  // What makes the session's end slow. PostgreSQL: temporary tables, which it must drop. MariaDB: a transaction left open, which
  // it must roll back.
  awaitable<void> burden(sql::Session& session, int size) {
    if (db().dialect() == sql::Dialect::postgres) {
      std::string script;
      for (int i = 0; i < size; ++i)
        script += sluice::text("CREATE TEMP TABLE burden", i, " AS SELECT n, repeat('x', 100) AS t FROM generate_series(1, 50) AS n;");
      co_await session.run_script(std::move(script), Deadline::after(patience));
      co_return;
    }
    const sql::TransactionOptions options;
    if (!session.in_transaction()) co_await session.begin(options, Deadline::after(patience));
    sql::Statement rows(sluice::text("INSERT INTO burden (n, t) SELECT seq, REPEAT('x', 100) FROM seq_1_to_", size * 300), {});
    co_await session.run(std::move(rows), Deadline::after(patience));
  }

  awaitable<void> pause(sluice::Duration time) {
    sluice::asio::steady_timer timer(context().loop(), time);
    co_await timer.async_wait(sluice::use_awaitable);
  }
};

}  // namespace

int main(int argc, char** argv) {
  chaos::register_hasty_drivers();
  sluice::LaunchOptions options;
  options.description = "the application of the chaos test";
  return sluice::launch<Writer>(argc, argv, options);
}
