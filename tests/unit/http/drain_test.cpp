#include "unit/http/handlers.hpp"
#include "unit/http/serving.hpp"

#include <sluice/core/text.hpp>

#include <doctest/doctest.h>
#include <mutex>

using namespace sluice;
using namespace sluice::http;
using namespace sluice::http::testing;

namespace {

// Takes a few turns of the loop, like a handler that asks a database.
awaitable<Response> work(Request) {
  auto executor = co_await asio::this_coro::executor;
  for (int i = 0; i < 3; ++i) co_await asio::post(executor, use_awaitable);
  co_return Response::text("done");
}

bool says_close(const std::string& response) { return response.find("Connection: close\r\n") != std::string::npos; }

}  // namespace

TEST_CASE("Draining under load breaks no request: every client is told to leave by a response") {
  Serving serving(work);
  constexpr int clients = 32;
  std::atomic<int> answered{0}, told{0};
  std::mutex mutex;
  std::string trouble;
  std::vector<std::thread> threads;
  for (int i = 0; i < clients; ++i) {
    threads.emplace_back([&] {
      try {
        Client client(serving.address());
        for (;;) {
          client.send(get("/"));
          const std::string response = client.response();
          if (status_of(response) != 200) throw std::runtime_error("not answered: " + response);
          ++answered;
          if (!says_close(response)) continue;
          ++told;
          if (!client.closed()) throw std::runtime_error("not closed after the last response");
          return;
        }
      } catch (const std::exception& e) {
        std::lock_guard lock(mutex);
        trouble = e.what();
      }
    });
  }
  CHECK(serving.eventually([&](Server& server) { return server.connections() == clients && answered > 20 * clients; }));
  auto drained = serving.drain(10s);
  for (auto& thread : threads) thread.join();
  CHECK(drained.get());
  CHECK(trouble.empty());
  CHECK(told == clients);
  CHECK(serving.connections == 0);
}

TEST_CASE("While draining, an idle connection is closed after drain_idle, one that speaks again is served first") {
  Limits limits;
  limits.drain_idle = 300ms;
  Serving serving(echo, limits);
  Client silent(serving.address());
  Client never_spoke(serving.address());
  Client speaking(serving.address());
  for (Client* client : {&silent, &speaking}) {
    client->send(get("/"));
    CHECK_FALSE(says_close(client->response()));
  }
  CHECK(serving.eventually([](Server& server) { return server.connections() == 3; }));
  const TimePoint began = Clock::now();
  auto drained = serving.drain(10s);
  speaking.send(get("/last"));
  const std::string last = speaking.response();
  CHECK(status_of(last) == 200);
  CHECK(says_close(last));
  CHECK(speaking.closed());
  speaking.close();
  CHECK(silent.closed());
  CHECK(Clock::now() - began >= limits.drain_idle);
  CHECK(never_spoke.closed());
  CHECK(drained.get());
}

TEST_CASE("While draining, a request in its handler is answered") {
  auto barrier = std::make_shared<Barrier>();
  Serving serving([barrier](Request) { return wait_at(barrier); });
  Client client(serving.address());
  client.send(get("/"));
  CHECK(serving.eventually([&](Server&) { return barrier->entered == 1; }));
  auto drained = serving.drain(10s);
  serving.on_loop([&](Server&) { barrier->open(); });
  const std::string response = client.response();
  CHECK(body_of(response) == "through");
  CHECK(says_close(response));
  CHECK(client.closed());
  client.close();
  CHECK(drained.get());
}

TEST_CASE("While draining, pipelined requests that have come are answered, and the last one says close") {
  auto barrier = std::make_shared<Barrier>();
  Serving serving([barrier](Request) { return wait_at(barrier); });
  Client client(serving.address());
  client.send(get("/1") + get("/2") + get("/3"));
  CHECK(serving.eventually([&](Server&) { return barrier->entered == 1; }));
  auto drained = serving.drain(10s);
  serving.on_loop([&](Server&) { barrier->open(); });
  CHECK_FALSE(says_close(client.response()));
  CHECK_FALSE(says_close(client.response()));
  CHECK(says_close(client.response()));
  CHECK(client.closed());
  client.close();
  CHECK(drained.get());
}

TEST_CASE("A drain past its deadline cancels what is left and says so") {
  auto barrier = std::make_shared<Barrier>();
  Serving serving([barrier](Request) { return wait_at(barrier); });
  Client client(serving.address());
  client.send(get("/"));
  CHECK(serving.eventually([&](Server&) { return barrier->entered == 1; }));
  auto drained = serving.drain(20ms);
  CHECK_FALSE(drained.get());
  CHECK(client.closed());
  CHECK(barrier->left == 1);
  CHECK(serving.eventually([](Server& server) { return server.connections() == 0; }));
}

TEST_CASE("A drained server leaves the listening socket to others: who is queued there is served by the next") {
  Serving serving(echo);
  CHECK(serving.drain(10s).get());
  Client queued(serving.address());
  queued.send(get("/queued"));
  serving.serve_again(echo);
  CHECK(body_of(queued.response()) == "GET /queued ");
}
