#include "unit/http/directory.hpp"
#include "unit/http/handlers.hpp"
#include "unit/http/serving.hpp"

#include <sluice/core/text.hpp>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <optional>
#include <stdexcept>
#include <sys/resource.h>

using namespace sluice;
using namespace sluice::http;
using namespace sluice::http::testing;

namespace {

std::string post(std::string_view body, std::string_view extra = "") {
  return text("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: ", body.size(), "\r\n", extra, "\r\n", body);
}

awaitable<Response> peer_of(Request request) { co_return Response::text(request.peer); }
awaitable<Response> fail(Request) {
  throw std::runtime_error("secret");
  co_return Response();
}

}  // namespace

TEST_CASE("Requests on a kept connection are answered one after the other") {
  Serving serving(echo);
  Client client(serving.address());
  for (int i = 0; i < 3; ++i) {
    client.send(get(text("/", i)));
    CHECK(body_of(client.response()) == text("GET /", i, " "));
  }
  client.send(post("payload"));
  CHECK(body_of(client.response()) == "POST / payload");
  CHECK(serving.connections == 1);
}

TEST_CASE("Pipelined requests are answered in order") {
  Serving serving(echo);
  Client client(serving.address());
  std::string all;
  for (int i = 0; i < 50; ++i) all += i % 2 ? get(text("/", i)) : post(text(i));
  client.send(all);
  for (int i = 0; i < 50; ++i) CHECK(body_of(client.response()) == (i % 2 ? text("GET /", i, " ") : text("POST / ", i)));
}

TEST_CASE("HEAD gets the header of GET without its body") {
  Serving serving(echo);
  Client client(serving.address());
  client.send("HEAD /x HTTP/1.1\r\nHost: test\r\n\r\n" + get("/y"));
  const std::string head = client.response(false);
  CHECK(head.find("Content-Length: 8\r\n") != std::string::npos);
  CHECK(body_of(head).empty());
  CHECK(body_of(client.response()) == "GET /y ");
}

TEST_CASE("Connection: close and HTTP/1.0 end the connection in order after the response") {
  Serving serving(echo);
  for (const std::string& request : {get("/", "Connection: close\r\n"), std::string("GET / HTTP/1.0\r\n\r\n")}) {
    Client client(serving.address());
    client.send(request);
    CHECK(client.response().find("Connection: close\r\n") != std::string::npos);
    CHECK(client.closed());
  }
  Client client(serving.address());
  client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  CHECK(client.response().find("Connection: keep-alive\r\n") != std::string::npos);
  client.send(get("/again"));
  CHECK(status_of(client.response()) == 200);
}

TEST_CASE("A client that has finished sending still gets its response") {
  Serving serving(echo);
  Client client(serving.address());
  client.send(get("/"));
  client.finish_sending();
  CHECK(status_of(client.response()) == 200);
  CHECK(client.closed());
}

TEST_CASE("100 Continue is sent when the client waits for it") {
  Serving serving(echo);
  Client client(serving.address());
  client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  CHECK(client.response() == "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("ab");
  CHECK(body_of(client.response()) == "POST / ab");
}

TEST_CASE("Garbage is answered with 400 and disturbs nobody else") {
  Serving serving(echo);
  Client bystander(serving.address());
  bystander.send(get("/1"));
  bystander.response();
  Client client(serving.address());
  client.send("\x16\x03\x01 this is not HTTP\r\n\r\n");
  const std::string answer = client.response();
  CHECK(status_of(answer) == 400);
  CHECK(answer.find("{\"error\":{\"reason\":") != std::string::npos);
  CHECK(client.closed());
  bystander.send(get("/2"));
  CHECK(status_of(bystander.response()) == 200);
}

TEST_CASE("An oversize body is refused before it is read, and the refusal reaches a client that goes on sending") {
  Limits limits;
  limits.max_body = 1000;
  Serving serving(echo, limits);
  Client announced(serving.address());
  announced.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n");
  CHECK(status_of(announced.response()) == 413);
  Client sending(serving.address());
  sending.send(post(std::string(500'000, 'x')));
  CHECK(status_of(sending.response()) == 413);
  Client chunked(serving.address());
  chunked.send("POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n258\r\n" + std::string(600, 'x') + "\r\n258\r\n");
  CHECK(status_of(chunked.response()) == 413);
  Client fitting(serving.address());
  fitting.send(post(std::string(1000, 'x')));
  CHECK(status_of(fitting.response()) == 200);
}

TEST_CASE("Bodies of a megabyte go both ways") {
  Serving serving(echo);
  Client client(serving.address());
  const std::string body(1 << 20, 'b');
  client.send(post(body));
  CHECK(body_of(client.response()) == "POST / " + body);
}

TEST_CASE("A header or a body that comes too slowly is given up with 408") {
  Limits limits;
  limits.header_timeout = 50ms;
  limits.body_timeout = 50ms;
  Serving serving(echo, limits);
  Client header(serving.address());
  header.send("GET / HTTP/1.1\r\nHo");
  CHECK(status_of(header.response()) == 408);
  CHECK(header.closed());
  Client body(serving.address());
  body.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nab");
  CHECK(status_of(body.response()) == 408);
  CHECK(body.closed());
}

TEST_CASE("A client that drips its header byte by byte is given up all the same") {
  Limits limits;
  limits.header_timeout = 50ms;
  limits.max_header = 1 << 30;
  Serving serving(echo, limits);
  Client client(serving.address());
  client.send("GET / HTTP/1.1\r\nHost: test\r\nX: ");
  const Deadline patience = Deadline::after(10s);
  while (serving.finished == 0 && !patience.passed(Clock::now())) {
    client.send("x");
    std::this_thread::yield();
  }
  CHECK(serving.last_status == 408);
}

TEST_CASE("An idle connection is closed silently after the keep-alive timeout") {
  Limits limits;
  limits.keep_alive_timeout = 50ms;
  Serving serving(echo, limits);
  Client client(serving.address());
  client.send(get("/"));
  CHECK(status_of(client.response()) == 200);
  CHECK(client.closed());
  CHECK(serving.eventually([](Server& server) { return server.connections() == 0; }));
}

TEST_CASE("A handler past the request timeout is cancelled and the client gets 503") {
  Limits limits;
  limits.request_timeout = 50ms;
  for (const bool stubborn : {false, true}) {
    auto barrier = std::make_shared<Barrier>();
    barrier->stubborn = stubborn;
    Serving serving([barrier](Request) { return wait_at(barrier); }, limits);
    Client client(serving.address());
    client.send(get("/"));
    const std::string answer = client.response();
    CHECK(status_of(answer) == 503);
    CHECK(answer.find("Connection: close\r\n") != std::string::npos);
    CHECK(client.closed());
    CHECK(serving.in_flight == 0);
    if (stubborn) {
      // Left behind, it runs on until it ends by itself; a drain waits for it.
      auto drained = serving.drain(10s);
      serving.on_loop([&](Server&) { barrier->open(); });
      CHECK(drained.get());
      CHECK(barrier->cancelled == 0);
    } else {
      CHECK(serving.eventually([&](Server&) { return barrier->left == 1; }));
    }
    CHECK(barrier->left == 1);
  }
}

TEST_CASE("A handler that throws gives 500 without details and the connection goes on") {
  Serving serving(fail);
  Client client(serving.address());
  for (int i = 0; i < 2; ++i) {
    client.send(get("/"));
    const std::string answer = client.response();
    CHECK(status_of(answer) == 500);
    CHECK(answer.find("secret") == std::string::npos);
  }
}

TEST_CASE("A client that leaves in the middle of anything is forgotten") {
  auto barrier = std::make_shared<Barrier>();
  Serving serving([barrier](Request) { return wait_at(barrier); });
  {
    Client before(serving.address());
    Client in_header(serving.address());
    in_header.send("GET / HT");
    Client in_body(serving.address());
    in_body.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\na");
    Client in_handler(serving.address());
    in_handler.send(get("/"));
    CHECK(serving.eventually([&](Server& server) { return server.connections() == 4 && barrier->entered == 1; }));
  }
  CHECK(serving.eventually([&](Server& server) { return server.connections() == 1; }));
  serving.on_loop([&](Server&) { barrier->open(); });
  CHECK(serving.eventually([&](Server& server) { return server.connections() == 0; }));
  CHECK(serving.connections == 0);
  CHECK(serving.in_flight == 0);
}

TEST_CASE("Past max_connections nobody is accepted until one has left") {
  Limits limits;
  limits.max_connections = 1;
  Serving serving(echo, limits);
  auto first = std::make_unique<Client>(serving.address());
  first->send(get("/"));
  CHECK(status_of(first->response()) == 200);
  Client second(serving.address());
  second.send(get("/second"));
  first->send(get("/"));
  CHECK(status_of(first->response()) == 200);
  CHECK(serving.connections == 1);
  first.reset();
  CHECK(body_of(second.response()) == "GET /second ");
  CHECK(serving.connections == 1);
}

TEST_CASE("When the process is out of descriptors the server waits and goes on") {
  Serving serving(echo);
  rlimit saved{};
  ::getrlimit(RLIMIT_NOFILE, &saved);
  rlimit low = saved;
  low.rlim_cur = 128;
  ::setrlimit(RLIMIT_NOFILE, &low);
  std::vector<Descriptor> hoard;
  for (;;) {
    Descriptor one(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!one) break;
    hoard.push_back(std::move(one));
  }
  REQUIRE_FALSE(hoard.empty());
  hoard.pop_back();
  Client client(serving.address());  // takes the last one; the kernel connects it
  client.send(get("/"));
  for (int turn = 0; turn < 10; ++turn) serving.on_loop([](Server&) {});  // enough turns to see the client and to fail
  CHECK(serving.connections == 0);
  hoard.clear();
  ::setrlimit(RLIMIT_NOFILE, &saved);
  CHECK(status_of(client.response()) == 200);
}

TEST_CASE("The same server works on a Unix socket") {
  Directory directory;
  Serving serving(peer_of, {}, "unix:" + directory.file("http.sock"));
  Client client(serving.address());
  client.send(get("/"));
  CHECK(body_of(client.response()) == "unix");
}

TEST_CASE("Handlers see the client's address") {
  Serving serving(peer_of);
  Client client(serving.address());
  client.send(get("/"));
  CHECK(body_of(client.response()).starts_with("127.0.0.1:"));
}

TEST_CASE("A destroyed server closes its connections and cancels its handlers") {
  auto barrier = std::make_shared<Barrier>();
  Serving serving([barrier](Request) { return wait_at(barrier); });
  Client client(serving.address());
  client.send(get("/"));
  CHECK(serving.eventually([&](Server&) { return barrier->entered == 1; }));
  serving.destroy_server();
  CHECK(client.closed());
  const Deadline patience = Deadline::after(10s);
  while (barrier->left == 0 && !patience.passed(Clock::now())) serving.on_loop([](Server&) {});
  CHECK(barrier->left == 1);
}

TEST_CASE("When the loop ends under a handler, nothing is left of it, of its connection and of the server") {
  auto barrier = std::make_shared<Barrier>();
  auto owned = std::make_shared<int>(0);
  const Descriptor listener = bind_listener("127.0.0.1:0", "http.listen");
  std::optional<asio::io_context> loop(std::in_place, 1);
  std::optional<Server> server(std::in_place, *loop, [barrier, owned](Request) { return wait_at(barrier); }, Limits{});
  server->listen(listener.get());
  Client client(local_address(listener.get()));
  client.send(get("/"));
  const Deadline patience = Deadline::after(10s);
  while (barrier->entered == 0 && !patience.passed(Clock::now())) loop->run_one_for(10ms);
  REQUIRE(barrier->entered == 1);
  server.reset();
  loop.reset();
  CHECK(barrier->left == 1);
  CHECK(owned.use_count() == 1);
  CHECK(client.closed());
}
