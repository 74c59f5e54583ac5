// Readers on connections of their own: at the same time, and beside a writer.
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include "fixture.hpp"

using namespace sluice;
using namespace sluice::test;

TEST_CASE("several readers run at the same time, each in its snapshot, while a writer commits") {
  const TemporaryDirectory directory;
  auto body = [&]() -> awaitable<void> {
    const auto connector = std::make_shared<sqlite::Connector>(pool_options(url_of(directory / "a.db")));
    Open busy(connector), one(connector), other(connector), writer(connector);
    for (Open* db : {&busy, &one, &other, &writer}) co_await db->connect();
    co_await writer.run("CREATE TABLE t (n INTEGER)");
    co_await writer.run("WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 2000) INSERT INTO t SELECT n FROM s");

    // One that computes all the while: nobody's turn waits for its end, which only the cancellation brings.
    const auto executor = co_await asio::this_coro::executor;
    asio::cancellation_signal stop;
    std::exception_ptr stopped;
    bool over = false;
    const auto compute = [&busy]() -> awaitable<void> { co_await busy.run("SELECT n, (" + std::string(endless) + ") FROM t"); };
    asio::co_spawn(executor, compute(), asio::bind_cancellation_slot(stop.slot(), [&](std::exception_ptr e) {
                     stopped = e;
                     over = true;
                   }));

    co_await one.begin(true);
    co_await other.begin(true);
    sql::Statement rows("SELECT n FROM t", {});
    auto piece = co_await one.session().open_stream(std::move(rows), Deadline::after(60s), Deadline::never());  // half-read
    const sql::Rows before = co_await other.run("SELECT count(*) FROM t");
    CHECK(before[0][0].as<int>() == 2000);
    co_await writer.begin();
    co_await writer.run("INSERT INTO t VALUES (2)");
    const sql::Rows uncommitted = co_await other.run("SELECT count(*) FROM t");
    CHECK(uncommitted[0][0].as<int>() == 2000);
    co_await writer.commit();
    const sql::Rows snapshot = co_await other.run("SELECT count(*) FROM t");
    CHECK(snapshot[0][0].as<int>() == 2000);
    std::size_t streamed = 0;
    for (bool more = true; more;) {
      const auto set = co_await piece->next(Deadline::after(60s));
      more = set != nullptr;
      if (more) streamed += set->row_count;
    }
    CHECK(streamed == 2000);
    piece.reset();
    co_await one.commit();
    co_await other.commit();
    const sql::Rows after = co_await other.run("SELECT count(*) FROM t");
    CHECK(after[0][0].as<int>() == 2001);

    CHECK_FALSE(over);
    stop.emit(asio::cancellation_type::terminal);
    while (!over) co_await sleep_for(1ms);
    CHECK(stopped);
    for (Open* db : {&busy, &one, &other, &writer}) co_await db->close();
  };
  on_loop(body);
}
