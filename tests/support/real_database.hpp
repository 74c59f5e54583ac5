// A database over a real pool and the driver that its url names; run() drives one coroutine to its end. The pool is closed by the destructor.
#pragma once

#include <doctest/doctest.h>
#include <sluice/pool/registry.hpp>
#include <sluice/sql/database.hpp>
#include <support/eventually.hpp>
#include <support/permit_rows.hpp>

#include <exception>
#include <optional>
#include <string>
#include <vector>

namespace sluice::test {

class RealDatabase {
 public:
  explicit RealDatabase(const std::string& url, std::uint32_t connections = 4) : RealDatabase(with_url(url), connections) {}
  // `background`: the pool ages its connections and looks for leaks by itself.
  explicit RealDatabase(config::Pool options, std::uint32_t connections = 4, bool background = false) : permits(connections) {
    options.name = "main";
    // What a test says nothing of is no matter of a slow machine: a server may need seconds for a TLS handshake there.
    const config::Pool untouched;
    if (options.acquire_timeout == untouched.acquire_timeout) options.acquire_timeout = scaled(options.acquire_timeout);
    if (options.connect_timeout == untouched.connect_timeout) options.connect_timeout = scaled(options.connect_timeout);
    const pool::Driver* driver = pool::find_driver(pool::scheme_of(options.url));
    REQUIRE(driver != nullptr);
    pool::Identity identity;
    identity.instance = "shop@test";
    identity.nonce = "0badcafe";
    identity.generation = 1;
    pool::PoolResources resources;
    resources.share = permits.share;
    resources.stats = &stats;
    resources.background = background;
    pool.emplace(loop, options, driver->make_connector(options, identity), resources);
    pool->ready();
    db.emplace(*pool, sql::StatementBoard(&stats, running, 7));
  }
  RealDatabase(const RealDatabase&) = delete;
  RealDatabase& operator=(const RealDatabase&) = delete;
  ~RealDatabase() {
    bool closed = false;
    asio::co_spawn(loop, pool->close(Deadline::after(scaled(10s))), [&](std::exception_ptr, bool) { closed = true; });
    loop.restart();
    while (!closed && loop.run_one_for(scaled(20s)) > 0) {
    }
  }
  static config::Pool with_url(const std::string& url) {
    config::Pool options;
    options.url = url;
    return options;
  }

  // Rethrows what the coroutine throws. REQUIREs that it ends within the (scaled) limit.
  template <class F>
  void run(F body, Duration limit = 30s) {
    std::exception_ptr failure;
    bool done = false;
    asio::co_spawn(loop, body(), [&](std::exception_ptr e) {
      failure = e;
      done = true;
    });
    loop.restart();
    const Deadline deadline = Deadline::after(scaled(limit));
    while (!done && !deadline.passed(Clock::now())) loop.run_one_for(1s);
    REQUIRE_MESSAGE(done, "the coroutine did not end in time");
    if (failure) std::rethrow_exception(failure);
  }

  // What the pool writes to outlives the loop, whose last coroutines close its connections.
  shm::PoolStats stats{};
  std::vector<shm::RunningStatement> running = std::vector<shm::RunningStatement>(32);
  PermitRows permits;
  asio::io_context loop{1};
  std::optional<pool::Pool> pool;
  std::optional<sql::Database> db;
};

// The exception of type E that an operation threw, if any; others pass through.
template <class E, class T>
awaitable<std::optional<E>> error_from(awaitable<T> operation) {
  std::optional<E> caught;
  try {
    co_await std::move(operation);
  } catch (const E& e) {
    caught = e;
  }
  co_return caught;
}

}  // namespace sluice::test
