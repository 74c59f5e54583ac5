#include "story.hpp"

#include <sluice/budget/share.hpp>
#include <sluice/budget/step.hpp>
#include <sluice/core/asio.hpp>
#include <sluice/pool/pool.hpp>
#include <sluice/pool/registry.hpp>
#include <sluice/sql/session.hpp>

#include <exception>
#include <stdexcept>
#include <utility>

#include "marks.hpp"

namespace stepkill {
namespace {

using namespace std::chrono_literals;
using sluice::awaitable;
using sluice::Deadline;
namespace asio = sluice::asio;
namespace budget = sluice::budget;
namespace pool = sluice::pool;
namespace shm = sluice::shm;
namespace sql = sluice::sql;

constexpr std::uint32_t permits = 2;
constexpr sluice::Duration patience = 20s;

pool::Pool make_pool(asio::io_context& loop, const shm::Segment& segment, const std::string& url, std::uint16_t slot, std::uint64_t generation) {
  sluice::config::Pool options;
  options.name = "main";
  options.url = url;
  options.warm_up = false;
  options.connect_timeout = patience;
  options.acquire_timeout = patience;
  shm::Server& server = segment.servers()[0];
  budget::Terms terms;
  terms.limits = segment.limits(0);
  terms.wants = segment.wants(0);
  terms.floor = server.floor;
  terms.elastic = true;
  terms.server = &server;
  terms.lend_idle = patience;  // only what is returned is lent: the story is the same each time
  terms.borrow_after = 0ms;
  pool::PoolResources resources;
  resources.share = std::make_shared<budget::Share>(segment.rows(0), 0, budget::Life{slot, generation}, std::move(terms));
  const pool::Identity identity{instance, "00000001", slot, generation};
  return pool::Pool(loop, options, pool::find_driver("postgresql")->make_connector(options, identity), std::move(resources));
}

awaitable<void> ask(pool::Lease& lease, const char* text) {
  auto& session = static_cast<sql::Session&>(lease.connection());
  sql::Statement statement(text, {});
  co_await session.run(std::move(statement), Deadline::after(patience));
}

awaitable<void> receive(pool::Pool& receiver, bool& received) {
  pool::Lease lease = co_await receiver.acquire();
  co_await ask(lease, "SELECT 3");
  mark_phase("return of what was lent");
  lease.release();
  received = true;
}

awaitable<void> tell(asio::io_context& loop, const shm::Segment& segment, pool::Pool& giver, pool::Pool& receiver) {
  asio::steady_timer timer(loop);
  mark_phase("claim, connect and lease");
  pool::Lease first = co_await giver.acquire();
  mark_phase("query");
  co_await ask(first, "SELECT 1");
  mark_phase("return");
  first.release();
  mark_phase("lease of an idle one");
  first = co_await giver.acquire();
  mark_phase("borrow");
  pool::Lease second = co_await giver.acquire();
  mark_phase("transaction");
  co_await ask(second, "BEGIN");
  co_await ask(second, "CREATE TEMP TABLE t AS SELECT 1 AS n");
  co_await ask(second, "COMMIT");
  mark_phase("want");
  bool received = false;
  std::exception_ptr problem;
  asio::co_spawn(loop, receive(receiver, received), [&problem](std::exception_ptr error) { problem = error; });
  while (budget::Want::unpack(segment.wants(0)[1].load()).permits == 0 && !problem) {
    timer.expires_after(1ms);
    co_await timer.async_wait(sluice::use_awaitable);
  }
  mark_phase("lend, grant and connect");
  second.release();
  while (!received && !problem) {
    timer.expires_after(1ms);
    co_await timer.async_wait(sluice::use_awaitable);
  }
  if (problem) std::rethrow_exception(problem);
  mark_phase("close");
  first.release();
  const bool receiver_closed = co_await receiver.close(Deadline::after(patience));
  const bool giver_closed = co_await giver.close(Deadline::after(patience));
  if (!receiver_closed || !giver_closed) throw std::runtime_error("a pool did not close");
}

}  // namespace

shm::Segment make_segment() {
  shm::Shape shape;
  shape.instance = instance;
  shape.application = instance;
  shape.max_workers = 2;
  shape.kinds = {"worker"};
  shape.servers = {shm::ServerShape{"main", permits}};
  shape.pools = {shm::PoolShape{"main", "postgresql", 0, 0}};
  shm::Segment segment = shm::Segment::create(shape);
  shm::Server& server = segment.servers()[0];
  server.floor = 0;
  server.elastic = 1;
  budget::resize(segment.rows(0), permits, sluice::now_nanos());
  server.rows_in_use.set(permits);
  for (auto& limit : segment.limits(0)) limit = 1;
  return segment;
}

void live(const shm::Segment& segment, const std::string& url, std::uint64_t generation) {
  budget::step_listener = [](const char* what, budget::Moment moment, std::uint64_t) { mark_step(what, moment == budget::Moment::after); };
  asio::io_context loop(1);
  pool::Pool giver = make_pool(loop, segment, url, 0, generation);
  pool::Pool receiver = make_pool(loop, segment, url, 1, generation);
  giver.ready();
  receiver.ready();
  std::exception_ptr problem;
  bool over = false;
  asio::co_spawn(loop, tell(loop, segment, giver, receiver), [&](std::exception_ptr error) {
    problem = error;
    over = true;
  });
  while (!over) loop.run_one();
  if (problem) std::rethrow_exception(problem);
  if (budget::count(segment.rows(0)).of(budget::RowState::free) != permits) throw std::runtime_error("the story is over, but not every row is free");
}

}  // namespace stepkill
